//! How frontends and endpoints are written as keys and values, and read back.
//!
//! A key is a concatenation: each field starts at a 32-bit word, shorter ones are followed by
//! zeros. Addresses and ports are in network byte order, slots in host byte order, which is how
//! `numgen` leaves them in its register.

use std::net::IpAddr;

use ipnet::IpNet;
use kpx_nftables::{Bytes, Family, Set};

use super::sets::{SetId, SetShape};
use crate::Protocol;
use crate::frontend::{Destination, FrontendKey, Location};

/// Writes the key of a frontend.
pub(crate) fn encode_key(key: &FrontendKey) -> Bytes {
    let mut bytes = Bytes::new();
    if let Location::Address(address) = key.location {
        push_address(&mut bytes, address);
    }
    push_protocol(&mut bytes, key.protocol);
    push_port(&mut bytes, key.port);
    bytes
}

/// Writes the key of one of a frontend's endpoints.
pub(crate) fn encode_slot_key(key: &FrontendKey, slot: u32) -> Bytes {
    let mut bytes = encode_key(key);
    bytes.extend_from_slice(&slot.to_ne_bytes());
    bytes
}

/// Writes a slot as a value.
pub(crate) fn encode_slot(slot: u32) -> Bytes {
    Bytes::from_slice(&slot.to_ne_bytes())
}

/// Reads a slot that is a value.
pub(crate) fn decode_slot(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

/// Writes the first and the last key of a range of sources.
pub(crate) fn encode_range(key: &FrontendKey, range: IpNet) -> (Bytes, Bytes) {
    let bound = |address| {
        let mut bytes = encode_key(key);
        push_address(&mut bytes, address);
        bytes
    };
    (bound(range.network()), bound(range.broadcast()))
}

/// Writes where a connection is sent.
pub(crate) fn encode_destination(destination: &Destination) -> Bytes {
    let mut bytes = Bytes::new();
    push_address(&mut bytes, destination.address);
    push_port(&mut bytes, destination.port);
    bytes
}

/// Writes an element of one of the sets that are shared by all Services.
pub(crate) fn encode_member(member: &Member) -> Bytes {
    let mut bytes = Bytes::new();
    match member {
        Member::ClusterIp(address) | Member::VirtualIp(address) | Member::NodePortIp(address) => {
            push_address(&mut bytes, *address);
        }
        Member::Hairpin(endpoint, protocol) => {
            push_address(&mut bytes, endpoint.address);
            push_address(&mut bytes, endpoint.address);
            push_protocol(&mut bytes, *protocol);
            push_port(&mut bytes, endpoint.port);
        }
    }
    bytes
}

/// An element of one of the sets that are shared by all Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// A cluster IP, in [`SetId::ClusterIps`].
    ClusterIp(IpAddr),
    /// An address of the device of virtual servers, in [`SetId::VirtualIps`].
    VirtualIp(IpAddr),
    /// An address of the node, in [`SetId::NodePortIps`].
    NodePortIp(IpAddr),
    /// An endpoint on this node, in [`SetId::HairpinConnections`].
    Hairpin(Destination, Protocol),
}

impl Member {
    /// The set the element is in.
    pub fn set(&self) -> SetId {
        match self {
            Self::ClusterIp(_) => SetId::ClusterIps,
            Self::VirtualIp(_) => SetId::VirtualIps,
            Self::NodePortIp(_) => SetId::NodePortIps,
            Self::Hairpin(..) => SetId::HairpinConnections,
        }
    }

    /// The family whose table holds the element.
    pub fn family(&self) -> Family {
        crate::frontend::family_of(match self {
            Self::ClusterIp(address) | Self::VirtualIp(address) | Self::NodePortIp(address) => {
                *address
            }
            Self::Hairpin(endpoint, _) => endpoint.address,
        })
    }
}

/// Reads the key of a frontend.
pub(crate) fn decode_key(family: Family, node_port: bool, bytes: &[u8]) -> Option<FrontendKey> {
    let mut reader = Reader { bytes };
    let key = reader.key(family, node_port)?;
    reader.end().then_some(key)
}

/// The frontend an element of any set belongs to, by the element's key.
pub(crate) fn frontend_key(set: &Set, bytes: &[u8]) -> Option<FrontendKey> {
    let id = SetId::ALL
        .into_iter()
        .find(|id| id.name() == set.name.as_str())?;
    match id.shape() {
        SetShape::Addresses | SetShape::Hairpins | SetShape::Clients => None,
        SetShape::Verdicts
        | SetShape::Endpoints
        | SetShape::Numbers
        | SetShape::StickyEndpoints
        | SetShape::Keys
        | SetShape::Ranges => Reader { bytes }.key(set.table.family, id.is_node_port()),
    }
}

/// Reads the key of one of a frontend's endpoints.
pub(crate) fn decode_slot_key(
    family: Family,
    node_port: bool,
    bytes: &[u8],
) -> Option<(FrontendKey, u32)> {
    let mut reader = Reader { bytes };
    let key = reader.key(family, node_port)?;
    let slot = u32::from_ne_bytes(reader.take()?);
    reader.end().then_some((key, slot))
}

/// Reads a range of sources; `None` unless it is one CIDR of one frontend.
pub(crate) fn decode_range(
    family: Family,
    first: &[u8],
    last: &[u8],
) -> Option<(FrontendKey, IpNet)> {
    let bound = |bytes| {
        let mut reader = Reader { bytes };
        let (key, address) = (reader.key(family, false)?, reader.address(family)?);
        reader.end().then_some((key, address))
    };
    let ((key, first), (last_key, last)) = (bound(first)?, bound(last)?);
    let (different, bits) = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            (u128::from(u32::from(first) ^ u32::from(last)), 32)
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => (u128::from(first) ^ u128::from(last), 128),
        _ => return None,
    };
    let host_bits = u8::try_from(u128::BITS - different.leading_zeros()).ok()?;
    let range = IpNet::new(first, bits - host_bits).ok()?;
    let whole = range.network() == first && range.broadcast() == last;
    (whole && key == last_key).then_some((key, range))
}

/// Reads where a connection is sent.
pub(crate) fn decode_destination(family: Family, bytes: &[u8]) -> Option<Destination> {
    let mut reader = Reader { bytes };
    let destination = Destination {
        address: reader.address(family)?,
        port: reader.port()?,
    };
    reader.end().then_some(destination)
}

/// Reads an element of one of the sets that are shared by all Services.
pub(crate) fn decode_member(family: Family, set: SetId, bytes: &[u8]) -> Option<Member> {
    let mut reader = Reader { bytes };
    let address = reader.address(family)?;
    let member = match set {
        SetId::ClusterIps => Member::ClusterIp(address),
        SetId::VirtualIps => Member::VirtualIp(address),
        SetId::NodePortIps => Member::NodePortIp(address),
        SetId::HairpinConnections if reader.address(family)? == address => {
            let protocol = reader.protocol()?;
            Member::Hairpin(
                Destination {
                    address,
                    port: reader.port()?,
                },
                protocol,
            )
        }
        _ => return None,
    };
    reader.end().then_some(member)
}

fn push_address(bytes: &mut Bytes, address: IpAddr) {
    match address {
        IpAddr::V4(address) => bytes.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => bytes.extend_from_slice(&address.octets()),
    }
}

fn push_protocol(bytes: &mut Bytes, protocol: Protocol) {
    bytes.extend_from_slice(&[protocol as u8, 0, 0, 0]);
}

fn push_port(bytes: &mut Bytes, port: u16) {
    let [high, low] = port.to_be_bytes();
    bytes.extend_from_slice(&[high, low, 0, 0]);
}

/// Takes fields off the front of a key.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (head, tail) = self.bytes.split_first_chunk()?;
        self.bytes = tail;
        Some(*head)
    }

    fn key(&mut self, family: Family, node_port: bool) -> Option<FrontendKey> {
        let location = if node_port {
            Location::NodePort(family)
        } else {
            Location::Address(self.address(family)?)
        };
        Some(FrontendKey {
            location,
            protocol: self.protocol()?,
            port: self.port()?,
        })
    }

    fn address(&mut self, family: Family) -> Option<IpAddr> {
        Some(match family {
            Family::Ipv4 => self.take::<4>()?.into(),
            Family::Ipv6 => self.take::<16>()?.into(),
        })
    }

    fn protocol(&mut self) -> Option<Protocol> {
        let [number, padding @ ..] = self.take::<4>()?;
        let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
            .into_iter()
            .find(|protocol| *protocol as u8 == number)?;
        (padding == [0; 3]).then_some(protocol)
    }

    fn port(&mut self) -> Option<u16> {
        let [high, low, padding @ ..] = self.take::<4>()?;
        (padding == [0; 2]).then(|| u16::from_be_bytes([high, low]))
    }

    fn end(&self) -> bool {
        self.bytes.is_empty()
    }
}
