//! What IPVS and the device of virtual servers hold: read once, kept in step after that.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kpx_ipvs::{DestinationKey, ServiceKey};

use super::{ObservedAddresses, ObservedServers, VirtualServer};
use crate::hash::{HashMap, HashSet};

/// What the kernel holds of virtual servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgrammedServers {
    /// The virtual servers that kpx made.
    pub servers: HashMap<ServiceKey, VirtualServer>,
    /// Those that others made. They are never touched.
    pub foreign: HashSet<ServiceKey>,
    /// Whether the device of virtual servers is there.
    pub has_device: bool,
    /// The addresses of that device.
    pub addresses: HashSet<IpAddr>,
    /// The destinations that are being drained, and since when, in seconds by the caller's clock, once
    /// it was told.
    draining: BTreeMap<ServiceKey, BTreeMap<DestinationKey, Option<f64>>>,
    /// Those of them that are to go now.
    finished: HashSet<(ServiceKey, DestinationKey)>,
}

impl ProgrammedServers {
    /// Takes over what the kernel says. A destination of weight 0 is one that is being drained, whoever
    /// began it.
    pub fn adopt(observed: ObservedServers) -> Self {
        let mut programmed = Self {
            has_device: observed.addresses.device.is_some(),
            addresses: observed.addresses.given().collect(),
            ..Self::default()
        };
        for found in observed.servers {
            let key = found.service.key;
            if !found.service.owned {
                programmed.foreign.insert(key);
                continue;
            }
            let idle = found
                .destinations
                .iter()
                .filter(|found| found.destination.weight == 0 && found.is_idle());
            let idle: Vec<_> = idle.map(|found| (key, found.destination.key)).collect();
            let weights = found.destinations.iter();
            let weights = weights.map(|found| (found.destination.key, found.destination.weight));
            let server = VirtualServer {
                service: found.service,
                destinations: weights.collect(),
            };
            programmed.set(key, Some(server));
            programmed.finished.extend(idle);
        }
        programmed
    }

    /// Whether the device of virtual servers has other addresses than noted.
    pub(crate) fn has_other_addresses(&self, observed: &ObservedAddresses) -> bool {
        let found: HashSet<IpAddr> = observed.given().collect();
        self.has_device != observed.device.is_some() || self.addresses != found
    }

    /// Whether other virtual servers are noted here than there.
    pub(crate) fn has_other_servers(&self, other: &Self) -> bool {
        self.servers != other.servers || self.foreign != other.foreign
    }

    /// Notes that a virtual server is as given, or is gone.
    pub(crate) fn set(&mut self, key: ServiceKey, server: Option<VirtualServer>) {
        let before = self.draining.remove(&key).unwrap_or_default();
        for destination in before.keys() {
            self.finished.remove(&(key, *destination));
        }
        let Some(server) = server else {
            self.servers.remove(&key);
            return;
        };
        let draining = server.draining();
        let draining: BTreeMap<_, _> = draining
            .map(|destination| (destination, before.get(&destination).copied().flatten()))
            .collect();
        if !draining.is_empty() {
            self.draining.insert(key, draining);
        }
        self.servers.insert(key, server);
    }

    /// The virtual servers that have a destination that is being drained, with these destinations.
    pub fn draining(&self) -> impl Iterator<Item = (&ServiceKey, usize)> {
        let draining = self.draining.iter();
        draining.map(|(key, destinations)| (key, destinations.len()))
    }

    /// Notes which of the destinations of a virtual server are idle, and lets those go that are, or
    /// that have been drained for longer than `bound` seconds. Gives how many more are to go.
    pub(crate) fn finish(
        &mut self,
        key: &ServiceKey,
        is_idle: impl Fn(&DestinationKey) -> bool,
        now: f64,
        bound: f64,
    ) -> usize {
        let Some(draining) = self.draining.get_mut(key) else {
            return 0;
        };
        let mut count = 0;
        for (destination, since) in draining {
            let since = *since.get_or_insert(now);
            let is_over = is_idle(destination) || now - since >= bound;
            if is_over && self.finished.insert((*key, *destination)) {
                count += 1;
            }
        }
        count
    }

    /// Whether a destination that is being drained is to go now.
    pub(crate) fn is_finished(&self, key: &ServiceKey, destination: &DestinationKey) -> bool {
        !self.finished.is_empty() && self.finished.contains(&(*key, *destination))
    }

    /// The virtual servers that have a destination that is to go now.
    pub(crate) fn finished(&self) -> impl Iterator<Item = &ServiceKey> {
        self.finished.iter().map(|(key, _)| key)
    }
}
