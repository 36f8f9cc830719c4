//! The packet that is followed.

use std::net::{IpAddr, SocketAddr};

use crate::expression::{Payload, PayloadBase};
use crate::{Bytes, Family, Name};

/// What conntrack knows of the packet's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// The packet is the first of its connection.
    New,
    /// There were packets in both directions.
    Established,
}

impl ConnectionState {
    /// The bit of the state in `ct state`
    /// (`uapi/linux/netfilter/nf_conntrack_common.h`, `NF_CT_STATE_BIT`).
    pub(super) const fn bit(self) -> u32 {
        match self {
            Self::New => 8,
            Self::Established => 2,
        }
    }
}

/// A packet before it meets the first hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where it goes to.
    pub destination: SocketAddr,
    /// Its transport protocol, by number: 6 for TCP, 17 for UDP, 132 for SCTP.
    pub protocol: u8,
    /// The interface that it came in by; `None` if this host made it.
    pub input_interface: Option<Name>,
    /// Its mark.
    pub mark: u32,
    /// Its priority for queueing.
    pub priority: u32,
    /// The state of its connection.
    pub state: ConnectionState,
}

impl Packet {
    /// The first packet of a TCP connection that this host makes.
    pub const fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source,
            destination,
            protocol: 6,
            input_interface: None,
            mark: 0,
            priority: 0,
            state: ConnectionState::New,
        }
    }

    /// The same packet, coming in by an interface.
    #[must_use]
    pub fn arriving(self, interface: impl Into<Name>) -> Self {
        Self {
            input_interface: Some(interface.into()),
            ..self
        }
    }

    /// The family of its addresses; `None` if they differ.
    pub(super) const fn family(&self) -> Option<Family> {
        match (self.source, self.destination) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) => Some(Family::Ipv4),
            (SocketAddr::V6(_), SocketAddr::V6(_)) => Some(Family::Ipv6),
            _ => None,
        }
    }

    /// The bytes that a payload expression loads; `None` beyond the headers.
    pub(super) fn load(&self, payload: &Payload) -> Option<Bytes> {
        let header = match payload.base {
            PayloadBase::Network => self.network_header(),
            PayloadBase::Transport => self.transport_header(),
        };
        let start = payload.offset as usize;
        let end = start.checked_add(payload.length as usize)?;
        header.get(start..end).map(Bytes::from_slice)
    }

    /// An IPv4 header (RFC 791, section 3.1) or IPv6 header (RFC 8200, section 3) with the
    /// addresses and the protocol.
    fn network_header(&self) -> Vec<u8> {
        let addresses = [self.source.ip(), self.destination.ip()].map(|address| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        });
        let start = match self.destination {
            SocketAddr::V4(_) => [0x45, 0, 0, 0, 0, 0, 0, 0, 64, self.protocol, 0, 0].to_vec(),
            SocketAddr::V6(_) => [0x60, 0, 0, 0, 0, 0, self.protocol, 64].to_vec(),
        };
        [start, addresses.concat()].concat()
    }

    /// The ports, which every transport header begins with.
    fn transport_header(&self) -> Vec<u8> {
        [self.source.port(), self.destination.port()]
            .map(u16::to_be_bytes)
            .concat()
    }
}
