//! Domain names in wire form, lower case.

use std::fmt;
use std::net::IpAddr;

use smallvec::SmallVec;
use thiserror::Error;

/// The longest name in wire form (RFC 1035, 2.3.4).
const NAME_LENGTH: usize = 255;
/// The longest label (RFC 1035, 2.3.4).
const LABEL_LENGTH: usize = 63;

/// A text that is no domain name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not a domain name")]
pub struct NameError(String);

/// A domain name: labels with their lengths, and the root label at the end. Lower case, so that
/// equal names have equal bytes (RFC 4343).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmallVec<[u8; 80]>);

impl Name {
    /// Reads a name such as `cluster.local`, with or without a final dot. Labels are made of
    /// letters, digits, hyphens and underscores.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fail = || NameError(text.to_owned());
        let relative = text.strip_suffix('.').unwrap_or(text);
        if relative.is_empty() {
            return Err(fail());
        }
        Self::from_labels(relative.split('.')).ok_or_else(fail)
    }

    /// A name of labels; `None` if one is no label, or the name is too long.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut name = SmallVec::new();
        for label in labels {
            if !is_label(label) {
                return None;
            }
            name.push(u8::try_from(label.len()).ok()?);
            name.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        name.push(0);
        (name.len() <= NAME_LENGTH).then_some(Self(name))
    }

    /// The reverse name of an address (RFC 1035, 3.5; RFC 3596, 2.5).
    pub fn of_address(address: IpAddr) -> Option<Self> {
        let mut labels: Vec<String> = match address {
            IpAddr::V4(address) => address.octets().map(|octet| octet.to_string()).to_vec(),
            IpAddr::V6(address) => {
                let octets = address.octets();
                let nibbles = octets.iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
                nibbles.map(|nibble| format!("{nibble:x}")).collect()
            }
        };
        labels.reverse();
        let root = if address.is_ipv4() { "in-addr" } else { "ip6" };
        let labels = labels.iter().map(String::as_str);
        Self::from_labels(labels.chain([root, "arpa"]))
    }

    /// A name from valid wire form, as it was read from a message.
    pub(crate) fn from_wire(wire: &[u8]) -> Self {
        Self(wire.iter().map(u8::to_ascii_lowercase).collect())
    }

    /// This name below another; `None` if that is too long.
    pub fn below(&self, parent: &Self) -> Option<Self> {
        let mut name = self.0.clone();
        name.pop();
        name.extend_from_slice(&parent.0);
        (name.len() <= NAME_LENGTH).then_some(Self(name))
    }

    /// The wire form.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels from the left, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            if length == 0 {
                return None;
            }
            let (label, tail) = tail.split_at_checked(usize::from(length))?;
            rest = tail;
            Some(label)
        })
    }

    /// The labels left of a parent's; `None` if the name is not the parent's or below it.
    pub fn labels_below(&self, parent: &Self) -> Option<SmallVec<[&[u8]; 6]>> {
        let mut labels = SmallVec::new();
        let mut rest = self.0.as_slice();
        while rest.len() > parent.0.len() {
            let (&length, tail) = rest.split_first()?;
            let (label, tail) = tail.split_at_checked(usize::from(length))?;
            labels.push(label);
            rest = tail;
        }
        (rest == parent.0.as_slice()).then_some(labels)
    }
}

/// Whether a text can be one label of a name that we write.
pub(crate) fn is_label(label: &str) -> bool {
    (1..=LABEL_LENGTH).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl fmt::Display for Name {
    /// The form of a zone file, with a final dot (RFC 1035, 5.1).
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() == 1 {
            return formatter.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'-' | b'_' => write!(formatter, "{}", char::from(byte))?,
                    _ if byte.is_ascii_alphanumeric() => write!(formatter, "{}", char::from(byte))?,
                    _ => write!(formatter, "\\{byte:03}")?,
                }
            }
            formatter.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}
