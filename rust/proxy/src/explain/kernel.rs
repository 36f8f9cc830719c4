//! Whether the kernel holds what an explanation says.

use std::collections::BTreeSet;

use kpx_nftables::{ChainContents, Family, Name};
use serde::Serialize;

use crate::frontend::{Destination, FrontendKey, Location};
use crate::hash::HashSet;
use crate::layout::{Balancer, Member, frontend_key};
use crate::plan::{DefinitionChange, Plan};
use crate::programmed::FrontendElements;
use crate::virtual_servers::frontends_of_server;

/// What the kernel holds, compared with what is desired for a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Kernel {
    /// It cannot be read.
    #[serde(rename_all = "camelCase")]
    Unreadable {
        /// Why not.
        error: String,
    },
    /// It was read.
    #[serde(rename_all = "camelCase")]
    Read {
        /// Where it differs; empty if it is as desired.
        differences: Vec<Difference>,
    },
}

/// A change that would make the kernel as desired.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The change, as a plan shows it: `+` adds, `~` changes and `-` deletes.
    pub change: String,
    /// For a frontend, what the kernel holds now.
    pub programmed: Option<FrontendElements>,
    /// For a frontend, what it should hold.
    pub desired: Option<FrontendElements>,
}

/// What of the kernel concerns a target.
#[derive(Debug, Default)]
pub(super) struct Concern {
    pub(super) frontends: BTreeSet<FrontendKey>,
    pub(super) endpoints: HashSet<Destination>,
    /// The chains its frontends should be sent to.
    pub(super) balancers: BTreeSet<(Family, Balancer)>,
}

impl Concern {
    /// The changes of a plan that concern the target.
    pub(super) fn differences(&self, plan: &Plan) -> Vec<Difference> {
        let frontends = plan.frontends.iter();
        let frontends = frontends.filter(|change| self.frontends.contains(&change.key));
        let existing =
            |elements: &FrontendElements| (!elements.is_empty()).then(|| elements.clone());
        let frontends = frontends.map(|change| Difference {
            change: change.to_string(),
            programmed: existing(&change.before),
            desired: existing(&change.after),
        });
        let members = plan.members.iter();
        let members = members.filter(|change| self.has_member(&change.member));
        let members = members.map(|change| format!("{} {}", change.action(), change.member));
        let strays = plan.strays.iter().filter(|stray| {
            let key = frontend_key(&stray.set, &stray.element.key);
            key.is_some_and(|key| self.frontends.contains(&key))
        });
        let strays = strays.map(|stray| {
            let set = &stray.set;
            let family = set.table.family.keyword();
            format!("- element of {} {family} that kpx did not write", set.name)
        });
        let servers = plan.virtual_servers.servers.iter();
        let servers = servers.filter(|change| {
            let mut frontends = frontends_of_server(&change.key);
            frontends.any(|key| self.frontends.contains(&key))
        });
        let servers = servers.map(ToString::to_string);
        let addresses = plan.virtual_servers.addresses.iter();
        let addresses = addresses.filter(|change| {
            let location = Location::Address(change.address);
            self.frontends.iter().any(|key| key.location == location)
        });
        let addresses = addresses.map(ToString::to_string);
        let definitions = self.definitions(plan).into_iter();
        let definitions = definitions.map(|change| format!("{} {change}", change.action()));
        let shared = definitions.chain(members).chain(strays);
        let shared = shared.chain(servers).chain(addresses);
        let shared = shared.map(|change| Difference {
            change,
            programmed: None,
            desired: None,
        });
        frontends.chain(shared).collect()
    }

    fn has_family(&self, family: Family) -> bool {
        self.frontends.iter().any(|key| key.family() == family)
    }

    fn has_member(&self, member: &Member) -> bool {
        match member {
            Member::ClusterIp(address) | Member::VirtualIp(address) => {
                let location = Location::Address(*address);
                self.frontends.iter().any(|key| key.location == location)
            }
            Member::NodePortIp(_) => {
                let location = Location::NodePort(member.family());
                self.frontends.iter().any(|key| key.location == location)
            }
            Member::Hairpin(endpoint, _) => self.endpoints.contains(endpoint),
        }
    }

    /// The chains and sets that packets to the target meet. Where a whole table is missing, that
    /// says it all.
    fn definitions<'a>(&self, plan: &'a Plan) -> Vec<&'a DefinitionChange> {
        let tables = plan.definitions.iter().filter_map(|change| match change {
            DefinitionChange::AddTable(table) | DefinitionChange::RemakeTable(table) => {
                Some(table.family)
            }
            _ => None,
        });
        let missing: Vec<Family> = tables.collect();
        let is_met = |change: &DefinitionChange| match change {
            DefinitionChange::AddTable(table) | DefinitionChange::RemakeTable(table) => {
                self.has_family(table.family)
            }
            DefinitionChange::AddSet(set) | DefinitionChange::DeleteSet(set) => {
                let family = set.table.family;
                self.has_family(family) && !missing.contains(&family)
            }
            DefinitionChange::AddChain(ChainContents { chain, .. })
            | DefinitionChange::ReplaceRules(ChainContents { chain, .. })
            | DefinitionChange::DeleteChain(chain) => {
                let family = chain.table.family;
                !missing.contains(&family) && self.meets_chain(family, &chain.name)
            }
        };
        let definitions = plan.definitions.iter();
        definitions.filter(|change| is_met(change)).collect()
    }

    /// Whether packets to the target may come to a chain: all fixed ones, and the balancing ones
    /// its frontends are sent to.
    fn meets_chain(&self, family: Family, name: &Name) -> bool {
        self.has_family(family)
            && Balancer::from_name(name)
                .is_none_or(|balancer| self.balancers.contains(&(family, balancer)))
    }
}
