//! Compares what is desired with what is programmed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use kpx_nftables::{ChainContents, Family, Name};
use smol_str::SmolStr;

use super::{DefinitionChange, FrontendChange, MemberChange, Plan};
use crate::NamespacedName;
use crate::desired::{Desired, FrontendSpec};
use crate::frontend::{FrontendKey, Location};
use crate::hash::{HashMap, HashSet};
use crate::layout::{Balancer, Member, SetTable, Skeleton};
use crate::programmed::{Counting, FrontendElements, Programmed, ProgrammedTable};
use crate::virtual_servers::{IpvsNode, ProgrammedServers};

/// What planning needs to know.
pub(crate) struct Planner<'a> {
    /// What the kernel should hold for Services.
    pub(crate) desired: &'a Desired,
    /// What it holds.
    pub(crate) programmed: &'a Programmed,
    /// The definitions of all sets.
    pub(crate) sets: &'a SetTable,
    /// The fixed chains of each family.
    pub(crate) skeletons: &'a [Skeleton; 2],
    /// What IPVS holds.
    pub(crate) servers: &'a ProgrammedServers,
    /// What is known of the node where IPVS chooses the endpoints.
    pub(crate) ipvs: Option<&'a IpvsNode>,
    /// The addresses of each family on which node ports are virtual servers.
    pub(crate) node_port_addresses: &'a [Vec<IpAddr>; 2],
    /// The Services, as `namespace/name`, whose frontends stay as they are, wanted or not.
    pub(crate) held: &'a HashSet<SmolStr>,
    /// The Services whose wishes do not count for now: what is programmed for them stays, and
    /// nothing is added.
    pub(crate) withheld: &'a HashSet<NamespacedName>,
    /// Whether elements count connections.
    pub(crate) counters: bool,
}

impl Planner<'_> {
    /// Compares everything, and plans to delete what nobody wants.
    pub(crate) fn plan_all(&self) -> Plan {
        let mut plan = Plan::default();
        self.plan_definitions(&mut plan);
        let remade = remade_families(&plan);
        let held = Held::new(self);

        let mut needed = BTreeSet::new();
        let is_held = |key: &&FrontendKey| held.frontends.contains_key(key);
        for key in self.desired.frontends().filter(|key| !is_held(key)) {
            let after = self.plan_frontend(*key, &remade, &mut plan);
            needed.extend(after.balancers().map(|balancer| (key.family(), balancer)));
        }
        for (key, elements) in &held.frontends {
            needed.extend(
                elements
                    .balancers()
                    .map(|balancer| (key.family(), balancer)),
            );
            if remade.contains(&key.family()) {
                plan.frontends.push(addition(*key, elements));
            }
        }
        let gone = self.programmed.frontends.iter().filter(|(key, _)| {
            self.wanted(key).is_none() && !is_held(key) && !remade.contains(&key.family())
        });
        plan.frontends
            .extend(gone.map(|(key, before)| deletion(*key, before)));
        let is_new = |member: &Member| {
            remade.contains(&member.family()) || !self.programmed.members.contains(member)
        };
        let kept = self.programmed.members.iter();
        let kept = kept.filter(|member| held.needs(member) && !self.desired.has_member(member));
        let wanted = self.desired.members();
        let wanted = wanted.filter(|member| !held.members.contains(member));
        let added = wanted.chain(kept).copied().filter(is_new);
        plan.members.extend(added.map(|member| MemberChange {
            member,
            present: true,
        }));
        let gone = self.programmed.members.iter().copied().filter(|member| {
            !remade.contains(&member.family())
                && !self.desired.has_member(member)
                && !held.needs(member)
        });
        plan.members.extend(gone.map(|member| MemberChange {
            member,
            present: false,
        }));
        let strays = self.programmed.strays.iter();
        let strays = strays.filter(|stray| !remade.contains(&stray.set.table.family));
        plan.strays.extend(strays.cloned());

        self.plan_all_servers(&held, &mut plan);
        self.plan_balancers(&needed, &remade, &mut plan);
        self.plan_prune(&needed, &remade, &mut plan);
        plan.frontends.sort_unstable_by_key(|change| change.key);
        plan.members.sort_unstable();
        plan
    }

    /// Compares what changed in the desired state since it was last programmed; all else is known
    /// to be right. Chains that nobody uses any more stay until all is compared again.
    pub(crate) fn plan_changed(&self) -> Plan {
        let mut plan = Plan::default();
        let held = Held::new(self);
        let (keys, members) = self.desired.changes();
        let mut needed = BTreeSet::new();
        for key in keys.iter().filter(|key| !held.frontends.contains_key(key)) {
            if self.wanted(key).is_some() {
                let after = self.plan_frontend(*key, &[], &mut plan);
                needed.extend(after.balancers().map(|balancer| (key.family(), balancer)));
            } else if let Some(before) = self.programmed.frontends.get(key) {
                plan.frontends.push(deletion(*key, before));
            }
        }
        for member in members {
            if held.members.contains(member) {
                continue;
            }
            let present = self.desired.has_member(member) || held.needs(member);
            if present != self.programmed.members.contains(member) {
                plan.members.push(MemberChange {
                    member: *member,
                    present,
                });
            }
        }
        self.plan_changed_servers(&held, &mut plan);
        self.plan_balancers(&needed, &[], &mut plan);
        plan
    }

    /// Compares one wanted frontend, and gives what the maps will hold for it.
    fn plan_frontend(
        &self,
        key: FrontendKey,
        remade: &[Family],
        plan: &mut Plan,
    ) -> Arc<FrontendElements> {
        let Some(spec) = self.wanted(&key) else {
            return FrontendElements::none();
        };
        let before = self.programmed.frontends.get(&key);
        let after = Arc::new(FrontendElements {
            counting: Counting::all(self.counters),
            ..spec.settle(&key, before.map(Arc::as_ref))
        });
        let before = before.filter(|_| !remade.contains(&key.family()));
        if before != Some(&after) {
            plan.frontends.push(FrontendChange {
                key,
                before: before.cloned().unwrap_or_else(FrontendElements::none),
                after: Arc::clone(&after),
            });
        }
        after
    }

    /// What a frontend should do, if anybody wants it whose wishes count.
    pub(super) fn wanted(&self, key: &FrontendKey) -> Option<&FrontendSpec> {
        let spec = self.desired.frontend(key)?;
        let counts = self.withheld.is_empty() || !self.withheld.contains(&spec.service());
        counts.then_some(spec)
    }

    fn plan_definitions(&self, plan: &mut Plan) {
        for skeleton in self.skeletons {
            let sets = self.sets.family(skeleton.family);
            let desired = skeleton.chains();
            let empty = ProgrammedTable::default();
            let table = skeleton.table();
            let programmed = match self.programmed.tables.get(&skeleton.family) {
                None => {
                    plan.definitions.push(DefinitionChange::AddTable(table));
                    &empty
                }
                Some(programmed) if self.is_foreign(programmed, skeleton.family, &desired) => {
                    plan.definitions.push(DefinitionChange::RemakeTable(table));
                    &empty
                }
                Some(programmed) => programmed,
            };
            let missing = sets
                .iter()
                .filter(|set| !programmed.sets.contains_key(&set.name));
            plan.definitions
                .extend(missing.cloned().map(DefinitionChange::AddSet));
            plan_chains(desired, programmed, plan);
        }
    }

    /// Whether a table holds sets or base chains under our names that have another form: neither
    /// can be changed in place.
    fn is_foreign(
        &self,
        programmed: &ProgrammedTable,
        family: Family,
        chains: &BTreeMap<Name, ChainContents>,
    ) -> bool {
        let other_set = self.sets.family(family).iter().any(|set| {
            programmed
                .sets
                .get(&set.name)
                .is_some_and(|found| found != set)
        });
        let other_base = programmed.chains.iter().any(|(name, found)| {
            let is_ours = chains.contains_key(name) || Balancer::from_name(name).is_some();
            let desired = chains.get(name).and_then(|desired| desired.chain.base);
            is_ours && found.chain.base != desired
        });
        other_set || other_base
    }

    /// Plans the chains that frontends are sent to.
    fn plan_balancers(
        &self,
        needed: &BTreeSet<(Family, Balancer)>,
        remade: &[Family],
        plan: &mut Plan,
    ) {
        for skeleton in self.skeletons {
            let family = skeleton.family;
            let empty = ProgrammedTable::default();
            let programmed = self.programmed.tables.get(&family);
            let programmed = programmed
                .filter(|_| !remade.contains(&family))
                .unwrap_or(&empty);
            let of_family = needed.iter().filter(|(of, _)| *of == family);
            let desired = of_family.map(|(_, balancer)| {
                let chain = balancer.chain(family, skeleton.mark, &skeleton.detector);
                (chain.chain.name.clone(), chain)
            });
            plan_chains(desired, programmed, plan);
        }
    }

    /// Plans to delete chains and sets that nothing needs.
    fn plan_prune(
        &self,
        needed: &BTreeSet<(Family, Balancer)>,
        remade: &[Family],
        plan: &mut Plan,
    ) {
        for skeleton in self.skeletons {
            let family = skeleton.family;
            if remade.contains(&family) {
                continue;
            }
            let Some(programmed) = self.programmed.tables.get(&family) else {
                continue;
            };
            let fixed = skeleton.chains();
            let is_needed = |name: &Name| {
                fixed.contains_key(name)
                    || Balancer::from_name(name)
                        .is_some_and(|balancer| needed.contains(&(family, balancer)))
            };
            let chains = programmed.chains.values().map(|contents| &contents.chain);
            let unneeded = chains.filter(|chain| !is_needed(&chain.name)).cloned();
            plan.prune
                .extend(unneeded.map(DefinitionChange::DeleteChain));
            let ours = self.sets.family(family);
            let foreign = programmed.sets.values().filter(|set| !ours.contains(set));
            plan.prune
                .extend(foreign.cloned().map(DefinitionChange::DeleteSet));
        }
    }
}

fn remade_families(plan: &Plan) -> Vec<Family> {
    let remade = plan.definitions.iter().filter_map(|change| match change {
        DefinitionChange::RemakeTable(table) => Some(table.family),
        _ => None,
    });
    remade.collect()
}

fn plan_chains(
    desired: impl IntoIterator<Item = (Name, ChainContents)>,
    programmed: &ProgrammedTable,
    plan: &mut Plan,
) {
    for (name, contents) in desired {
        match programmed.chains.get(&name) {
            None => plan.definitions.push(DefinitionChange::AddChain(contents)),
            Some(found) if found.rules != contents.rules => {
                plan.definitions
                    .push(DefinitionChange::ReplaceRules(contents));
            }
            Some(_) => {}
        }
    }
}

fn addition(key: FrontendKey, after: &Arc<FrontendElements>) -> FrontendChange {
    FrontendChange {
        key,
        before: FrontendElements::none(),
        after: Arc::clone(after),
    }
}

fn deletion(key: FrontendKey, before: &Arc<FrontendElements>) -> FrontendChange {
    FrontendChange {
        key,
        before: Arc::clone(before),
        after: FrontendElements::none(),
    }
}

/// What belongs to Services that are held as they are.
pub(super) struct Held<'a> {
    pub(super) frontends: HashMap<FrontendKey, &'a Arc<FrontendElements>>,
    /// Shared elements that are neither added nor deleted.
    members: HashSet<Member>,
}

impl<'a> Held<'a> {
    fn new(planner: &Planner<'a>) -> Self {
        let mut frontends = HashMap::default();
        // As a rule no Service is held, and there are many frontends.
        let mut members = HashSet::default();
        if !planner.held.is_empty() || !planner.withheld.is_empty() {
            let is_held = |elements: &FrontendElements| {
                planner.held.contains(elements.service())
                    || planner
                        .withheld
                        .contains(&NamespacedName::parse(elements.service()))
            };
            let programmed = planner.programmed.frontends.iter();
            let held = programmed.filter(|(_, elements)| is_held(elements));
            frontends.extend(held.map(|(key, elements)| (*key, elements)));
            members = planner.desired.members_of_only(planner.withheld);
        }
        Self { frontends, members }
    }

    pub(super) fn needs(&self, member: &Member) -> bool {
        match member {
            Member::ClusterIp(address) | Member::VirtualIp(address) => self
                .frontends
                .keys()
                .any(|key| key.location == Location::Address(*address)),
            Member::NodePortIp(_) => false,
            Member::Hairpin(destination, protocol) => {
                self.frontends.iter().any(|(key, elements)| {
                    let all = elements.endpoints.endpoints();
                    let mut endpoints = all.chain(elements.local_endpoints.endpoints());
                    key.protocol == *protocol && endpoints.any(|endpoint| endpoint == destination)
                })
            }
        }
    }
}
