//! Attributes: what is written is what is read, and any bytes can be read.

use kpx_netlink::attribute::{NLA_F_NESTED, NLA_F_NET_BYTEORDER};
use kpx_netlink::{Attributes, Writer};
use proptest::prelude::*;

#[test]
fn numbers_and_text_read_back() {
    let mut writer = Writer::new();
    writer.put_u8(1, 7);
    writer.put_u32(2, 0x0102_0304);
    writer.put_be16(3, 0x0102);
    writer.put_be32(4, 0x0102_0304);
    writer.put_be64(5, 0x0102_0304_0506_0708);
    writer.put_string(6, "kpx");
    writer.put_pieces(7, &[b"a", b"", b"bc"]);
    let attributes = Attributes::new(writer.as_bytes());
    let get = |kind| attributes.get(kind).unwrap();
    assert_eq!(get(1).as_u8(), Some(7));
    assert_eq!(get(2).as_u32(), Some(0x0102_0304));
    assert_eq!(get(3).as_be16(), Some(0x0102));
    assert_eq!(get(3).payload, [1, 2]);
    assert_eq!(get(4).as_be32(), Some(0x0102_0304));
    assert_eq!(get(4).as_be64(), None);
    assert_eq!(get(5).as_be64(), Some(0x0102_0304_0506_0708));
    assert_eq!(get(6).payload, b"kpx\0");
    assert_eq!(get(6).as_str(), Some("kpx"));
    assert_eq!(get(7).payload, b"abc");
    assert_eq!(attributes.get(8), None);
}

/// The bytes of `NFTA_HOOK_HOOKNUM` 0 and `NFTA_HOOK_PRIORITY` -100 in `NFTA_CHAIN_HOOK`, as
/// `nft --debug=mnl add chain ip kpx a { type nat hook prerouting priority -100; }` shows them.
#[test]
fn a_nest_is_what_nft_writes() {
    let mut writer = Writer::new();
    let nest = writer.open(4);
    writer.put_be32(1, 0);
    writer.put_be32(2, (-100_i32).cast_unsigned());
    assert_eq!(writer.nested_length(&nest), 20);
    writer.close(nest);
    let head = [20_u16.to_ne_bytes(), (4 | NLA_F_NESTED).to_ne_bytes()].concat();
    let first = [8_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat();
    let second = [8_u16.to_ne_bytes(), 2_u16.to_ne_bytes()].concat();
    let expected = [
        head,
        first,
        vec![0, 0, 0, 0],
        second,
        vec![0xff, 0xff, 0xff, 0x9c],
    ];
    assert_eq!(writer.as_bytes(), expected.concat());
}

#[test]
fn flags_of_the_kind_are_not_the_kind() {
    let mut writer = Writer::new();
    writer.put(3 | NLA_F_NET_BYTEORDER, &[1]);
    assert_eq!(
        Attributes::new(writer.as_bytes()).get(3).unwrap().payload,
        [1]
    );
}

#[test]
fn a_payload_too_long_for_its_length_cannot_be_read() {
    let mut writer = Writer::new();
    writer.put(1, &vec![0; Writer::MAX_ATTRIBUTE + 1]);
    let read = Attributes::new(writer.as_bytes()).get(1).unwrap();
    assert_eq!(read.payload.len(), Writer::MAX_ATTRIBUTE - 4);
}

#[test]
fn a_position_is_found_in_its_attribute() {
    let mut writer = Writer::new();
    writer.put(1, b"abcde");
    writer.put(2, b"f");
    let attributes = Attributes::new(writer.as_bytes());
    let kinds: Vec<_> = (18..42)
        .map(|position| {
            attributes
                .covering(20, position)
                .map(|found| found.attribute.kind)
        })
        .collect();
    assert_eq!(kinds[..14], [Some(1); 14]);
    assert_eq!(kinds[14..22], [Some(2); 8]);
    assert_eq!(kinds[22..], [None; 2]);
    let second = attributes.covering(20, 36).unwrap();
    assert_eq!((second.index, second.payload_start), (1, 36));
}

proptest! {
    #[test]
    fn any_attributes_read_back(list in prop::collection::vec((0_u16..0x4000, any::<Vec<u8>>()), 0..20)) {
        let mut writer = Writer::new();
        for (kind, payload) in &list {
            writer.put(*kind, payload);
        }
        prop_assert_eq!(writer.len() % 4, 0);
        let read: Vec<_> = Attributes::new(writer.as_bytes())
            .map(|attribute| (attribute.kind, attribute.payload.to_vec()))
            .collect();
        prop_assert_eq!(read, list);
    }

    #[test]
    fn any_bytes_can_be_read(bytes in any::<Vec<u8>>(), position in any::<usize>()) {
        let mut total = 0;
        let attributes = Attributes::new(&bytes);
        for attribute in attributes.clone() {
            total += attribute.payload.len() + 4;
            let _ = (attribute.as_str(), attribute.as_be32(), attribute.nested().count());
        }
        prop_assert!(total <= bytes.len());
        let _ = attributes.covering(20, position);
    }
}
