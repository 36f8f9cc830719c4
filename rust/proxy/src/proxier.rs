//! Drives `state -> desired -> plan -> commit` for one node.

mod flows;
mod health;
mod servers;
mod status;
mod sync;
mod tally;

pub use health::HealthCheck;
pub use servers::{RefusalKind, ServerRefusal};
pub use status::Status;
pub use sync::{SyncError, SyncFailure};
pub use tally::{NoLocalEndpoints, Tally};

use std::collections::BTreeSet;
use std::net::IpAddr;

use kpx_frames::{DecodeError, EventReport, FeedReport};
use kpx_nftables::{Family, Name, Object, Operation, TransactionError};
use smol_str::{SmolStr, format_smolstr};
use thiserror::Error;

use crate::config::{Backend, Config, ConfigError, NodePortAddresses};
use crate::dataplane::{CommitFailure, Dataplane};
use crate::desired::{Desired, ServiceFrontends};
use crate::error_chain;
use crate::explain::{ExplainError, Explainer, Explanation};
use crate::frontend::FrontendKey;
use crate::hash::{HashMap, HashSet};
use crate::layout::{Member, SetTable, Skeleton, frontend_key};
use crate::plan::{Plan, Planner, Summary};
use crate::programmed::Programmed;
use crate::rejection::Rejection;
use crate::state::State;
use crate::virtual_servers::{IpvsNode, ProgrammedServers};
use crate::{Kind, NamespacedName};

/// Keeps the desired state of one node, and makes the kernel equal to it.
#[derive(Debug)]
pub struct Proxier<D> {
    config: Config,
    state: State,
    desired: Desired,
    sets: SetTable,
    skeletons: [Skeleton; 2],
    /// What is known of the node where IPVS chooses the endpoints.
    ipvs: Option<IpvsNode>,
    /// The addresses of each family on which node ports are virtual servers.
    node_port_addresses: [Vec<IpAddr>; 2],
    /// What IPVS holds; `None` until it is read, and when it is not certain any more.
    servers: Option<ProgrammedServers>,
    /// What the kernel holds; `None` until it is read, and when it is not certain any more.
    programmed: Option<Programmed>,
    /// What the kernel held when that was certain last, until it is read again.
    believed: Option<Programmed>,
    /// The Services, as `namespace/name`, whose frontends stay as they are: see [`State::held`].
    held: HashSet<SmolStr>,
    /// The Services that the kernel refused, and why. What was programmed for them stays, until they change
    /// or are tried again.
    failed: HashMap<NamespacedName, String>,
    /// Services whose changes are not planned for the moment: the failed ones, and while the
    /// reason of a failure is looked for, others.
    withheld: HashSet<NamespacedName>,
    /// The UDP frontends that changed and whose flows nobody has checked since.
    unchecked: HashSet<FrontendKey>,
    /// Whether all is to be compared, not only what changed in the desired state.
    compare_all: bool,
    /// Counts the changes of what a plan is to take care of.
    revision: u64,
    /// The revision that was programmed last.
    programmed_revision: u64,
    /// How often it was asked whether somebody else changed IPVS.
    audits: u32,
    /// Whether the configuration, or the addresses of the node's devices, changed since all was
    /// derived.
    node_changed: bool,
    dataplane: D,
}

/// What a committed plan did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncReport {
    /// How many Services are programmed now.
    pub services: usize,
    /// How many endpoints serve them.
    pub endpoints: usize,
    /// What changed.
    pub summary: Summary,
    /// How many kernel objects were written or deleted.
    pub operations: usize,
    /// Whether chains that nothing needs any more are still there, because the kernel had not let
    /// go of them; the next plan deletes them.
    pub prune_pending: bool,
    /// How many of the changes made up for what somebody else did to the tables of kpx.
    pub repairs: usize,
    /// The Services that are not programmed as they should be, by name.
    pub failures: Vec<SyncFailure>,
    /// When the changes of endpoints happened that are programmed now, in seconds since the
    /// epoch, each once (annotation `endpoints.kubernetes.io/last-change-trigger-time`); only with
    /// [`Config::started_at`].
    pub trigger_times: Vec<f64>,
}

/// A plan that could not be carried out. The kernel is as it was, unless it was the pruning that
/// failed; the next plan makes up for what was not done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError<E: std::error::Error + 'static> {
    /// The kernel did not take commands about virtual servers. All others were carried out.
    #[error("{}", servers::refusal_text(.0))]
    Servers(Vec<ServerRefusal>),
    /// The kernel did not take the transaction.
    #[error("{}", match .service {
        Some(service) => format!("the kernel refused a change of Service `{service}`"),
        None => "the kernel refused the transaction".to_owned(),
    })]
    Commit {
        /// The Service whose change the kernel refused, as `namespace/name:port`, if it is one's.
        service: Option<Name>,
        /// What the kernel said.
        source: E,
    },
}

impl<D: Dataplane> Proxier<D> {
    /// A proxier that knows of no Service yet. Reads and writes nothing.
    pub fn new(config: Config, dataplane: D) -> Self {
        let skeletons = Family::ALL.map(|family| skeleton(family, &config, None, &[]));
        let (config_backend, config_scheduler) = (config.backend, config.ipvs_scheduler.clone());
        Self {
            state: state(&config),
            config,
            desired: Desired::default(),
            sets: SetTable::default(),
            skeletons,
            ipvs: (config_backend == Backend::Ipvs).then(|| IpvsNode {
                scheduler: config_scheduler,
                addresses: BTreeSet::new(),
            }),
            node_port_addresses: [Vec::new(), Vec::new()],
            servers: None,
            programmed: None,
            believed: None,
            held: HashSet::default(),
            failed: HashMap::default(),
            withheld: HashSet::default(),
            unchecked: HashSet::default(),
            compare_all: true,
            revision: 0,
            programmed_revision: 0,
            audits: 0,
            node_changed: false,
            dataplane,
        }
    }

    /// Takes another configuration, which the next plan carries out.
    ///
    /// # Errors
    ///
    /// If it is for another node or backend: what is known of the cluster and of the kernel is for
    /// these.
    pub fn reconfigure(&mut self, config: Config) -> Result<(), ConfigError> {
        if config.node_name != self.config.node_name {
            return Err(ConfigError::OtherNode(config.node_name));
        }
        if config.backend != self.config.backend {
            return Err(ConfigError::OtherBackend);
        }
        self.config = config;
        // What it says of the node bears on every Service.
        self.node_changed = true;
        self.compare_all();
        Ok(())
    }

    /// Takes in one JSON document; see [`State::feed`].
    pub fn feed(&mut self, frame: &[u8]) -> Result<FeedReport, DecodeError> {
        self.state.feed(frame)
    }

    /// Takes in one line of a watch; see [`State::feed_event`].
    pub fn feed_event(&mut self, line: &[u8]) -> Result<EventReport, DecodeError> {
        self.state.feed_event(line)
    }

    /// Begins a new list of a kind; see [`State::begin_replace`].
    pub fn begin_replace(&mut self, kind: Kind) {
        self.state.begin_replace(kind);
    }

    /// Ends a new list of a kind; see [`State::end_replace`].
    pub fn end_replace(&mut self, kind: Kind) {
        self.state.end_replace(kind);
    }

    /// What the API server said.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The kernel.
    pub fn dataplane(&mut self) -> &mut D {
        &mut self.dataplane
    }

    /// What is desired, brought up to date with the state.
    pub fn desired(&mut self) -> &Desired {
        self.derive();
        &self.desired
    }

    /// What the kernel held when it was last read or written; `None` if that is not known.
    pub fn programmed(&self) -> Option<&Programmed> {
        self.programmed.as_ref()
    }

    /// Everything that is left out: invalid objects and parts, and frontends that an older
    /// Service has.
    pub fn rejections(&mut self) -> Vec<Rejection> {
        self.derive();
        let mut rejections: Vec<Rejection> = self.state.rejections().into_iter().cloned().collect();
        rejections.extend(
            self.desired
                .conflicts()
                .into_iter()
                .map(|conflict| Rejection {
                    kind: SmolStr::new_static("Service"),
                    name: format_smolstr!("{}", conflict.loser),
                    reason: format!(
                        "{} belongs to the older Service `{}`",
                        conflict.key, conflict.winner
                    ),
                    whole: false,
                }),
        );
        rejections.extend(self.foreign_servers());
        rejections
    }

    /// Reads the kernel, compares all of it with what is desired, and plans to delete what nobody
    /// wants.
    pub fn plan_all(&mut self) -> Result<Plan, D::ObserveError> {
        self.doubt();
        self.servers = None;
        self.plan()
    }

    /// Plans what changed since the last commit, without reading the kernel if what it holds is
    /// known.
    pub fn plan(&mut self) -> Result<Plan, D::ObserveError> {
        if self.programmed.is_none() {
            let ruleset = self.dataplane.observe()?;
            self.programmed = Some(Programmed::adopt(ruleset, &self.sets));
            self.believed = None;
            self.compare_all();
        }
        if self.servers.is_none() {
            let observed = self.dataplane.observe_servers(self.ipvs.is_some())?;
            self.note_node_addresses(&observed.addresses.node);
            self.servers = Some(ProgrammedServers::adopt(observed));
            self.compare_all();
        }
        self.derive();
        self.hold();
        let empty = Programmed::default();
        let no_servers = ProgrammedServers::default();
        let planner = Planner {
            desired: &self.desired,
            programmed: self.programmed.as_ref().unwrap_or(&empty),
            servers: self.servers.as_ref().unwrap_or(&no_servers),
            ipvs: self.ipvs.as_ref(),
            node_port_addresses: &self.node_port_addresses,
            sets: &self.sets,
            skeletons: &self.skeletons,
            held: &self.held,
            withheld: &self.withheld,
            counters: self.config.counters,
        };
        let plan = if self.compare_all {
            planner.plan_all()
        } else {
            planner.plan_changed()
        };
        Ok(Plan {
            services: self.desired.service_count(),
            endpoints: self.desired.endpoint_count(),
            generation: planner.programmed.generation,
            revision: self.revision,
            ..plan
        })
    }

    /// Explains why packets to `target` go where they go, and compares with the kernel. `target`
    /// has one of the forms of [`Target::FORMS`](crate::explain::Target::FORMS); `source` is an IP
    /// address, or `None` for every class of sources. A kernel that cannot be read is no error: the
    /// explanation says so.
    pub fn explain(
        &mut self,
        target: &str,
        source: Option<&str>,
    ) -> Result<Explanation, ExplainError>
    where
        D::ObserveError: std::error::Error,
    {
        let plan = self.plan_all().map_err(|error| error_chain(&error));
        self.derive();
        let empty = Programmed::default();
        let programmed = self.programmed.as_ref().unwrap_or(&empty);
        let explainer = Explainer {
            state: &self.state,
            desired: &self.desired,
            skeletons: &self.skeletons,
            ipvs: self.ipvs.as_ref(),
            node_port_addresses: &self.node_port_addresses,
            kernel: plan
                .as_ref()
                .map(|plan| (programmed, plan))
                .map_err(Clone::clone),
        };
        explainer.explain(target, source)
    }

    /// Carries out a plan in one transaction; what is to be pruned follows in a second one.
    pub fn apply(&mut self, plan: &Plan) -> Result<SyncReport, ApplyError<D::CommitError>> {
        self.apply_to(plan, Some(plan.generation))
    }

    /// Carries out a plan on a generation of the kernel; on any, if none is given.
    fn apply_to(
        &mut self,
        plan: &Plan,
        mut generation: Option<u32>,
    ) -> Result<SyncReport, ApplyError<D::CommitError>> {
        let mut report = SyncReport {
            services: plan.services,
            endpoints: plan.endpoints,
            summary: plan.summary(),
            ..SyncReport::default()
        };
        let begun = self.begin_servers(plan)?;
        let operations = plan.operations(&self.sets);
        let committed = commit(&mut self.dataplane, operations, &mut generation);
        let written = committed.map_err(|source| {
            if source.is_uncertain() {
                self.doubt();
            }
            if !plan.virtual_servers.is_empty() {
                self.servers = None;
            }
            ApplyError::Commit {
                service: culprit(plan, &self.sets, &source),
                source,
            }
        })?;
        report.operations = written + begun;
        if let Some(programmed) = &mut self.programmed {
            plan.confirm(programmed);
            if let Some(generation) = generation.filter(|_| written > 0) {
                programmed.generation = generation;
            }
        }
        report.operations += self.finish_servers(plan)?;
        // What changed after the plan was made is still to be planned.
        if plan.revision == self.revision {
            self.note_flows();
            self.desired.changes_programmed();
            self.compare_all = false;
            self.programmed_revision = self.revision;
        }
        match commit(
            &mut self.dataplane,
            plan.prune_operations(),
            &mut generation,
        ) {
            Ok(written) => {
                report.operations += written;
                if let Some(programmed) = &mut self.programmed {
                    plan.confirm_prune(programmed);
                    if let Some(generation) = generation.filter(|_| written > 0) {
                        programmed.generation = generation;
                    }
                }
            }
            Err(source) => {
                if source.is_uncertain() {
                    self.doubt();
                }
                self.compare_all();
                if !source.is_busy() {
                    let service = None;
                    return Err(ApplyError::Commit { service, source });
                }
                report.prune_pending = true;
                // The caller decides when to try again.
                self.programmed_revision = self.revision;
            }
        }
        Ok(report)
    }

    /// Lets the next plan read the kernel: nobody knows for certain what it holds.
    fn doubt(&mut self) {
        self.believed = self.programmed.take().or(self.believed.take());
    }

    /// Lets the next plan compare everything. A plan made before does not make up for it.
    fn compare_all(&mut self) {
        self.compare_all = true;
        self.revision += 1;
    }

    /// Notes which Services are held. What a Service that is no longer held left behind belongs
    /// to nobody whose change would tell of it, so all is compared.
    fn hold(&mut self) {
        let held = self.state.held();
        let held: HashSet<SmolStr> = held.iter().map(|name| format_smolstr!("{name}")).collect();
        if held != self.held {
            self.held = held;
            self.compare_all();
        }
    }

    /// Brings what is desired up to date with the state.
    fn derive(&mut self) {
        let changes = self.state.take_changes();
        let is_node_new = std::mem::take(&mut self.node_changed);
        if changes.is_empty() && !is_node_new {
            return;
        }
        self.revision += 1;
        if changes.node || is_node_new {
            self.derive_node_port_addresses();
        }
        if changes.node || is_node_new || changes.service_cidrs {
            self.derive_skeletons();
        }
        if changes.node || is_node_new {
            // The node's zone and addresses bear on every Service.
            let services: Vec<NamespacedName> = self
                .state
                .services()
                .map(|service| service.name.clone())
                .collect();
            for name in services.iter().chain(&changes.services) {
                self.derive_service(name);
            }
        } else {
            for name in &changes.services {
                self.derive_service(name);
            }
        }
    }

    fn derive_service(&mut self, name: &NamespacedName) {
        self.release(name);
        match self.state.service(name) {
            Some(service) => {
                let wanted = ServiceFrontends::derive(
                    service,
                    &self.state,
                    &self.config.node_name,
                    self.ipvs.as_ref(),
                );
                self.desired.set_service(name, &service.created, wanted);
            }
            None => self.desired.remove_service(name),
        }
    }

    fn derive_skeletons(&mut self) {
        let cidrs = self.state.service_cidrs();
        let skeletons =
            Family::ALL.map(|family| skeleton(family, &self.config, self.state.node(), &cidrs));
        for (before, after) in self.skeletons.iter().zip(&skeletons) {
            for (addresses, by) in [
                (&after.nodeport_addresses, 1),
                (&before.nodeport_addresses, -1),
            ] {
                if let NodePortAddresses::These(addresses) = addresses {
                    for address in addresses {
                        self.desired.count_member(Member::NodePortIp(*address), by);
                    }
                }
            }
        }
        self.compare_all |= self.skeletons != skeletons;
        self.skeletons = skeletons;
    }
}

fn state(config: &Config) -> State {
    let state = State::new(config.node_name.clone());
    match config.started_at {
        Some(start) => state.with_trigger_times_since(start),
        None => state,
    }
}

fn skeleton(
    family: Family,
    config: &Config,
    node: Option<&crate::state::Node>,
    service_cidrs: &[ipnet::IpNet],
) -> Skeleton {
    Skeleton {
        family,
        mark: config.masquerade_mark(),
        masquerade_all: config.masquerade_all,
        has_virtual_servers: config.backend == Backend::Ipvs,
        detector: config.local_detector(family, node),
        nodeport_addresses: config.nodeport_addresses(family, node),
        service_cidrs: service_cidrs.to_vec(),
    }
}

/// Commits operations, if there are any, on a generation, if one is given, and notes the one they
/// made. Gives how many kernel objects they wrote or deleted.
fn commit<D: Dataplane>(
    dataplane: &mut D,
    operations: impl Iterator<Item = Result<Operation, TransactionError>>,
    generation: &mut Option<u32>,
) -> Result<usize, D::CommitError> {
    let mut operations = operations.peekable();
    if operations.peek().is_none() {
        return Ok(0);
    }
    let mut objects = 0;
    let counted = operations.inspect(|operation| {
        objects += match operation.as_ref().map(|operation| &operation.object) {
            Ok(Object::Elements(elements)) => elements.elements.len(),
            _ => 1,
        };
    });
    let made = dataplane.commit(counted, *generation)?;
    *generation = generation.map(|_| made);
    Ok(objects)
}

/// Whose change the kernel refused.
fn culprit(plan: &Plan, sets: &SetTable, failure: &impl CommitFailure) -> Option<Name> {
    let (operation, element) = failure.position()?;
    let operation = plan.operations(sets).nth(operation)?.ok()?;
    let Object::Elements(elements) = &operation.object else {
        return None;
    };
    let key = frontend_key(&elements.set, &elements.elements.get(element?)?.key)?;
    let change = plan.frontends.iter().find(|change| change.key == key)?;
    Some(change.named().owner.clone())
}
