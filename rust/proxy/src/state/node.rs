//! This node's own Node object, reduced to what the proxy needs of it.

use std::net::IpAddr;

use ipnet::IpNet;
use smol_str::SmolStr;

/// What the proxy knows of the node it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The node's own addresses, first of each family first: `InternalIP` entries, then
    /// `ExternalIP` entries, of `status.addresses`.
    pub addresses: Vec<IpAddr>,
    /// The label `topology.kubernetes.io/zone`.
    pub zone: Option<SmolStr>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<IpNet>,
}
