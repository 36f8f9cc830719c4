//! Addresses and protocols as IPVS writes them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kpx_netlink::{Attribute, Writer};

/// The length of `union nf_inet_addr` (`uapi/linux/netfilter.h`).
const UNION: usize = 16;

/// A transport protocol that IPVS balances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The number in an IP header (`uapi/linux/in.h`).
    pub const fn number(self) -> u16 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The protocol of that number, if IPVS balances it by port.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            132 => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// The number of an address family, `AF_INET` or `AF_INET6`.
pub(crate) fn family_number(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    }
}

/// `AF_INET` (`linux/socket.h`).
pub(crate) const AF_INET: u16 = 2;
/// `AF_INET6` (`linux/socket.h`).
pub(crate) const AF_INET6: u16 = 10;

/// Appends an address as `union nf_inet_addr`: 16 bytes, of which IPv4 uses the first 4.
pub(crate) fn put_address(writer: &mut Writer, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            writer.put_pieces(kind, &[&address.octets(), &[0; UNION - 4]]);
        }
        IpAddr::V6(address) => writer.put(kind, &address.octets()),
    }
}

/// Reads an address of a family.
pub(crate) fn read_address(family: u16, attribute: Attribute<'_>) -> Option<IpAddr> {
    match family {
        AF_INET => {
            let octets: [u8; 4] = *attribute.payload.first_chunk()?;
            Some(Ipv4Addr::from(octets).into())
        }
        AF_INET6 => {
            let octets: [u8; UNION] = *attribute.payload.first_chunk()?;
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}
