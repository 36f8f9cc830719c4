//! Frontends: the addresses and ports clients connect to.

use std::fmt;
use std::net::IpAddr;

use kpx_nftables::Family;

use crate::Protocol;

/// The family of an address.
pub fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

/// Where a frontend listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// A virtual address: a cluster IP, an external IP or a load balancer's.
    Address(IpAddr),
    /// The node's own addresses of a family.
    NodePort(Family),
}

/// What identifies a frontend: no two Services can have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrontendKey {
    /// Where it listens.
    pub location: Location,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port; for a node port, the node's.
    pub port: u16,
}

impl FrontendKey {
    /// The family whose table holds the frontend.
    pub fn family(&self) -> Family {
        match self.location {
            Location::Address(address) => family_of(address),
            Location::NodePort(family) => family,
        }
    }

    /// Whether this is a node port.
    pub fn is_node_port(&self) -> bool {
        matches!(self.location, Location::NodePort(_))
    }
}

impl fmt::Display for FrontendKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            location,
            protocol,
            port,
        } = self;
        match location {
            Location::Address(IpAddr::V4(address)) => {
                write!(formatter, "{address}:{port}/{protocol}")
            }
            Location::Address(IpAddr::V6(address)) => {
                write!(formatter, "[{address}]:{port}/{protocol}")
            }
            Location::NodePort(Family::Ipv4) => write!(formatter, "node-ip:{port}/{protocol}"),
            Location::NodePort(Family::Ipv6) => write!(formatter, "[node-ip6]:{port}/{protocol}"),
        }
    }
}

/// Why a Service has a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrontendKind {
    /// The Service's own address, for clients inside the cluster.
    ClusterIp,
    /// One of `spec.externalIPs`.
    ExternalIp,
    /// One of `status.loadBalancer.ingress`.
    LoadBalancer,
    /// A port on the node's own addresses.
    NodePort,
}

/// Where a connection is sent: an endpoint's address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The endpoint's address.
    pub address: IpAddr,
    /// The port it listens on.
    pub port: u16,
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(formatter, "{address}:{}", self.port),
            IpAddr::V6(address) => write!(formatter, "[{address}]:{}", self.port),
        }
    }
}
