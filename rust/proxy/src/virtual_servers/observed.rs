//! What the kernel says of IPVS and of the node's addresses.

use std::net::IpAddr;

use kpx_ipvs::{ObservedDestination, Service};

/// Everything the kernel says of IPVS and of the node's addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedServers {
    /// The virtual servers, by whomever they were made.
    pub servers: Vec<ObservedServer>,
    /// The addresses of the node.
    pub addresses: ObservedAddresses,
}

/// The addresses of the node's devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedAddresses {
    /// Those of the device of virtual servers; `None` if there is no such device.
    pub device: Option<Vec<IpAddr>>,
    /// Those of all other devices.
    pub node: Vec<IpAddr>,
}

impl ObservedAddresses {
    /// Those of the device of virtual servers that kpx may have given it: the kernel itself gives every
    /// device one for its link.
    pub fn given(&self) -> impl Iterator<Item = IpAddr> {
        let is_link_local = |address: &IpAddr| match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        let addresses = self.device.iter().flatten().copied();
        addresses.filter(move |address| !is_link_local(address))
    }
}

/// A virtual server as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedServer {
    /// The virtual server.
    pub service: Service,
    /// Where it sends connections; left out for one that kpx did not make.
    pub destinations: Vec<ObservedDestination>,
}
