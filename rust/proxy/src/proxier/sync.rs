//! One pass that leaves nothing undone but what the kernel refuses.

use std::collections::BTreeSet;

use smol_str::{SmolStr, format_smolstr};
use thiserror::Error;

use super::{ApplyError, Proxier, RefusalKind, ServerRefusal, SyncReport};
use crate::dataplane::{CommitFailure, Dataplane};
use crate::hash::HashSet;
use crate::plan::Plan;
use crate::virtual_servers::{ServerChange, frontends_of_server};
use crate::{NamespacedName, error_chain};

/// How often a pass begins anew because somebody else has changed the ruleset meanwhile.
const ATTEMPTS: usize = 8;

/// How many Services are found one by one through what the kernel says of them. If more are
/// refused, halving the rest is faster than sending all of it for each.
const NAMED: usize = 16;

/// A Service that is not programmed as it should be: the kernel refused its last change. What was
/// programmed for it before stays, as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncFailure {
    /// The kind of the object: `Service`.
    pub kind: SmolStr,
    /// Its name, as `namespace/name`.
    pub name: SmolStr,
    /// What the kernel said.
    pub reason: String,
}

/// A pass in which nothing could be done. All of it is still to be done.
#[derive(Debug, Error)]
pub enum SyncError<O, C>
where
    O: std::error::Error + 'static,
    C: std::error::Error + 'static,
{
    /// The kernel could not be read.
    #[error(transparent)]
    Observe(O),
    /// The kernel could not be written.
    #[error(transparent)]
    Apply(ApplyError<C>),
}

/// What a pass returns.
pub(super) type SyncResult<T, D> =
    Result<T, SyncError<<D as Dataplane>::ObserveError, <D as Dataplane>::CommitError>>;

impl<D: Dataplane> Proxier<D>
where
    D::ObserveError: std::error::Error + 'static,
{
    /// Whether there is anything to program. Costs no plan: an event that changed nothing we use,
    /// or a change that was undone, is no change. Failed Services wait for [`Self::retry`].
    pub fn has_changes(&self) -> bool {
        self.programmed.is_none()
            || self.servers.is_none()
            || self.revision != self.programmed_revision
            || self.state.has_changes()
    }

    /// Lets the next pass try the Services again that the kernel refused. Gives how many there
    /// are.
    pub fn retry(&mut self) -> usize {
        let failed: Vec<NamespacedName> = self.failed.keys().cloned().collect();
        for service in &failed {
            self.release(service);
        }
        failed.len()
    }

    /// Whether somebody else changed the ruleset since it was last read or written: any table of
    /// any program. Costs one message; what changed shows only when all is compared.
    ///
    /// With the backend IPVS also whether the node's addresses changed, and, every so many times it is
    /// asked, virtual servers: IPVS has no generation, so that all of it has to be read.
    pub fn drifted(&mut self) -> Result<bool, D::ObserveError> {
        if self.believed.is_some() {
            return Ok(true);
        }
        let generation = self.dataplane.generation()?;
        let known = self.programmed.as_ref();
        if known.is_some_and(|programmed| programmed.generation != generation) {
            return Ok(true);
        }
        self.servers_drifted()
    }

    /// Makes the kernel hold what is desired. With `full`, reads the kernel and compares all.
    ///
    /// A Service that the kernel refuses is left as it was and named in
    /// [`SyncReport::failures`]; everything else is programmed. What is too large for one
    /// transaction is programmed in several. If the kernel cannot be read, what changed is
    /// programmed all the same, and [`Self::drifted`] stays true. Fails only if nothing can be done.
    pub fn sync(&mut self, full: bool) -> SyncResult<SyncReport, D> {
        let mut total = SyncReport::default();
        let was_known = self.programmed.is_some();
        let mut reads = full;
        let mut attempts = 1;
        let mut named = 0;
        let report = loop {
            if reads {
                self.doubt();
                self.servers = None;
            }
            let is_repair = was_known && (self.programmed.is_none() || self.servers.is_none());
            let plan = match self.plan() {
                Ok(plan) => plan,
                Err(error) => break self.sync_on_belief(SyncError::Observe(error))?,
            };
            if is_repair {
                total.repairs += self.repairs(&plan);
            }
            reads = false;
            match self.apply(&plan) {
                Ok(report) => break report,
                Err(error) if is_uncertain(&error) => {
                    if attempts == ATTEMPTS {
                        break self.sync_on_belief(SyncError::Apply(error))?;
                    }
                    attempts += 1;
                }
                Err(ApplyError::Commit { service, source })
                    if source.is_refusal() || source.is_too_large() =>
                {
                    let services = changed_services(&plan);
                    let is_last = attempts == ATTEMPTS;
                    match service.filter(|_| named < NAMED) {
                        Some(owner) => {
                            named += 1;
                            let service = owner.rsplit_once(':').map_or(&*owner, |(name, _)| name);
                            self.fail(NamespacedName::parse(service), &source);
                        }
                        None if services.is_empty() || is_last => {
                            let service = None;
                            return Err(SyncError::Apply(ApplyError::Commit { service, source }));
                        }
                        None => {
                            attempts += 1;
                            self.isolate(services, &mut total)?;
                        }
                    }
                }
                Err(ApplyError::Servers(refusals)) => {
                    if !self.fail_servers(&refusals) {
                        if attempts == ATTEMPTS || is_denied(&refusals) {
                            return Err(SyncError::Apply(ApplyError::Servers(refusals)));
                        }
                        attempts += 1;
                    }
                }
                Err(error) => return Err(SyncError::Apply(error)),
            }
        };
        total.add(&report);
        total.failures = self.failures();
        for (service, times) in self.state.take_trigger_times() {
            if !self.failed.contains_key(&service) {
                total.trigger_times.extend(times);
            }
        }
        Ok(total)
    }

    /// Programs what changed where somebody else writes so fast that the kernel cannot be read, or has
    /// moved on whenever it was. What it held last is taken to be there still. If it is not, the
    /// kernel refuses all of it, for which no Service is to blame.
    fn sync_on_belief(
        &mut self,
        error: SyncError<D::ObserveError, D::CommitError>,
    ) -> SyncResult<SyncReport, D> {
        let Some(believed) = self.believed.take() else {
            return Err(error);
        };
        self.programmed = Some(believed);
        let plan = self.plan().ok();
        let report = plan.and_then(|plan| self.apply_to(&plan, None).ok());
        self.doubt();
        report.ok_or(error)
    }

    /// The Services that are not programmed as they should be, by name.
    pub fn failures(&self) -> Vec<SyncFailure> {
        let mut failures: Vec<SyncFailure> = self
            .failed
            .iter()
            .map(|(name, reason)| SyncFailure {
                kind: SmolStr::new_static("Service"),
                name: format_smolstr!("{name}"),
                reason: reason.clone(),
            })
            .collect();
        failures.sort_unstable();
        failures
    }

    /// Programs these Services, half by half, until each half is small enough, and those that the
    /// kernel refuses are alone.
    fn isolate(
        &mut self,
        services: Vec<NamespacedName>,
        total: &mut SyncReport,
    ) -> SyncResult<(), D> {
        // What no Service is to blame for comes first: if that fails, nothing can be done.
        let mut waiting: HashSet<NamespacedName> = services.iter().cloned().collect();
        let mut groups = vec![Vec::new(), services];
        groups.reverse();
        let mut result = Ok(());
        while let Some(mut group) = groups.pop() {
            for service in &group {
                waiting.remove(service);
            }
            self.withheld = self.failed.keys().chain(&waiting).cloned().collect();
            let plan = match self.plan() {
                Ok(plan) => plan,
                Err(error) => {
                    result = Err(SyncError::Observe(error));
                    break;
                }
            };
            // What waits is still to be programmed.
            match self.apply_part(&plan) {
                Ok(report) => total.add(&report),
                Err(ApplyError::Commit { source, .. })
                    if group.len() > 1 && (source.is_refusal() || source.is_too_large()) =>
                {
                    let rest = group.split_off(group.len() / 2);
                    waiting.extend(group.iter().chain(&rest).cloned());
                    groups.extend([rest, group]);
                }
                Err(ApplyError::Commit { source, .. })
                    if group.len() == 1 && source.is_refusal() =>
                {
                    // Others that take over what it gives up may be to blame: they come later.
                    let mut others = changed_services(&plan);
                    others.retain(|service| !group.contains(service));
                    if others.is_empty() {
                        self.fail(group.swap_remove(0), &source);
                    } else {
                        waiting.extend(others.iter().cloned());
                        groups.extend([others, group]);
                    }
                }
                Err(ApplyError::Servers(refusals)) => {
                    self.fail_servers(&refusals);
                    break;
                }
                // Somebody else has written: the whole pass begins anew.
                Err(ApplyError::Commit { source, .. }) if source.is_uncertain() => break,
                Err(error) => {
                    result = Err(SyncError::Apply(error));
                    break;
                }
            }
        }
        self.withheld = self.failed.keys().cloned().collect();
        result
    }

    /// Applies a plan that leaves out what is withheld, all of which stays to be programmed.
    fn apply_part(&mut self, plan: &Plan) -> Result<SyncReport, ApplyError<D::CommitError>> {
        self.revision += 1;
        self.apply(plan)
    }

    /// Notes that the kernel refused a Service.
    fn fail(&mut self, service: NamespacedName, source: &D::CommitError) {
        self.fail_because(service, error_chain(source));
    }

    /// How many changes of a plan nobody asked for: they make up for what somebody else did.
    fn repairs(&self, plan: &Plan) -> usize {
        let (keys, members) = self.desired.changes();
        let frontends = plan.frontends.iter();
        let shared = plan.members.iter();
        let servers = plan.virtual_servers.servers.iter();
        let servers = servers.filter(|change| {
            let mut frontends = frontends_of_server(&change.key);
            !frontends.any(|key| keys.contains(&key))
        });
        plan.definitions.len()
            + servers.count()
            + plan.strays.len()
            + frontends
                .filter(|change| !keys.contains(&change.key))
                .count()
            + shared
                .filter(|change| !members.contains(&change.member))
                .count()
    }
}

impl<D: Dataplane> Proxier<D> {
    /// Notes that a Service is not programmed as it should be, and why.
    pub(super) fn fail_because(&mut self, service: NamespacedName, reason: String) {
        self.withheld.insert(service.clone());
        self.failed.insert(service, reason);
        self.revision += 1;
    }

    /// Lets the wishes of a Service count again.
    pub(super) fn release(&mut self, service: &NamespacedName) {
        if self.failed.is_empty() {
            return;
        }
        if self.failed.remove(service).is_some() {
            self.withheld.remove(service);
            // Shared elements that were kept for what was programmed do not say whose they are.
            self.compare_all();
        }
    }
}

impl SyncReport {
    /// Adds what another commit of the same pass did.
    fn add(&mut self, other: &Self) {
        self.services = other.services;
        self.endpoints = other.endpoints;
        self.summary.added += other.summary.added;
        self.summary.changed += other.summary.changed;
        self.summary.removed += other.summary.removed;
        self.operations += other.operations;
        self.prune_pending = other.prune_pending;
    }
}

fn is_uncertain<E: CommitFailure>(error: &ApplyError<E>) -> bool {
    matches!(error, ApplyError::Commit { source, .. } if source.is_uncertain())
}

fn is_denied(refusals: &[ServerRefusal]) -> bool {
    let mut refusals = refusals.iter();
    refusals.any(|refusal| refusal.kind == RefusalKind::Denied)
}

/// The Services whose frontends or virtual servers a plan changes, sorted.
fn changed_services(plan: &Plan) -> Vec<NamespacedName> {
    let owners = plan.frontends.iter().map(|change| change.named().service());
    let of_servers = plan.virtual_servers.servers.iter();
    let of_servers = of_servers.map(ServerChange::service);
    let owners = owners.chain(of_servers.filter(|service| !service.is_empty()));
    let owners: BTreeSet<&str> = owners.collect();
    owners.into_iter().map(NamespacedName::parse).collect()
}
