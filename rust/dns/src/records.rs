//! Records, and the sets they make.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Name;

/// A type of record (IANA's registry of DNS parameters).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

impl RecordType {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// A name server of a zone.
    pub const NS: Self = Self(2);
    /// Another name of the same.
    pub const CNAME: Self = Self(5);
    /// The start of a zone.
    pub const SOA: Self = Self(6);
    /// The name of an address.
    pub const PTR: Self = Self(12);
    /// Text.
    pub const TXT: Self = Self(16);
    /// An IPv6 address.
    pub const AAAA: Self = Self(28);
    /// Where a service is (RFC 2782).
    pub const SRV: Self = Self(33);
    /// The pseudo-record of EDNS (RFC 6891).
    pub const OPT: Self = Self(41);
    /// A question for the difference of two zone versions (RFC 1995).
    pub const IXFR: Self = Self(251);
    /// A question for a whole zone (RFC 5936).
    pub const AXFR: Self = Self(252);
    /// A question for any record (RFC 8482).
    pub const ANY: Self = Self(255);

    const NAMED: [(Self, &'static str); 11] = [
        (Self::A, "A"),
        (Self::AAAA, "AAAA"),
        (Self::SRV, "SRV"),
        (Self::PTR, "PTR"),
        (Self::CNAME, "CNAME"),
        (Self::TXT, "TXT"),
        (Self::NS, "NS"),
        (Self::SOA, "SOA"),
        (Self::IXFR, "IXFR"),
        (Self::AXFR, "AXFR"),
        (Self::ANY, "ANY"),
    ];

    /// The type of a mnemonic, or of the form `TYPE65` (RFC 3597).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_uppercase();
        let named = Self::NAMED.iter().find(|(_, name)| *name == text);
        named.map(|(number, _)| *number).or_else(|| {
            let number = text.strip_prefix("TYPE")?;
            Some(Self(number.parse().ok()?))
        })
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(number, _)| number == self) {
            Some((_, name)) => formatter.write_str(name),
            None => write!(formatter, "TYPE{}", self.0),
        }
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name that stands for this one.
    Cname(Name),
    /// The name of an address.
    Ptr(Name),
    /// A name server.
    Ns(Name),
    /// A text of at most 255 bytes.
    Txt(&'static str),
    /// A place of a service; the priority is 0.
    Srv {
        /// The share of requests among those of one priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: Name,
    },
    /// The start of a zone, with refresh, retry and expire as CoreDNS has them.
    Soa {
        /// The primary name server.
        server: Name,
        /// The mailbox of who is responsible.
        mailbox: Name,
        /// The version of the zone.
        serial: u32,
        /// How long negative answers are kept, in seconds.
        minimum: u32,
    },
}

impl Data {
    /// How often a secondary asks for the serial, when to try again, and when to give up, in
    /// seconds (CoreDNS, `plugin/backend_lookup.go`).
    pub const SOA_TIMES: [u32; 3] = [7200, 1800, 86_400];

    /// An address.
    pub fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }

    /// The type.
    pub const fn record_type(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::AAAA,
            Self::Cname(_) => RecordType::CNAME,
            Self::Ptr(_) => RecordType::PTR,
            Self::Ns(_) => RecordType::NS,
            Self::Txt(_) => RecordType::TXT,
            Self::Srv { .. } => RecordType::SRV,
            Self::Soa { .. } => RecordType::SOA,
        }
    }
}

impl fmt::Display for Data {
    /// The form of a zone file (RFC 1035, 5.1).
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => write!(formatter, "{address}"),
            Self::Aaaa(address) => write!(formatter, "{address}"),
            Self::Cname(name) | Self::Ptr(name) | Self::Ns(name) => write!(formatter, "{name}"),
            Self::Txt(text) => write!(formatter, "\"{text}\""),
            Self::Srv {
                weight,
                port,
                target,
            } => write!(formatter, "0 {weight} {port} {target}"),
            Self::Soa {
                server,
                mailbox,
                serial,
                minimum,
            } => {
                let [refresh, retry, expire] = Self::SOA_TIMES;
                write!(
                    formatter,
                    "{server} {mailbox} {serial} {refresh} {retry} {expire} {minimum}"
                )
            }
        }
    }
}

/// A record of a set, and the endpoint it stands for, if it stands for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub data: Data,
    /// The address of the endpoint it comes from.
    pub endpoint: Option<IpAddr>,
}

/// All records of one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    /// The name.
    pub owner: Name,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// The records, none twice.
    pub records: Vec<Record>,
}

impl RecordSet {
    /// The type of the records; that of addresses if there are none.
    pub fn record_type(&self) -> RecordType {
        let first = self.records.first();
        first.map_or(RecordType::A, |record| record.data.record_type())
    }
}
