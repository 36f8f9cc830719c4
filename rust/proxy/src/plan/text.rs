//! A plan as a diff a person can read.
//!
//! Changes are grouped by Service; `+`, `~` and `-` stand before what comes, changes and goes, so
//! that colour is never needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use kpx_nftables::Family;

use super::{Action, DefinitionChange, FrontendChange, Plan};
use crate::layout::Member;
use crate::names::DEVICE;
use crate::programmed::{EndpointSlots, FrontendElements};
use crate::virtual_servers::{AddressChange, ServerChange, VirtualServer, VirtualServerPlan};

/// How many endpoints a line names; of more it says how many.
const ENDPOINTS_NAMED: usize = 8;

impl Display for Action {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Add => "+",
            Self::Change => "~",
            Self::Delete => "-",
        })
    }
}

impl Display for Plan {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return formatter.write_str("Nothing to change.");
        }
        let mut services: BTreeMap<&str, Vec<&FrontendChange>> = BTreeMap::new();
        for change in &self.frontends {
            services
                .entry(change.named().service())
                .or_default()
                .push(change);
        }
        for (service, changes) in services {
            writeln!(
                formatter,
                "{}",
                if service.is_empty() {
                    "(unknown Service)"
                } else {
                    service
                }
            )?;
            for change in changes {
                writeln!(formatter, "  {change}")?;
            }
        }
        self.write_servers(formatter)?;
        self.write_shared(formatter)?;
        let summary = self.summary();
        write!(
            formatter,
            "Plan: {} to add, {} to change, {} to delete.",
            summary.added, summary.changed, summary.removed
        )
    }
}

impl Plan {
    fn write_servers(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let VirtualServerPlan {
            servers,
            addresses,
            device,
        } = &self.virtual_servers;
        if !servers.is_empty() {
            writeln!(formatter, "virtual servers")?;
        }
        for change in servers {
            writeln!(formatter, "  {change}")?;
        }
        let sign = |present: bool| if present { Action::Add } else { Action::Delete };
        if device.is_some() || !addresses.is_empty() {
            writeln!(formatter, "addresses of virtual servers")?;
        }
        if let Some(present) = device {
            writeln!(formatter, "  {} device {DEVICE}", sign(*present))?;
        }
        for change in addresses {
            writeln!(formatter, "  {change}")?;
        }
        Ok(())
    }

    fn write_shared(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut members = self.members.iter().peekable();
        if members.peek().is_some() {
            writeln!(formatter, "shared sets")?;
        }
        for change in members {
            writeln!(formatter, "  {} {}", change.action(), change.member)?;
        }
        if !self.definitions.is_empty() || !self.prune.is_empty() || !self.strays.is_empty() {
            writeln!(formatter, "tables")?;
        }
        let whole = |change: &DefinitionChange| match change {
            DefinitionChange::AddTable(table) | DefinitionChange::RemakeTable(table) => {
                Some(table.family)
            }
            _ => None,
        };
        let made: Vec<Family> = self.definitions.iter().filter_map(whole).collect();
        for change in self.definitions.iter().chain(&self.prune) {
            // What a table is made with goes without saying, but for how much it is.
            if let Some(family) = whole(change) {
                let parts = self
                    .definitions
                    .iter()
                    .filter(|part| part.table().family == family)
                    .count();
                let action = change.action();
                writeln!(
                    formatter,
                    "  {action} {change}, with {} sets and chains",
                    parts - 1
                )?;
            } else if !made.contains(&change.table().family) {
                writeln!(formatter, "  {} {change}", change.action())?;
            }
        }
        for stray in &self.strays {
            let set = &stray.set;
            let family = set.table.family.keyword();
            writeln!(
                formatter,
                "  - element of {} {family} that kpx did not write",
                set.name
            )?;
        }
        Ok(())
    }
}

impl Display for Member {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let set = self.set().name();
        match self {
            Self::ClusterIp(address) | Self::VirtualIp(address) | Self::NodePortIp(address) => {
                write!(formatter, "{set} {address}")
            }
            Self::Hairpin(endpoint, protocol) => write!(formatter, "{set} {endpoint}/{protocol}"),
        }
    }
}

impl Display for DefinitionChange {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddTable(table) => {
                write!(formatter, "table {} {}", table.family.keyword(), table.name)
            }
            Self::RemakeTable(table) => {
                let family = table.family.keyword();
                write!(
                    formatter,
                    "table {family} {} is of another form: made anew",
                    table.name
                )
            }
            Self::AddSet(set) | Self::DeleteSet(set) => {
                let kind = if set.is_map() { "map" } else { "set" };
                write!(
                    formatter,
                    "{kind} {} {}",
                    set.table.family.keyword(),
                    set.name
                )
            }
            Self::AddChain(contents) => write_chain(formatter, &contents.chain),
            Self::ReplaceRules(contents) => {
                write_chain(formatter, &contents.chain)?;
                formatter.write_str(" has other rules")
            }
            Self::DeleteChain(chain) => write_chain(formatter, chain),
        }
    }
}

fn write_chain(formatter: &mut Formatter<'_>, chain: &kpx_nftables::Chain) -> fmt::Result {
    write!(
        formatter,
        "chain {} {}",
        chain.table.family.keyword(),
        chain.name
    )
}

impl Display for FrontendChange {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { key, before, after } = self;
        let action = self.action();
        write!(formatter, "{action} {:<28}", key.to_string())?;
        match action {
            Action::Add => write_elements(formatter, after),
            Action::Delete => formatter.write_str(" gone"),
            Action::Change => {
                if before.owner != after.owner {
                    write!(formatter, " {} -> {}", before.owner, after.owner)?;
                }
                if treatment(before) != treatment(after) {
                    write!(formatter, " {} -> {}", treatment(before), treatment(after))?;
                }
                write_difference(formatter, "", &before.endpoints, &after.endpoints)?;
                let (before_local, after_local) = (&before.local_endpoints, &after.local_endpoints);
                write_difference(formatter, " on this node", before_local, after_local)?;
                if before.counting != after.counting {
                    let counters = if after.counting.on { "on" } else { "off" };
                    write!(formatter, " counters {counters}")?;
                }
                if before.source_ranges != after.source_ranges {
                    formatter.write_str(" source ranges")?;
                }
                Ok(())
            }
        }
    }
}

impl Display for AddressChange {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.present {
            Action::Add
        } else {
            Action::Delete
        };
        write!(formatter, "{sign} {DEVICE} {}", self.address)
    }
}

/// A virtual server in the words of `ipvsadm`, and which destinations come, go or change weight.
impl Display for ServerChange {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let service = |server: &Option<VirtualServer>| {
            let server = server.as_ref();
            server.map(|server| server.service.to_string())
        };
        let (before, after) = (service(&self.before), service(&self.after));
        write!(formatter, "{} ", self.action())?;
        match (&before, &after) {
            (Some(before), Some(after)) if before != after => {
                write!(formatter, "{before} becomes {after}")?;
            }
            (_, Some(after)) => formatter.write_str(after)?,
            (_, None) => return write!(formatter, "{} gone", self.key),
        }
        let none = BTreeMap::new();
        let weights = |server: &'_ Option<VirtualServer>| {
            let server = server.as_ref();
            server.map_or(none.clone(), |server| server.destinations.clone())
        };
        let (before, after) = (weights(&self.before), weights(&self.after));
        let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let changed = keys
            .into_iter()
            .map(|key| (key, before.get(key), after.get(key)))
            .filter(|(_, before, after)| before != after);
        let changed: Vec<_> = changed.collect();
        for (key, before, after) in changed.iter().take(ENDPOINTS_NAMED) {
            match (before, after) {
                (None, Some(1)) => write!(formatter, " +{key}")?,
                (None, Some(weight)) => write!(formatter, " +{key} weight {weight}")?,
                (Some(before), Some(0)) => write!(formatter, " ~{key} weight {before}, drains")?,
                (Some(before), Some(after)) => {
                    write!(formatter, " ~{key} weight {before} to {after}")?;
                }
                (_, None) => write!(formatter, " -{key}")?,
            }
        }
        match changed.len().checked_sub(ENDPOINTS_NAMED) {
            None | Some(0) => Ok(()),
            Some(more) => write!(formatter, " and {more} more"),
        }
    }
}

fn write_elements(formatter: &mut Formatter<'_>, elements: &FrontendElements) -> fmt::Result {
    write!(formatter, " {}", treatment(elements))?;
    write_difference(
        formatter,
        "",
        &EndpointSlots::default(),
        &elements.endpoints,
    )?;
    write_difference(
        formatter,
        " on this node",
        &EndpointSlots::default(),
        &elements.local_endpoints,
    )?;
    if elements.firewalled {
        write!(
            formatter,
            " from {} source ranges",
            elements.source_ranges.len()
        )?;
    }
    Ok(())
}

/// In a word, what happens to connections: the balancing chain, the refusal, or both.
fn treatment(elements: &FrontendElements) -> String {
    let dispatch = elements
        .dispatch
        .map(|balancer| balancer.name().to_string());
    let refusal = elements.refusal.map(|refusal| refusal.to_string());
    let words: Vec<String> = dispatch.into_iter().chain(refusal).collect();
    words.join(" else ")
}

/// Writes which endpoints come and go. One that only moves to another slot is not shown: nobody
/// can tell.
fn write_difference(
    formatter: &mut Formatter<'_>,
    suffix: &str,
    before: &EndpointSlots,
    after: &EndpointSlots,
) -> fmt::Result {
    let mut difference: Vec<_> = before.endpoints().map(|endpoint| (endpoint, "-")).collect();
    difference.extend(after.endpoints().map(|endpoint| (endpoint, "+")));
    difference.sort_unstable();
    let alone: Vec<_> = difference
        .chunk_by(|(left, _), (right, _)| left == right)
        .filter_map(|chunk| match chunk {
            [only] => Some(*only),
            _ => None,
        })
        .collect();
    for (endpoint, sign) in alone.iter().take(ENDPOINTS_NAMED) {
        write!(formatter, " {sign}{endpoint}{suffix}")?;
    }
    match alone.len().checked_sub(ENDPOINTS_NAMED) {
        None | Some(0) => Ok(()),
        Some(more) => write!(formatter, " and {more} more{suffix}"),
    }
}
