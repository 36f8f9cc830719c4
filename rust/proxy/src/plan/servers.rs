//! Compares virtual servers: what is desired with what IPVS holds.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kpx_ipvs::ServiceKey;
use kpx_nftables::{Family, Name};

use super::Plan;
use super::planner::{Held, Planner};
use crate::desired::FrontendSpec;
use crate::frontend::{FrontendKey, Location, family_of};
use crate::layout::Member;
use crate::virtual_servers::{
    AddressChange, ServerChange, VirtualServer, drains, read_server_key, server_key,
};

impl Planner<'_> {
    /// Compares all virtual servers.
    pub(super) fn plan_all_servers(&self, held: &Held<'_>, plan: &mut Plan) {
        let wanted = self
            .desired
            .frontends()
            .flat_map(|key| self.server_keys(key));
        let found = self.servers.servers.keys().copied();
        let keys: BTreeSet<ServiceKey> = wanted.chain(found).collect();
        for key in keys {
            self.plan_server(key, held, plan);
        }
        let wants_device = self.ipvs.is_some();
        if wants_device != self.servers.has_device {
            plan.virtual_servers.device = Some(wants_device);
        }
        if wants_device {
            let wanted = self.desired.members().filter_map(virtual_ip);
            let found = self.servers.addresses.iter().copied();
            let addresses: BTreeSet<IpAddr> = wanted.chain(found).collect();
            for address in addresses {
                self.plan_address(address, held, plan);
            }
        }
    }

    /// Compares the virtual servers whose frontends changed, and those with a destination that has
    /// been drained.
    pub(super) fn plan_changed_servers(&self, held: &Held<'_>, plan: &mut Plan) {
        let (frontends, members) = self.desired.changes();
        let changed = frontends.iter().flat_map(|key| self.server_keys(key));
        let finished = self.servers.finished().copied();
        let keys: BTreeSet<ServiceKey> = changed.chain(finished).collect();
        for key in keys {
            self.plan_server(key, held, plan);
        }
        if self.ipvs.is_some() {
            let addresses: BTreeSet<IpAddr> = members.iter().filter_map(virtual_ip).collect();
            for address in addresses {
                self.plan_address(address, held, plan);
            }
        }
    }

    /// The virtual servers of a frontend: one at its address, or one at each address that has node
    /// ports.
    fn server_keys(&self, key: &FrontendKey) -> Vec<ServiceKey> {
        let FrontendKey {
            location,
            protocol,
            port,
        } = *key;
        let at = |address| server_key(address, protocol, port);
        match location {
            Location::Address(address) => vec![at(address)],
            Location::NodePort(family) => {
                let addresses = self.node_port_addresses(family);
                addresses.iter().copied().map(at).collect()
            }
        }
    }

    fn node_port_addresses(&self, family: Family) -> &[IpAddr] {
        let [ipv4, ipv6] = self.node_port_addresses;
        match family {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        }
    }

    /// The frontends that may be behind a virtual server, the one that has it first: an address of a
    /// Service comes before a node port, as in the chains.
    fn frontends_at(&self, key: &ServiceKey) -> impl Iterator<Item = FrontendKey> {
        let parts = read_server_key(key);
        let at = move |location| {
            parts.map(|(_, protocol, port)| FrontendKey {
                location,
                protocol,
                port,
            })
        };
        let address = parts.map(|(address, ..)| address);
        let as_address = address.and_then(|address| at(Location::Address(address)));
        let has_node_ports = |address: &IpAddr| {
            let family = family_of(*address);
            self.node_port_addresses(family).contains(address)
        };
        let as_node_port = address
            .filter(has_node_ports)
            .and_then(|address| at(Location::NodePort(family_of(address))));
        as_address.into_iter().chain(as_node_port)
    }

    /// Compares one virtual server.
    fn plan_server(&self, key: ServiceKey, held: &Held<'_>, plan: &mut Plan) {
        let mut frontends = self.frontends_at(&key);
        let is_held = |key: FrontendKey| held.frontends.contains_key(&key);
        if self.servers.foreign.contains(&key) || self.frontends_at(&key).any(is_held) {
            return;
        }
        let (frontend, spec) = frontends
            .find_map(|key| Some((key, self.wanted(&key)?)))
            .unzip();
        let before = self.servers.servers.get(&key);
        let after = self.settle_server(&key, before, spec);
        if before != after.as_ref() {
            let owner = spec.map(|spec| spec.owner.clone());
            let owner = owner.or_else(|| self.programmed_owner(&key, frontend));
            plan.virtual_servers.servers.push(ServerChange {
                key,
                owner: owner.unwrap_or_default(),
                before: before.cloned(),
                after,
            });
        }
    }

    /// Whose a virtual server was that nobody wants any more.
    fn programmed_owner(&self, key: &ServiceKey, frontend: Option<FrontendKey>) -> Option<Name> {
        let frontends = frontend.into_iter().chain(self.frontends_at(key));
        let mut elements = frontends.filter_map(|key| self.programmed.frontends.get(&key));
        elements.next().map(|elements| elements.owner.clone())
    }

    /// What IPVS is to hold. A destination that a Service does not want any more keeps its connections
    /// until they end; one whose Service is gone does not.
    fn settle_server(
        &self,
        key: &ServiceKey,
        before: Option<&VirtualServer>,
        spec: Option<&FrontendSpec>,
    ) -> Option<VirtualServer> {
        let spec = spec.filter(|spec| spec.balancing.is_some())?;
        let mut after = VirtualServer::wanted(*key, spec);
        let Some(before) = before.filter(|_| drains(key)) else {
            return after;
        };
        let mut draining = before.destinations.keys().filter(|destination| {
            let is_wanted = after
                .as_ref()
                .is_some_and(|after| after.destinations.contains_key(destination));
            !is_wanted && !self.servers.is_finished(key, destination)
        });
        let draining: Vec<_> = draining.by_ref().copied().collect();
        if draining.is_empty() {
            return after;
        }
        let server = after.get_or_insert_with(|| VirtualServer {
            service: before.service.clone(),
            destinations: std::collections::BTreeMap::new(),
        });
        server
            .destinations
            .extend(draining.into_iter().map(|destination| (destination, 0)));
        after
    }

    /// Compares one address of the device of virtual servers.
    fn plan_address(&self, address: IpAddr, held: &Held<'_>, plan: &mut Plan) {
        let member = Member::VirtualIp(address);
        let present = self.desired.has_member(&member) || held.needs(&member);
        if present != self.servers.addresses.contains(&address) {
            let change = AddressChange { address, present };
            plan.virtual_servers.addresses.push(change);
        }
    }
}

fn virtual_ip(member: &Member) -> Option<IpAddr> {
    match member {
        Member::VirtualIp(address) => Some(*address),
        _ => None,
    }
}
