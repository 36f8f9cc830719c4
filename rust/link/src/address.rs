//! Addresses of devices.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kpx_netlink::message::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use kpx_netlink::{Header, Message, Writer};

pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_DELADDR: u16 = 21;
pub(crate) const RTM_GETADDR: u16 = 22;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
/// No detection of duplicates: the address works at once.
const IFA_F_NODAD: u32 = 0x02;
/// An address that is valid only within this host (`RT_SCOPE_HOST`).
const RT_SCOPE_HOST: u8 = 254;
/// The length of `struct ifaddrmsg`.
pub(crate) const HEADER_LENGTH: usize = 8;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// An address of a device as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkAddress {
    /// The device's [`Link::index`](crate::Link::index).
    pub index: u32,
    /// The address.
    pub address: IpAddr,
}

/// A change of the addresses of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressChange {
    /// Adds an address on its own, without a network. Fails with `EEXIST` if it is there.
    Add(LinkAddress),
    /// Deletes an address. Fails with `EADDRNOTAVAIL` if it is not there.
    Delete(LinkAddress),
}

impl LinkAddress {
    /// Reads an address; `None` if it makes no sense.
    pub(crate) fn read(message: &Message<'_>) -> Option<Self> {
        let family = *message.payload.first()?;
        let index = message.payload.get(4..8)?.try_into().ok()?;
        let attributes = message.attributes(HEADER_LENGTH);
        // Where the two differ, IFA_ADDRESS is the other end's.
        let found = attributes
            .get(IFA_LOCAL)
            .or_else(|| attributes.get(IFA_ADDRESS))?;
        let address = match family {
            AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(found.payload).ok()?).into(),
            AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(found.payload).ok()?).into(),
            _ => return None,
        };
        Some(Self {
            index: u32::from_ne_bytes(index),
            address,
        })
    }

    /// Appends `struct ifaddrmsg` and the address.
    ///
    /// The address is no choice of the kernel's for what the node sends of its own accord: an IPv4
    /// address has the host's scope, an IPv6 address is deprecated from the start.
    fn write(&self, writer: &mut Writer) {
        let index = self.index.to_ne_bytes();
        match self.address {
            IpAddr::V4(address) => {
                writer.put_raw(&[AF_INET, 32, 0, RT_SCOPE_HOST]);
                writer.put_raw(&index);
                writer.put(IFA_LOCAL, &address.octets());
                writer.put(IFA_ADDRESS, &address.octets());
            }
            IpAddr::V6(address) => {
                writer.put_raw(&[AF_INET6, 128, 0, 0]);
                writer.put_raw(&index);
                writer.put(IFA_LOCAL, &address.octets());
                // `struct ifa_cacheinfo`: preferred for 0 seconds, valid for ever.
                let lifetimes = [0, u32::MAX, 0, 0].map(u32::to_ne_bytes);
                writer.put(IFA_CACHEINFO, lifetimes.as_flattened());
                writer.put_u32(IFA_FLAGS, IFA_F_NODAD);
            }
        }
    }
}

impl AddressChange {
    /// Appends the change as a message.
    pub(crate) fn write(&self, writer: &mut Writer, flags: u16, sequence: u32) {
        let (kind, own_flags, address) = match self {
            Self::Add(address) => (RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address),
            Self::Delete(address) => (RTM_DELADDR, 0, address),
        };
        let start = writer.begin_message(Header {
            kind,
            flags: NLM_F_REQUEST | own_flags | flags,
            sequence,
        });
        address.write(writer);
        writer.end_message(start);
    }
}

impl fmt::Display for AddressChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, address) = match self {
            Self::Add(address) => ("add", address),
            Self::Delete(address) => ("delete", address),
        };
        write!(formatter, "{verb} address `{}`", address.address)
    }
}
