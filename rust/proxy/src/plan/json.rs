//! A plan as JSON: a stable form for programs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeSeq, SerializeStruct, Serializer};

use super::{Action, FrontendChange, Plan};
use crate::names::DEVICE;
use crate::programmed::{EndpointSlots, FrontendElements};
use crate::virtual_servers::{ServerChange, VirtualServer};

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Delete => "delete",
        })
    }
}

impl Serialize for EndpointSlots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.endpoints().map(ToString::to_string))
    }
}

impl Serialize for FrontendElements {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut state = serializer.serialize_struct("FrontendElements", 7)?;
        let name = |balancer: crate::layout::Balancer| balancer.name();
        state.serialize_field("chain", &self.dispatch.map(name))?;
        state.serialize_field("refusal", &self.refusal.map(|refusal| refusal.to_string()))?;
        state.serialize_field("shortCircuitChain", &self.short_circuit.map(name))?;
        state.serialize_field("endpoints", &self.endpoints)?;
        state.serialize_field("localEndpoints", &self.local_endpoints)?;
        let ranges = self.firewalled.then_some(&self.source_ranges);
        state.serialize_field("sourceRanges", &ranges)?;
        state.serialize_field("counters", &self.counting.on)?;
        state.end()
    }
}

/// An element of `changes`: a frontend.
#[derive(Serialize)]
struct Frontend<'a> {
    action: Action,
    kind: &'static str,
    name: String,
    service: &'a str,
    port: &'a str,
    before: Option<&'a FrontendElements>,
    after: Option<&'a FrontendElements>,
}

/// An element of `changes`: anything but a frontend.
#[derive(Serialize)]
struct Other {
    action: Action,
    kind: &'static str,
    name: String,
}

/// An element of `changes`: a virtual server.
#[derive(Serialize)]
struct Server<'a> {
    action: Action,
    kind: &'static str,
    name: String,
    service: &'a str,
    before: Option<&'a VirtualServer>,
    after: Option<&'a VirtualServer>,
}

impl<'a> From<&'a ServerChange> for Server<'a> {
    fn from(change: &'a ServerChange) -> Self {
        Self {
            action: change.action(),
            kind: "virtualServer",
            name: change.key.to_string(),
            service: change.service(),
            before: change.before.as_ref(),
            after: change.after.as_ref(),
        }
    }
}

impl Serialize for VirtualServer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let weights = self.destinations.iter();
        let weights: BTreeMap<String, u32> = weights
            .map(|(key, weight)| (key.to_string(), *weight))
            .collect();
        let seconds = self
            .service
            .persistence
            .map(|persistence| persistence.seconds);
        let mut state = serializer.serialize_struct("VirtualServer", 3)?;
        state.serialize_field("scheduler", &self.service.scheduler.to_string())?;
        state.serialize_field("persistenceSeconds", &seconds)?;
        state.serialize_field("weights", &weights)?;
        state.end()
    }
}

#[derive(Serialize)]
struct Counts {
    added: usize,
    changed: usize,
    removed: usize,
}

impl<'a> From<&'a FrontendChange> for Frontend<'a> {
    fn from(change: &'a FrontendChange) -> Self {
        let existing = |elements: &'a FrontendElements| (!elements.is_empty()).then_some(elements);
        Self {
            action: change.action(),
            kind: "frontend",
            name: change.key.to_string(),
            service: change.named().service(),
            port: change.named().port_name(),
            before: existing(&change.before),
            after: existing(&change.after),
        }
    }
}

/// The list of changes, written one by one.
struct Changes<'a>(&'a Plan);

impl Serialize for Changes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(plan) = self;
        let mut list = serializer.serialize_seq(Some(plan.len()))?;
        for change in &plan.frontends {
            list.serialize_element(&Frontend::from(change))?;
        }
        for change in &plan.members {
            let (action, name) = (change.action(), change.member.to_string());
            list.serialize_element(&Other {
                action,
                kind: "member",
                name,
            })?;
        }
        for change in plan.definitions.iter().chain(&plan.prune) {
            let (action, name) = (change.action(), change.to_string());
            list.serialize_element(&Other {
                action,
                kind: "definition",
                name,
            })?;
        }
        for change in &plan.virtual_servers.servers {
            list.serialize_element(&Server::from(change))?;
        }
        let device = plan
            .virtual_servers
            .device
            .map(|present| (present, DEVICE.to_owned()));
        let addresses = plan.virtual_servers.addresses.iter();
        let addresses = addresses.map(|change| (change.present, change.address.to_string()));
        let kinds = ["device", "address"];
        for (kind, (present, name)) in device
            .into_iter()
            .map(|device| (kinds[0], device))
            .chain(addresses.map(|address| (kinds[1], address)))
        {
            let action = if present { Action::Add } else { Action::Delete };
            list.serialize_element(&Other { action, kind, name })?;
        }
        for stray in &plan.strays {
            let name = format!("{} {}", stray.set.table.family.keyword(), stray.set.name);
            list.serialize_element(&Other {
                action: Action::Delete,
                kind: "stray",
                name,
            })?;
        }
        list.end()
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let summary = self.summary();
        let mut state = serializer.serialize_struct("Plan", 2)?;
        state.serialize_field("changes", &Changes(self))?;
        let summary = Counts {
            added: summary.added,
            changed: summary.changed,
            removed: summary.removed,
        };
        state.serialize_field("summary", &summary)?;
        state.end()
    }
}

impl Plan {
    /// The plan as a JSON object: `changes`, a list, and `summary`, the counts.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}
