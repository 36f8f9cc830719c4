//! Addresses and ranges, read as the Go code of Kubernetes reads them.

use std::net::IpAddr;

use ipnet::IpNet;

/// Reads an address as `ParseIPSloppy` of `k8s.io/utils/net` does: numbers may have leading
/// zeros and are decimal all the same, and an IPv4 address written as IPv6 is IPv4.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    Some(parse_written(text)?.to_canonical())
}

/// Reads a range as `ParseCIDRSloppy` does: leading zeros are dropped, host bits cleared.
pub(super) fn parse_range(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let range = IpNet::new(parse_written(address)?, length.parse().ok()?).ok()?;
    Some(range.trunc())
}

/// Reads an address, of the family in which it is written.
fn parse_written(text: &str) -> Option<IpAddr> {
    text.parse()
        .or_else(|_| without_leading_zeros(text).parse())
        .ok()
}

/// Drops the leading zeros of every number, decimal or hexadecimal.
fn without_leading_zeros(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut in_number = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let goes_on = characters.peek().is_some_and(char::is_ascii_hexdigit);
        if character == '0' && !in_number && goes_on {
            continue;
        }
        in_number = character.is_ascii_hexdigit();
        result.push(character);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("010.000.00.09", Some("10.0.0.9")),
            ("0000000010.0.0.1", Some("10.0.0.1")),
            ("0.0.0.0", Some("0.0.0.0")),
            ("fd00::1", Some("fd00::1")),
            ("fd00::0:00000001", Some("fd00::1")),
            ("::", Some("::")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("::ffff:010.0.0.1", Some("10.0.0.1")),
            ("10.0.0.256", None),
            ("10.0.0", None),
            ("0x0a.0.0.1", None),
            (" 10.0.0.1", None),
            ("fe80::1%eth0", None),
            ("", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(parse_address(text), expected, "{text:?}");
        }
    }

    #[test]
    fn ranges_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("010.0.0.0/08", Some("10.0.0.0/8")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("fd00::1/64", Some("fd00::/64")),
            ("10.0.0.0/33", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.0/", None),
            ("10.0.0.0", None),
            ("10.0.0.0/8/8", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(parse_range(text), expected, "{text:?}");
        }
    }
}
