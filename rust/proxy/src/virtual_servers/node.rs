//! What of the node bears on virtual servers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kpx_ipvs::Scheduler;
use kpx_nftables::Family;

use crate::config::NodePortAddresses;
use crate::frontend::family_of;

/// What of the node bears on virtual servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpvsNode {
    /// The scheduler of Services that do not say.
    pub scheduler: Scheduler,
    /// The addresses of all its devices but that of virtual servers.
    pub addresses: BTreeSet<IpAddr>,
}

impl IpvsNode {
    /// Whether the node has an address anyhow. Such an address is not given to the device of virtual
    /// servers, and what listens on it is not closed off.
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// The addresses of a family on which node ports answer.
    pub fn node_port_addresses(&self, family: Family, chosen: &NodePortAddresses) -> Vec<IpAddr> {
        let is_link_local = |address: &IpAddr| match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        let own = self.addresses.iter().copied().filter(|address| {
            family_of(*address) == family && !address.is_loopback() && !is_link_local(address)
        });
        match chosen {
            NodePortAddresses::All => own.collect(),
            NodePortAddresses::These(addresses) => addresses.clone(),
            NodePortAddresses::Within(ranges) => own
                .filter(|address| ranges.iter().any(|range| range.contains(address)))
                .collect(),
        }
    }
}
