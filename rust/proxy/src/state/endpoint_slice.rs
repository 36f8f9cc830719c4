//! EndpointSlices, reduced to what the node needs of them.

use std::net::IpAddr;

use smol_str::SmolStr;

use crate::{NamespacedName, Protocol};

/// One port of an EndpointSlice. Sorts by name, then protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointPort {
    /// The name, which joins the port with a Service port; empty if it has none.
    pub name: SmolStr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port endpoints listen on.
    pub port: u16,
}

/// One endpoint: a place that serves a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The first of its addresses; the others are never used by a proxy.
    pub address: IpAddr,
    /// The host name it has within its Service, for DNS. Few have one, so it costs a pointer.
    pub hostname: Option<Box<SmolStr>>,
    /// The node the endpoint is on, if known.
    pub node_name: Option<SmolStr>,
    /// Whether it takes new connections; true where the API says nothing.
    pub ready: bool,
    /// Whether it answers at all, terminating or not; true where the API says nothing.
    pub serving: bool,
    /// Whether it is shutting down; false where the API says nothing.
    pub terminating: bool,
    /// Where it should serve. Most have no hints, so they cost a pointer.
    pub hints: Option<Box<Hints>>,
}

/// Where an endpoint should serve: what is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The zones (`hints.forZones`).
    pub zones: Vec<SmolStr>,
    /// The nodes (`hints.forNodes`).
    pub nodes: Vec<SmolStr>,
}

impl Endpoint {
    /// The zones it should serve; empty without a hint.
    pub fn zone_hints(&self) -> &[SmolStr] {
        self.hints.as_ref().map_or(&[], |hints| &hints.zones)
    }

    /// The nodes it should serve; empty without a hint.
    pub fn node_hints(&self) -> &[SmolStr] {
        self.hints.as_ref().map_or(&[], |hints| &hints.nodes)
    }

    /// Whether the endpoint is on a node; one whose node is not known is on none.
    pub fn is_on(&self, node_name: &str) -> bool {
        self.node_name.as_deref() == Some(node_name)
    }
}

/// A slice of the endpoints of one Service, all of one address family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// The slice's name.
    pub name: NamespacedName,
    /// The Service it belongs to (label `kubernetes.io/service-name`).
    pub service: NamespacedName,
    /// Whether it is marked as the slice of a headless Service, which no proxy serves.
    pub is_headless: bool,
    /// The ports every endpoint of the slice has, sorted.
    pub ports: Vec<EndpointPort>,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
    /// When the change that led to this version happened
    /// (annotation `endpoints.kubernetes.io/last-change-trigger-time`), as written.
    pub last_change_trigger_time: Option<SmolStr>,
}

impl EndpointSlice {
    /// The numbers of the ports of a name and protocol: one, or none, in a slice that the API
    /// would take.
    pub fn port_numbers(
        &self,
        name: &str,
        protocol: Protocol,
    ) -> impl Iterator<Item = u16> + use<'_> {
        let key = |port: &EndpointPort| (port.name.as_str(), port.protocol).cmp(&(name, protocol));
        let first = self.ports.partition_point(|port| key(port).is_lt());
        let matching = self.ports[first..].partition_point(|port| key(port).is_eq());
        self.ports[first..first + matching]
            .iter()
            .map(|port| port.port)
    }

    /// Whether two versions mean the same: the time of the change that led to a version is no
    /// change itself.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        let Self {
            name,
            service,
            is_headless,
            ports,
            endpoints,
            last_change_trigger_time: _,
        } = self;
        (name, service, is_headless, ports, endpoints)
            == (
                &other.name,
                &other.service,
                &other.is_headless,
                &other.ports,
                &other.endpoints,
            )
    }
}
