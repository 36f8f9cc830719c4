//! The bytes of a register, key or value as the words of its type.

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::DataType;

/// How the bytes of a value read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// As a field of a set.
    Data(DataType),
    /// As a packet mark.
    Mark,
    /// As a bit mask of connection states.
    ConnectionState,
    /// As a type of route.
    RouteType,
    /// As the name of an interface, or the start of one.
    InterfaceName,
    /// As a number in network byte order.
    Number,
}

/// Route types by their `RTN_` number (`uapi/linux/rtnetlink.h`).
const ROUTE_TYPES: [&str; 9] = [
    "unspec",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
];

/// Connection states by their bit (`uapi/linux/netfilter/nf_conntrack_common.h`,
/// `NF_CT_STATE_BIT`; the bit of `untracked` is `NF_CT_STATE_UNTRACKED_BIT`).
const CONNECTION_STATES: [(u32, &str); 5] = [
    (1, "invalid"),
    (2, "established"),
    (4, "related"),
    (8, "new"),
    (64, "untracked"),
];

impl Format {
    /// Writes a value. Bytes that cannot be of the type are written as a number.
    pub(super) fn write(self, out: &mut dyn Write, bytes: &[u8]) -> fmt::Result {
        match self {
            Self::Data(data_type) => write_data(out, data_type, bytes),
            Self::InterfaceName => write_interface_name(out, bytes),
            Self::Number => write_number(out, bytes),
            Self::Mark | Self::ConnectionState | Self::RouteType => match bytes.try_into() {
                Ok(bytes) => self.write_word(out, u32::from_ne_bytes(bytes)),
                Err(_) => write_number(out, bytes),
            },
        }
    }

    /// Writes a value that is a word in host byte order.
    fn write_word(self, out: &mut dyn Write, word: u32) -> fmt::Result {
        let named = CONNECTION_STATES
            .iter()
            .fold(0, |bits, (bit, _)| bits | bit);
        match self {
            Self::ConnectionState if word != 0 && word & !named == 0 => {
                let mut separator = "";
                for (_, name) in CONNECTION_STATES.iter().filter(|(bit, _)| word & bit != 0) {
                    write!(out, "{separator}{name}")?;
                    separator = ",";
                }
                Ok(())
            }
            Self::RouteType => match ROUTE_TYPES.get(word as usize) {
                Some(name) => out.write_str(name),
                None => write!(out, "{word}"),
            },
            _ => write!(out, "0x{word:08x}"),
        }
    }
}

/// Writes one field of a key or value.
pub(super) fn write_data(out: &mut dyn Write, data_type: DataType, bytes: &[u8]) -> fmt::Result {
    match (data_type, bytes) {
        (DataType::Ipv4Address, &[a, b, c, d]) => write!(out, "{}", Ipv4Addr::new(a, b, c, d)),
        (DataType::Ipv6Address, _) => match <[u8; 16]>::try_from(bytes) {
            Ok(octets) => write!(out, "{}", Ipv6Addr::from(octets)),
            Err(_) => write_number(out, bytes),
        },
        (DataType::InetProto, &[protocol]) => match protocol {
            6 => out.write_str("tcp"),
            17 => out.write_str("udp"),
            132 => out.write_str("sctp"),
            _ => write!(out, "{protocol}"),
        },
        (DataType::InetService, &[high, low]) => {
            write!(out, "{}", u16::from_be_bytes([high, low]))
        }
        (DataType::ClassId, &[a, b, c, d]) => match u32::from_ne_bytes([a, b, c, d]) {
            0 => out.write_str("none"),
            u32::MAX => out.write_str("root"),
            handle => write!(out, "{:x}:{:x}", handle >> 16, handle & 0xffff),
        },
        (DataType::Integer, &[a, b, c, d]) => write!(out, "{}", u32::from_ne_bytes([a, b, c, d])),
        _ => write_number(out, bytes),
    }
}

/// Writes the fields of a concatenation, and up to `end` where it is an interval.
pub(super) fn write_fields(
    out: &mut dyn Write,
    fields: &[DataType],
    bytes: &[u8],
    end: Option<&[u8]>,
) -> fmt::Result {
    let mut offset = 0;
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.write_str(" . ")?;
        }
        let range = offset..offset + field.length();
        let first = bytes.get(range.clone()).unwrap_or_default();
        match end.map(|end| end.get(range).unwrap_or_default()) {
            Some(last) if last != first => write_interval(out, *field, first, last)?,
            _ => write_data(out, *field, first)?,
        }
        offset += field.padded_length();
    }
    Ok(())
}

/// Writes `first` to `last`: as a prefix where it is one.
fn write_interval(out: &mut dyn Write, field: DataType, first: &[u8], last: &[u8]) -> fmt::Result {
    write_data(out, field, first)?;
    let is_address = matches!(field, DataType::Ipv4Address | DataType::Ipv6Address);
    let mask = first.iter().zip(last).map(|(first, last)| !(first ^ last));
    match prefix_length(mask.clone()) {
        Some(length)
            if is_address
                && first
                    .iter()
                    .zip(mask)
                    .all(|(first, mask)| first & !mask == 0) =>
        {
            write!(out, "/{length}")
        }
        _ => {
            out.write_char('-')?;
            write_data(out, field, last)
        }
    }
}

/// The number of leading ones of a mask; `None` if ones follow a zero.
pub(super) fn prefix_length(mask: impl Iterator<Item = u8>) -> Option<u32> {
    let mut length = 0;
    let mut ended = false;
    for byte in mask {
        if ended && byte != 0 || byte.leading_ones() != byte.count_ones() {
            return None;
        }
        length += byte.count_ones();
        ended = byte != u8::MAX;
    }
    Some(length)
}

/// Writes the name of an interface. One that does not end in a NUL is the start of a name.
fn write_interface_name(out: &mut dyn Write, bytes: &[u8]) -> fmt::Result {
    let end = bytes.iter().position(|&byte| byte == 0);
    let name = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]);
    out.write_char('"')?;
    write_unquoted(out, &name)?;
    out.write_str(if end.is_none() { "*\"" } else { "\"" })
}

/// Writes bytes as a number in network byte order.
fn write_number(out: &mut dyn Write, bytes: &[u8]) -> fmt::Result {
    out.write_str("0x")?;
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

/// Writes ` comment "..."` if there is one.
pub(super) fn write_comment(out: &mut dyn Write, comment: Option<&str>) -> fmt::Result {
    let Some(comment) = comment else {
        return Ok(());
    };
    out.write_str(" comment \"")?;
    write_unquoted(out, comment)?;
    out.write_char('"')
}

/// Writes text for a quoted string, without what would end it.
fn write_unquoted(out: &mut dyn Write, text: &str) -> fmt::Result {
    text.chars().try_for_each(|character| {
        out.write_char(match character {
            '"' => '\'',
            _ if character.is_control() => ' ',
            _ => character,
        })
    })
}

/// Writes a duration as `nft` does: `1d3h2m3s500ms`.
pub(super) fn write_duration(out: &mut dyn Write, duration: Duration) -> fmt::Result {
    let mut rest = duration.as_millis();
    if rest == 0 {
        return out.write_str("0s");
    }
    for (unit, length) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
    ] {
        if rest >= length {
            write!(out, "{}{unit}", rest / length)?;
            rest %= length;
        }
    }
    if rest > 0 {
        write!(out, "{rest}ms")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[DataType], first: &[u8], last: Option<&[u8]>) -> String {
        let mut text = String::new();
        write_fields(&mut text, fields, first, last).unwrap();
        text
    }

    #[test]
    fn an_interval_is_a_prefix_only_where_it_covers_one() {
        let address = [DataType::Ipv4Address];
        for (first, last, text) in [
            ([10, 0, 0, 0], [10, 255, 255, 255], "10.0.0.0/8"),
            ([10, 96, 0, 0], [10, 111, 255, 255], "10.96.0.0/12"),
            ([0, 0, 0, 0], [255, 255, 255, 255], "0.0.0.0/0"),
            ([10, 0, 0, 1], [10, 0, 0, 1], "10.0.0.1"),
            ([10, 0, 0, 1], [10, 0, 0, 2], "10.0.0.1-10.0.0.2"),
            ([10, 0, 0, 2], [10, 0, 0, 7], "10.0.0.2-10.0.0.7"),
            ([10, 0, 1, 255], [10, 0, 2, 255], "10.0.1.255-10.0.2.255"),
        ] {
            assert_eq!(fields(&address, &first, Some(&last)), text);
        }
    }

    #[test]
    fn a_concatenation_skips_the_padding_of_its_fields() {
        let key = [
            DataType::Ipv4Address,
            DataType::InetProto,
            DataType::InetService,
        ];
        let bytes = [10, 96, 0, 10, 6, 0, 0, 0, 0, 80, 0, 0];
        assert_eq!(fields(&key, &bytes, None), "10.96.0.10 . tcp . 80");
        assert_eq!(fields(&key, &bytes[..4], None), "10.96.0.10 . 0x . 0x");
    }

    #[test]
    fn durations_read_as_nft_writes_them() {
        for (milliseconds, text) in [
            (0, "0s"),
            (10_800_000, "3h"),
            (97_323_500, "1d3h2m3s500ms"),
            (500, "500ms"),
        ] {
            let mut out = String::new();
            write_duration(&mut out, Duration::from_millis(milliseconds)).unwrap();
            assert_eq!(out, text);
        }
    }

    #[test]
    fn a_comment_cannot_end_its_own_quotes() {
        let mut out = String::new();
        write_comment(&mut out, Some("a\" : drop\n}")).unwrap();
        assert_eq!(out, " comment \"a' : drop }\"");
    }
}
