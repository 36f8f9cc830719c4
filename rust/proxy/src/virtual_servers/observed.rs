//! What the kernel says of IPVS and of the node's addresses.

use std::net::IpAddr;

use kpx_ipvs::{ObservedDestination, Service};

/// Everything the kernel says of IPVS and of the node's addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedServers {
    /// The virtual servers, by whomever they were made.
    pub servers: Vec<ObservedServer>,
    /// The addresses of the device of virtual servers; `None` if there is no such device.
    pub device: Option<Vec<IpAddr>>,
    /// The addresses of all other devices.
    pub node_addresses: Vec<IpAddr>,
}

/// A virtual server as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedServer {
    /// The virtual server.
    pub service: Service,
    /// Where it sends connections; left out for one that kpx did not make.
    pub destinations: Vec<ObservedDestination>,
}
