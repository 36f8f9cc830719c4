//! A proxier on a kernel beside the model of what it is to do, and the checks that the two agree.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use kpx_nftables::fake::FakeRuleset;
use kpx_nftables::trace::{Fate, Packet, PacketFlow};
use kpx_nftables::{ChainContents, Family, Name, Ruleset, Set, Table, TableContents};
use kpx_proxy::frontend::{FrontendKey, Location};
use kpx_proxy::layout::{Balancer, Member, SetTable};
use kpx_proxy::plan::DefinitionChange;
use kpx_proxy::programmed::{EndpointSlots, FrontendElements, Programmed};
use kpx_proxy::{ApplyError, Config, Plan, Proxier, SyncReport};
use serde_json::Value;

use crate::dataplane::{Failure, Kernel, SharedKernel};
use crate::model::Model;
use crate::universe::{NODE_ADDRESSES, Object};

/// A proxier on a kernel, and the model of what it is to do.
pub(crate) struct Harness<K> {
    pub(crate) kernel: SharedKernel<K>,
    pub(crate) proxier: Proxier<SharedKernel<K>>,
    pub(crate) model: Model,
    config: Config,
}

/// Which plan is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What changed.
    Changes,
    /// Everything, compared with the kernel.
    All,
}

pub(crate) type SyncResult<K> = Result<SyncReport, ApplyError<Failure<<K as Kernel>::Error>>>;

impl<K: Kernel> Harness<K> {
    pub(crate) fn new(kernel: K, config: &Value) -> Self {
        let config = Config::from_json(&config.to_string()).unwrap();
        let kernel = SharedKernel::new(kernel);
        Self {
            proxier: Proxier::new(config.clone(), kernel.share()),
            kernel,
            model: Model::default(),
            config,
        }
    }

    pub(crate) fn set(&mut self, object: &Object) {
        let line = self.model.set(object);
        self.proxier.feed_event(line.as_bytes()).unwrap();
    }

    pub(crate) fn delete(&mut self, identity: crate::universe::Identity) {
        if let Some(line) = self.model.delete(identity) {
            self.proxier.feed_event(line.as_bytes()).unwrap();
        }
    }

    /// Starts the proxier anew.
    pub(crate) fn restart(&mut self) {
        self.model.restart();
        self.proxier = Proxier::new(self.config.clone(), self.kernel.share());
        self.proxier.feed(self.model.list().as_bytes()).unwrap();
    }

    /// Gives the proxier another configuration, which the next plan is to carry out.
    pub(crate) fn reconfigure(&mut self, config: &Value) {
        let config = Config::from_json(&config.to_string()).unwrap();
        self.config = config.clone();
        self.proxier.reconfigure(config).unwrap();
    }

    /// Starts the proxier anew, with counters if it had none, and without them if it had. What is
    /// programmed stays but for them.
    pub(crate) fn toggle_counters(&mut self) {
        self.config.counters = !self.config.counters;
        let survives = self.model.survives_restart();
        self.restart();
        if !survives {
            return;
        }
        let plan = self.plan(Extent::Changes);
        for change in &plan.frontends {
            assert_ne!(change.before.counting, change.after.counting, "{change}");
            let counting = change.after.counting;
            let before = FrontendElements {
                counting,
                ..FrontendElements::clone(&change.before)
            };
            assert_eq!(before, *change.after, "only whether it counts changes");
        }
        assert_eq!(plan.definitions, [], "no chain and no set is made anew");
    }

    pub(crate) fn plan(&mut self, extent: Extent) -> Plan {
        match extent {
            Extent::Changes => self.proxier.plan(),
            Extent::All => self.proxier.plan_all(),
        }
        .unwrap()
    }

    pub(crate) fn try_sync(&mut self, extent: Extent) -> SyncResult<K> {
        let plan = self.plan(extent);
        self.proxier.apply(&plan)
    }

    /// Makes the kernel right, and checks that it is.
    pub(crate) fn sync(&mut self, extent: Extent) {
        let report = self.try_sync(extent).unwrap();
        assert!(!report.prune_pending);
        self.check(extent);
    }

    /// What the kernel holds, which the proxier must know.
    pub(crate) fn observed(&self) -> Programmed {
        let observed = Programmed::adopt(self.kernel.read(), &SetTable::default());
        assert_eq!(
            self.proxier.programmed(),
            Some(&observed),
            "the proxier knows what the kernel holds"
        );
        assert_eq!(observed.strays, [], "nothing foreign is left");
        observed
    }

    /// Checks that the kernel holds what it is to hold, and that the proxier knows.
    pub(crate) fn check(&mut self, extent: Extent) {
        let observed = self.observed();
        let plan = self.plan(Extent::Changes);
        assert!(plan.is_empty(), "a second plan is {plan:#?}");

        let mut fresh = self.rebuild(self.kernel.share());
        let plan = fresh.plan_all().unwrap();
        match extent {
            Extent::All => assert_eq!(plan.len(), 0, "a new proxier plans {plan:#?}"),
            Extent::Changes => assert_only_unused_chains_go(&plan),
        }
        if !self.model.has_held() {
            let mut empty = self.rebuild(SharedKernel::new(FakeRuleset::new()));
            let plan = empty.plan().unwrap();
            empty.apply(&plan).unwrap();
            let mut content = Content::of(&observed);
            let rebuilt = Content::of(empty.programmed().unwrap());
            if extent == Extent::Changes {
                content.forget_unused_balancers(&rebuilt);
            }
            assert_eq!(content, rebuilt, "incremental, and built at once");
            check_balance(&self.kernel.read(), &observed);
        }
    }

    /// A proxier that learns all at once what the one under test learned in time.
    fn rebuild<L: Kernel>(&self, kernel: SharedKernel<L>) -> Proxier<SharedKernel<L>> {
        let mut fresh = Proxier::new(self.config.clone(), kernel);
        for document in self.model.history() {
            fresh.feed(document.as_bytes()).unwrap();
        }
        fresh
    }
}

/// The tables of a ruleset, at whatever generation.
pub(crate) fn tables(ruleset: Ruleset) -> BTreeMap<Table, TableContents> {
    ruleset.tables
}

fn assert_only_unused_chains_go(plan: &Plan) {
    assert_eq!(
        plan.len(),
        plan.prune.len(),
        "a new proxier plans {plan:#?}"
    );
    for change in &plan.prune {
        let DefinitionChange::DeleteChain(chain) = change else {
            panic!("a new proxier plans {change:?}");
        };
        assert!(Balancer::from_name(&chain.name).is_some(), "{chain:?} goes");
    }
}

/// What is programmed, whichever slot an endpoint is in.
#[derive(Debug, PartialEq)]
pub(crate) struct Content {
    frontends: BTreeMap<FrontendKey, FrontendElements>,
    members: BTreeSet<Member>,
    chains: BTreeMap<(Family, Name), ChainContents>,
    sets: BTreeMap<(Family, Name), Set>,
}

impl Content {
    pub(crate) fn of(programmed: &Programmed) -> Self {
        let frontends = programmed.frontends.iter();
        let frontends = frontends.map(|(key, elements)| (*key, unordered(elements)));
        let mut content = Self {
            frontends: frontends.collect(),
            members: programmed.members.iter().copied().collect(),
            chains: BTreeMap::new(),
            sets: BTreeMap::new(),
        };
        for (family, table) in &programmed.tables {
            let chains = table.chains.iter();
            let chains = chains.map(|(name, chain)| ((*family, name.clone()), chain.clone()));
            content.chains.extend(chains);
            let sets = table.sets.iter();
            let sets = sets.map(|(name, set)| ((*family, name.clone()), Set::clone(set)));
            content.sets.extend(sets);
        }
        content
    }

    fn forget_unused_balancers(&mut self, used: &Self) {
        self.chains.retain(|name, _| {
            used.chains.contains_key(name) || Balancer::from_name(&name.1).is_none()
        });
    }
}

fn unordered(elements: &FrontendElements) -> FrontendElements {
    let sorted = |slots: &EndpointSlots| {
        let mut endpoints: Vec<_> = slots.endpoints().copied().collect();
        endpoints.sort_unstable();
        EndpointSlots::default().settle(&endpoints, !slots.sticky.is_empty())
    };
    FrontendElements {
        endpoints: sorted(&elements.endpoints),
        local_endpoints: sorted(&elements.local_endpoints),
        ..elements.clone()
    }
}

/// Checks by packets that every frontend sends each of its endpoints the same share, or refuses.
fn check_balance(ruleset: &Ruleset, programmed: &Programmed) {
    let node_addresses = NODE_ADDRESSES.map(|address| address.parse::<IpAddr>().unwrap());
    let flow = PacketFlow::new(ruleset, node_addresses);
    for (key, elements) in &programmed.frontends {
        let Location::Address(vip) = key.location else {
            continue;
        };
        let sources = match key.family() {
            Family::Ipv4 => ["10.244.0.99:1234", "198.51.100.1:1234"],
            Family::Ipv6 => ["[fd00:244::99]:1234", "[2001:db8:ffff::1]:1234"],
        };
        let lists = [&elements.endpoints, &elements.local_endpoints].map(|slots| {
            let endpoints = slots.endpoints();
            let endpoints =
                endpoints.map(|endpoint| SocketAddr::new(endpoint.address, endpoint.port));
            endpoints.collect::<BTreeSet<_>>()
        });
        for source in sources {
            let destination = SocketAddr::new(vip, key.port);
            let packet = Packet {
                protocol: key.protocol as u8,
                ..Packet::new(source.parse().unwrap(), destination).arriving("eth0")
            };
            let outcomes = flow.outcomes(&packet).unwrap();
            if outcomes[0].0.verdict != Fate::Accepted {
                assert_eq!(outcomes.len(), 1, "{key}: refused and not refused");
                continue;
            }
            let reached: BTreeSet<_> = outcomes.iter().map(|(end, _)| end.destination).collect();
            assert_eq!(reached.len(), outcomes.len(), "{key}: {outcomes:?}");
            assert!(lists.contains(&reached), "{key}: {outcomes:?}");
        }
    }
}
