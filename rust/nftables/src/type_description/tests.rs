use super::encode;
use crate::{DataType, Family, Set, SetFlags, SetKind, Table};

/// Bytes as `nft --debug=mnl` (1.0.6, little-endian) shows them of `NFTA_SET_USERDATA`.
fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn set(family: Family, key: &[DataType], kind: SetKind) -> Set {
    Set {
        table: Table {
            family,
            name: "kpx".into(),
        },
        name: "endpoints".into(),
        key: key.to_vec(),
        kind,
        flags: SetFlags::default(),
        timeout: None,
        size: None,
    }
}

fn endpoint(family: Family) -> SetKind {
    SetKind::Map(vec![DataType::address(family), DataType::InetService])
}

const SERVICE_KEY: [DataType; 2] = [DataType::InetProto, DataType::InetService];

/// `typeof ip daddr . meta l4proto . th dport . numgen random mod 2 : ip daddr . th dport`
#[test]
#[cfg(target_endian = "little")]
fn a_map_of_endpoints_is_described_as_nft_does() {
    let expected = "
        00 04 00 00 00 00 01 04 00 00 00 00 03 60 00 04 0d 00 00 00 01 58 00 14 00 04 07 00 00 00
        01 0c 00 04 0c 00 00 00 01 04 0c 00 00 00 01 0e 00 04 09 00 00 00 01 06 00 04 10 00 00 00
        02 14 00 04 07 00 00 00 01 0c 00 04 0b 00 00 00 01 04 02 00 00 00 03 1a 00 04 17 00 00 00
        01 12 00 04 01 00 00 00 01 04 02 00 00 00 02 04 00 00 00 00 04 34 00 04 0d 00 00 00 01 2c
        00 14 00 04 07 00 00 00 01 0c 00 04 0c 00 00 00 01 04 0c 00 00 00 01 14 00 04 07 00 00 00
        01 0c 00 04 0b 00 00 00 01 04 02 00 00 00 06 04 00 00 00 00";
    let key = [
        &[DataType::Ipv4Address],
        SERVICE_KEY.as_slice(),
        &[DataType::Integer],
    ];
    let set = set(Family::Ipv4, &key.concat(), endpoint(Family::Ipv4));
    assert_eq!(encode(&set).unwrap(), bytes(expected));
}

/// `typeof ip daddr . meta l4proto . th dport . numgen random mod 2 : meta priority`
#[test]
#[cfg(target_endian = "little")]
fn a_map_of_slots_is_described_as_nft_does() {
    let expected = "
        00 04 00 00 00 00 01 04 01 00 00 00 03 60 00 04 0d 00 00 00 01 58 00 14 00 04 07 00 00 00
        01 0c 00 04 0c 00 00 00 01 04 0c 00 00 00 01 0e 00 04 09 00 00 00 01 06 00 04 10 00 00 00
        02 14 00 04 07 00 00 00 01 0c 00 04 0b 00 00 00 01 04 02 00 00 00 03 1a 00 04 17 00 00 00
        01 12 00 04 01 00 00 00 01 04 02 00 00 00 02 04 00 00 00 00 04 0e 00 04 09 00 00 00 01 06
        00 04 02 00 00 00 06 04 00 00 00 00";
    let key = [
        &[DataType::Ipv4Address],
        SERVICE_KEY.as_slice(),
        &[DataType::Integer],
    ];
    let kind = SetKind::Map(vec![DataType::ClassId]);
    let set = set(Family::Ipv4, &key.concat(), kind);
    assert_eq!(encode(&set).unwrap(), bytes(expected));
}

/// Without a number in the key only the byte order of the slot is said.
#[test]
#[cfg(target_endian = "little")]
fn a_map_of_clients_says_the_byte_order() {
    let key = [&[DataType::Ipv4Address], SERVICE_KEY.as_slice()].concat();
    let set = set(Family::Ipv4, &key, SetKind::Map(vec![DataType::ClassId]));
    let expected = "00 04 00 00 00 00 01 04 01 00 00 00 06 04 00 00 00 00";
    assert_eq!(encode(&set).unwrap(), bytes(expected));
}

/// `typeof ip6 daddr . meta l4proto . th dport . numgen random mod 2 : ip6 daddr . th dport`
#[test]
#[cfg(target_endian = "little")]
fn a_map_of_ipv6_endpoints_is_described_as_nft_does() {
    let expected = "
        00 04 00 00 00 00 01 04 00 00 00 00 03 60 00 04 0d 00 00 00 01 58 00 14 00 04 07 00 00 00
        01 0c 00 04 0d 00 00 00 01 04 09 00 00 00 01 0e 00 04 09 00 00 00 01 06 00 04 10 00 00 00
        02 14 00 04 07 00 00 00 01 0c 00 04 0b 00 00 00 01 04 02 00 00 00 03 1a 00 04 17 00 00 00
        01 12 00 04 01 00 00 00 01 04 02 00 00 00 02 04 00 00 00 00 04 34 00 04 0d 00 00 00 01 2c
        00 14 00 04 07 00 00 00 01 0c 00 04 0d 00 00 00 01 04 09 00 00 00 01 14 00 04 07 00 00 00
        01 0c 00 04 0b 00 00 00 01 04 02 00 00 00 06 04 00 00 00 00";
    let key = [
        &[DataType::Ipv6Address],
        SERVICE_KEY.as_slice(),
        &[DataType::Integer],
    ];
    let set = set(Family::Ipv6, &key.concat(), endpoint(Family::Ipv6));
    assert_eq!(encode(&set).unwrap(), bytes(expected));
}

/// `set aff { typeof ip daddr . meta l4proto . th dport . numgen random mod 2; }`
#[test]
#[cfg(target_endian = "little")]
fn a_plain_set_has_no_description_of_data() {
    let expected = "
        00 04 00 00 00 00 03 60 00 04 0d 00 00 00 01 58 00 14 00 04 07 00 00 00 01 0c 00 04 0c 00
        00 00 01 04 0c 00 00 00 01 0e 00 04 09 00 00 00 01 06 00 04 10 00 00 00 02 14 00 04 07 00
        00 00 01 0c 00 04 0b 00 00 00 01 04 02 00 00 00 03 1a 00 04 17 00 00 00 01 12 00 04 01 00
        00 00 01 04 02 00 00 00 02 04 00 00 00 00";
    let key = [
        &[DataType::Ipv4Address],
        SERVICE_KEY.as_slice(),
        &[DataType::Integer],
    ];
    let set = set(Family::Ipv4, &key.concat(), SetKind::Set);
    assert_eq!(encode(&set).unwrap(), bytes(expected));
}

#[test]
fn types_that_say_all_need_no_description() {
    let set = set(Family::Ipv4, &SERVICE_KEY, endpoint(Family::Ipv4));
    assert_eq!(encode(&set), None);
}
