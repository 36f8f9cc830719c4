//! What is programmed, in numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use kpx_nftables::Ruleset;
use serde::Serialize;

use super::Proxier;
use crate::dataplane::Dataplane;
use crate::hash::HashSet;
use crate::layout::{Balancer, SetTable};
use crate::names::TABLE;
use crate::programmed::{FrontendElements, Programmed};
use crate::virtual_servers::ProgrammedServers;

/// What the kernel holds, in numbers. It can be told without knowing what is desired: whose a
/// frontend is stands in the comments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The kernel's generation when it was read.
    pub generation: u32,
    /// How many Services have frontends.
    pub services: usize,
    /// How many addresses and ports clients can connect to.
    pub frontends: usize,
    /// How many distinct endpoints they lead to.
    pub endpoints: usize,
    /// The tables of kpx that exist, by family.
    pub tables: BTreeMap<&'static str, TableStatus>,
    /// What IPVS holds, if kpx has made anything there.
    pub virtual_servers: Option<ServerStatus>,
    /// Elements that kpx never writes.
    pub strays: usize,
    /// Frontends that do not hold together, such as a chain over three endpoints where there are
    /// two.
    pub inconsistent: Vec<String>,
    /// The Services that are not programmed as they should be, as `namespace/name: reason`.
    pub failures: Vec<String>,
}

/// What IPVS holds, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerStatus {
    /// How many virtual servers kpx made.
    pub servers: usize,
    /// How many destinations they have.
    pub destinations: usize,
    /// How many of these take nothing new, and wait for their connections to end.
    pub draining: usize,
    /// How many addresses the device of virtual servers has.
    pub addresses: usize,
    /// How many virtual servers others made.
    pub foreign: usize,
}

/// What one table holds, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableStatus {
    /// How many chains there are.
    pub chains: usize,
    /// How many rules there are.
    pub rules: usize,
    /// How many elements each set and map has; empty ones are left out.
    pub elements: BTreeMap<String, usize>,
}

impl<D: Dataplane> Proxier<D> {
    /// Reads the kernel and tells what it holds. Changes nothing of what the proxier knows.
    pub fn status(&mut self) -> Result<Status, D::ObserveError> {
        let ruleset = self.dataplane.observe()?;
        let mut status = Status::of(ruleset, &self.sets);
        let servers = ProgrammedServers::adopt(self.dataplane.observe_servers(false)?);
        status.count_servers(&servers);
        let failures = self.failed.iter();
        status.failures = failures
            .map(|(service, reason)| format!("{service}: {reason}"))
            .collect();
        status.failures.sort_unstable();
        Ok(status)
    }
}

impl Status {
    /// The status as a JSON object with the names of the fields.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    fn count_servers(&mut self, programmed: &ProgrammedServers) {
        if programmed.servers.is_empty() && !programmed.has_device {
            return;
        }
        let servers = programmed.servers.values();
        let destinations = servers.flat_map(|server| &server.destinations);
        self.virtual_servers = Some(ServerStatus {
            servers: programmed.servers.len(),
            destinations: destinations.clone().count(),
            draining: destinations.filter(|(_, weight)| **weight == 0).count(),
            addresses: programmed.addresses.len(),
            foreign: programmed.foreign.len(),
        });
    }

    /// Counts what a ruleset holds.
    fn of(ruleset: Ruleset, sets: &SetTable) -> Self {
        let mut tables = BTreeMap::new();
        for (table, contents) in ruleset
            .tables
            .iter()
            .filter(|(table, _)| table.name == TABLE)
        {
            let elements = contents.sets.iter();
            let elements = elements.map(|(name, set)| (name.to_string(), set.elements.len()));
            let status = TableStatus {
                chains: contents.chains.len(),
                rules: contents
                    .chains
                    .values()
                    .map(|chain| chain.rules.len())
                    .sum(),
                elements: elements.filter(|(_, count)| *count > 0).collect(),
            };
            tables.insert(table.family.keyword(), status);
        }
        let programmed = Programmed::adopt(ruleset, sets);
        let frontends = programmed.frontends.values().map(Arc::as_ref);
        let services: HashSet<&str> = frontends.clone().map(FrontendElements::service).collect();
        let endpoints: HashSet<_> = frontends
            .flat_map(|elements| {
                let local = elements.local_endpoints.endpoints();
                elements.endpoints.endpoints().chain(local)
            })
            .collect();
        let inconsistent = programmed.frontends.iter();
        let inconsistent = inconsistent.filter(|(key, elements)| {
            let known = programmed.tables.get(&key.family());
            let exists = |balancer: Balancer| {
                known.is_some_and(|table| table.chains.contains_key(&balancer.name()))
            };
            !is_consistent(elements) || !elements.balancers().all(exists)
        });
        let mut inconsistent: Vec<String> = inconsistent
            .map(|(key, elements)| format!("{key} of {}", elements.owner))
            .collect();
        inconsistent.sort_unstable();
        Self {
            generation: programmed.generation,
            services: services.len(),
            frontends: programmed.frontends.len(),
            endpoints: endpoints.len(),
            tables,
            virtual_servers: None,
            strays: programmed.strays.len(),
            inconsistent,
            failures: Vec::new(),
        }
    }
}

/// Whether the chains a frontend leads to choose among as many endpoints as it has.
fn is_consistent(elements: &FrontendElements) -> bool {
    let fits = |balancer: Option<Balancer>, count: usize| {
        balancer.map_or(count == 0, |balancer| balancer.count as usize == count)
    };
    let all = elements.endpoints.endpoints().count();
    let local = elements.local_endpoints.endpoints().count();
    match elements.short_circuit {
        Some(_) => fits(elements.short_circuit, all) && fits(elements.dispatch, local),
        None if local > 0 => fits(elements.dispatch, local) && all == 0,
        None => fits(elements.dispatch, all),
    }
}
