//! Tells which tracked flows a commit made stale.

use std::net::SocketAddr;

use kpx_conntrack::{Filter, NodePort};
use kpx_nftables::Family;

use super::Proxier;
use crate::Protocol;
use crate::config::NodePortAddresses;
use crate::frontend::{FrontendKey, Location, family_of};

impl<D> Proxier<D> {
    /// Takes the UDP frontends that commits have changed since this was last called, with the
    /// endpoints that answer there now. Flows to frontends that did not change are not concerned; nor
    /// are those to frontends that are gone, as in kube-proxy: what was begun goes on.
    ///
    /// Frontends of Services that the kernel refused wait until they are programmed.
    pub fn take_stale_flows(&mut self) -> Filter {
        let mut filter = Filter::default();
        let keys = std::mem::take(&mut self.unchecked);
        for key in keys {
            let Some(spec) = self.desired.frontend(&key) else {
                continue;
            };
            let Some(serving) = spec.serving.clone() else {
                continue;
            };
            if !self.withheld.is_empty() && self.withheld.contains(&spec.service()) {
                self.unchecked.insert(key);
                continue;
            }
            match key.location {
                Location::Address(address) => {
                    filter.insert(SocketAddr::new(address, key.port), serving);
                }
                Location::NodePort(family) => {
                    let (addresses, others) = self.node_port_addresses(family);
                    let node_port = NodePort {
                        addresses,
                        others,
                        serving,
                    };
                    filter.insert_node_port(family == Family::Ipv6, key.port, node_port);
                }
            }
        }
        filter
    }

    /// Notes the changed frontends whose flows are to be checked: they are programmed now.
    pub(super) fn note_flows(&mut self) {
        let (changed, _) = self.desired.changes();
        let is_udp = |key: &&FrontendKey| key.protocol == Protocol::Udp;
        self.unchecked
            .extend(changed.iter().filter(is_udp).copied());
    }

    /// The addresses that are known to have node ports, and whether others may have them.
    fn node_port_addresses(&self, family: Family) -> (Vec<std::net::IpAddr>, bool) {
        let node = self.state.node();
        match self.config.nodeport_addresses(family, node) {
            NodePortAddresses::These(addresses) => (addresses, false),
            NodePortAddresses::All | NodePortAddresses::Within(_) => {
                let own = node.map(|node| node.addresses.as_slice());
                let own = own.unwrap_or_default().iter().copied();
                (
                    own.filter(|address| family_of(*address) == family)
                        .collect(),
                    true,
                )
            }
        }
    }
}
