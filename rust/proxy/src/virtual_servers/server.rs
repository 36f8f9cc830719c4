//! One virtual server.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kpx_ipvs::{DestinationKey, Persistence, Protocol as IpvsProtocol, Service, ServiceKey};

use crate::Protocol;
use crate::desired::FrontendSpec;
use crate::frontend::{Destination, FrontendKey, Location, family_of};

/// A virtual server and where it sends connections: the same form for what is desired, what is
/// planned and what the kernel holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServer {
    /// The virtual server itself.
    pub service: Service,
    /// The weights of its destinations. One of weight 0 takes nothing new: what it has goes on
    /// until it is idle, and then it is deleted.
    pub destinations: BTreeMap<DestinationKey, u32>,
}

impl VirtualServer {
    /// What a frontend wants at one of its addresses; `None` if it has no endpoint, or nftables
    /// chooses it.
    pub fn wanted(key: ServiceKey, spec: &FrontendSpec) -> Option<Self> {
        let balancing = spec.balancing.as_ref()?;
        let endpoints = spec.endpoints();
        if endpoints.is_empty() {
            return None;
        }
        let prefix = match key.family() {
            kpx_ipvs::Family::Ipv4 => 32,
            kpx_ipvs::Family::Ipv6 => 128,
        };
        let persistence = spec.affinity.map(|seconds| Persistence { seconds, prefix });
        let weight = |endpoint: &Destination| {
            let key = DestinationKey {
                address: endpoint.address,
                port: endpoint.port,
            };
            (key, balancing.weight(endpoint.address))
        };
        Some(Self {
            service: Service {
                persistence,
                ..Service::new(key, balancing.scheduler.clone())
            },
            destinations: endpoints.iter().map(weight).collect(),
        })
    }

    /// The destinations that take nothing new.
    pub fn draining(&self) -> impl Iterator<Item = DestinationKey> {
        let destinations = self.destinations.iter();
        destinations
            .filter(|(_, weight)| **weight == 0)
            .map(|(key, _)| *key)
    }
}

/// The key of the virtual server at an address.
pub(crate) fn server_key(address: IpAddr, protocol: Protocol, port: u16) -> ServiceKey {
    ServiceKey::Address {
        protocol: match protocol {
            Protocol::Tcp => IpvsProtocol::Tcp,
            Protocol::Udp => IpvsProtocol::Udp,
            Protocol::Sctp => IpvsProtocol::Sctp,
        },
        address,
        port,
    }
}

/// What a key says, the other way round; `None` for a key that kpx never uses.
pub(crate) fn read_server_key(key: &ServiceKey) -> Option<(IpAddr, Protocol, u16)> {
    match key {
        ServiceKey::Address {
            protocol,
            address,
            port,
        } => {
            let protocol = match protocol {
                IpvsProtocol::Tcp => Protocol::Tcp,
                IpvsProtocol::Udp => Protocol::Udp,
                IpvsProtocol::Sctp => Protocol::Sctp,
            };
            Some((*address, protocol, *port))
        }
        ServiceKey::Mark { .. } => None,
    }
}

/// Whether a destination that goes is drained first: TCP alone has connections that end.
pub(crate) fn drains(key: &ServiceKey) -> bool {
    matches!(
        key,
        ServiceKey::Address {
            protocol: IpvsProtocol::Tcp,
            ..
        }
    )
}

/// The frontends that may be behind a virtual server.
pub(crate) fn frontends_of_server(key: &ServiceKey) -> impl Iterator<Item = FrontendKey> {
    let parts = read_server_key(key).into_iter();
    parts.flat_map(|(address, protocol, port)| {
        let locations = [
            Location::Address(address),
            Location::NodePort(family_of(address)),
        ];
        locations.map(|location| FrontendKey {
            location,
            protocol,
            port,
        })
    })
}
