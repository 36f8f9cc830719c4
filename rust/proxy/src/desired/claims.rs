//! Who has which frontend: collects what all Services want and settles conflicts.

use std::mem;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{FrontendSpec, ServiceFrontends};
use crate::NamespacedName;
use crate::frontend::FrontendKey;
use crate::hash::{HashMap, HashSet};
use crate::layout::Member;

/// How Services that claim one frontend are ordered: the oldest first; a Service whose age is not
/// known is taken to be new; names decide what age does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    age_unknown: bool,
    created: SmolStr,
    service: NamespacedName,
}

/// A Service's wish for a frontend.
#[derive(Clone, Debug, PartialEq)]
struct Claim {
    rank: Rank,
    spec: FrontendSpec,
}

/// What a Service has put in, to be taken out again when it changes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Contribution {
    keys: Vec<FrontendKey>,
    members: Vec<Member>,
    endpoints: usize,
}

/// A frontend that a Service does not get, because an older one has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The frontend.
    pub key: FrontendKey,
    /// The Service that does not get it.
    pub loser: NamespacedName,
    /// The Service that has it.
    pub winner: NamespacedName,
}

/// What the kernel should hold, and which parts of that changed since it was last programmed.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    contributions: HashMap<NamespacedName, Contribution>,
    /// The claims to each frontend, the winner first.
    claims: HashMap<FrontendKey, SmallVec<[Claim; 1]>>,
    /// How often each shared element is wanted.
    members: HashMap<Member, u32>,
    /// The frontends claimed more than once.
    contested: HashSet<FrontendKey>,
    changed_frontends: HashSet<FrontendKey>,
    changed_members: HashSet<Member>,
    endpoints: usize,
}

impl Desired {
    /// Sets what a Service wants, or that it is gone.
    pub fn set_service(
        &mut self,
        service: &NamespacedName,
        created: &SmolStr,
        wanted: ServiceFrontends,
    ) {
        let before = self.contributions.remove(service).unwrap_or_default();
        let keys: Vec<FrontendKey> = wanted.frontends.iter().map(|(key, _)| *key).collect();
        for key in before.keys.iter().filter(|key| !keys.contains(key)) {
            self.withdraw(key, service);
        }
        let rank = Rank {
            age_unknown: created.is_empty(),
            created: created.clone(),
            service: service.clone(),
        };
        for (key, spec) in wanted.frontends {
            self.claim(
                key,
                Claim {
                    rank: rank.clone(),
                    spec,
                },
            );
        }
        for member in &wanted.members {
            self.count_member(*member, 1);
        }
        for member in &before.members {
            self.count_member(*member, -1);
        }
        self.endpoints = self.endpoints + wanted.endpoints - before.endpoints;
        if !keys.is_empty() {
            let contribution = Contribution {
                keys,
                members: wanted.members,
                endpoints: wanted.endpoints,
            };
            self.contributions.insert(service.clone(), contribution);
        }
    }

    /// Forgets a Service.
    pub fn remove_service(&mut self, service: &NamespacedName) {
        self.set_service(service, &SmolStr::default(), ServiceFrontends::default());
    }

    /// Counts an element of a shared set up or down.
    pub fn count_member(&mut self, member: Member, by: i32) {
        let count = self.members.entry(member).or_default();
        let was_wanted = *count > 0;
        *count = count.saturating_add_signed(by);
        let is_wanted = *count > 0;
        if !is_wanted {
            self.members.remove(&member);
        }
        if was_wanted != is_wanted {
            self.changed_members.insert(member);
        }
    }

    fn claim(&mut self, key: FrontendKey, claim: Claim) {
        let claims = self.claims.entry(key).or_default();
        let known = claims
            .iter()
            .position(|known| known.rank.service == claim.rank.service);
        if known.is_some_and(|known| claims[known] == claim) {
            return;
        }
        if let Some(known) = known {
            claims.remove(known);
        }
        let position = claims.partition_point(|other| other.rank < claim.rank);
        claims.insert(position, claim);
        if claims.len() > 1 {
            self.contested.insert(key);
        }
        self.changed_frontends.insert(key);
    }

    fn withdraw(&mut self, key: &FrontendKey, service: &NamespacedName) {
        let Some(claims) = self.claims.get_mut(key) else {
            return;
        };
        claims.retain(|claim| claim.rank.service != *service);
        if claims.len() < 2 {
            self.contested.remove(key);
        }
        if claims.is_empty() {
            self.claims.remove(key);
        }
        self.changed_frontends.insert(*key);
    }

    /// What a frontend should do, if anybody wants it.
    pub fn frontend(&self, key: &FrontendKey) -> Option<&FrontendSpec> {
        Some(&self.claims.get(key)?.first()?.spec)
    }

    /// All frontends.
    pub fn frontends(&self) -> impl Iterator<Item = &FrontendKey> {
        self.claims.keys()
    }

    /// Whether a shared element is wanted.
    pub fn has_member(&self, member: &Member) -> bool {
        self.members.contains_key(member)
    }

    /// All shared elements.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.keys()
    }

    /// How many Services have frontends.
    pub fn service_count(&self) -> usize {
        self.contributions.len()
    }

    /// How many endpoints serve them.
    pub fn endpoint_count(&self) -> usize {
        self.endpoints
    }

    /// The frontends that Services do not get, in a stable order.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let mut conflicts: Vec<Conflict> = self
            .contested
            .iter()
            .filter_map(|key| self.claims.get(key).map(|claims| (key, claims)))
            .flat_map(|(key, claims)| {
                let winner = &claims[0].rank.service;
                claims[1..].iter().map(|claim| Conflict {
                    key: *key,
                    loser: claim.rank.service.clone(),
                    winner: winner.clone(),
                })
            })
            .collect();
        conflicts.sort_unstable();
        conflicts
    }

    /// What changed since [`Self::changes_programmed`] was last called.
    pub fn changes(&self) -> (&HashSet<FrontendKey>, &HashSet<Member>) {
        (&self.changed_frontends, &self.changed_members)
    }

    /// Forgets what changed: the kernel holds it now.
    pub fn changes_programmed(&mut self) {
        mem::take(&mut self.changed_frontends);
        mem::take(&mut self.changed_members);
    }

    /// The shared elements that nobody but these Services wants.
    pub fn members_of_only(&self, services: &HashSet<NamespacedName>) -> HashSet<Member> {
        let mut wanted: HashMap<Member, u32> = HashMap::default();
        let contributions = services
            .iter()
            .filter_map(|service| self.contributions.get(service));
        for member in contributions.flat_map(|contribution| &contribution.members) {
            *wanted.entry(*member).or_default() += 1;
        }
        wanted
            .into_iter()
            .filter(|(member, count)| self.members.get(member) == Some(count))
            .map(|(member, _)| member)
            .collect()
    }
}
