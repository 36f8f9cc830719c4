//! What the cluster says, and the zones it makes.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kpx_frames::{DecodeError, EventReport, FeedReport};
use kpx_proxy::state::State;
use kpx_proxy::{Kind, NamespacedName, Rejection};

use crate::Name;
use crate::lookup::Answer;
use crate::programming::{Durations, ServiceKind};
use crate::records::{RecordSet, RecordType};
use crate::service_names::{ServiceNames, external_name};
use crate::zones::{ZoneConfig, Zones};

/// What the cluster says, and the zones it makes. A change is in the zones when the call that
/// brought it returns.
#[derive(Debug)]
pub struct Store {
    state: Mutex<State>,
    zones: RwLock<Zones>,
    programming: Mutex<[Durations; 3]>,
    /// Services whose external name is none.
    misnamed: Mutex<BTreeSet<NamespacedName>>,
}

impl Store {
    /// Knows nothing yet.
    pub fn new(config: ZoneConfig) -> Self {
        Self {
            state: Mutex::new(
                State::of_all_services().with_trigger_times_since(now().as_secs_f64()),
            ),
            zones: RwLock::new(Zones::new(config, seconds_now())),
            programming: Mutex::default(),
            misnamed: Mutex::default(),
        }
    }

    /// Takes in one JSON document; see [`State::feed`].
    pub fn feed(&self, frame: &[u8]) -> Result<FeedReport, DecodeError> {
        let mut state = self.lock();
        let report = state.feed(frame)?;
        self.derive(&mut state);
        Ok(report)
    }

    /// Takes in one line of a watch; see [`State::feed_event`].
    pub fn feed_event(&self, line: &[u8]) -> Result<EventReport, DecodeError> {
        let mut state = self.lock();
        let report = state.feed_event(line)?;
        self.derive(&mut state);
        Ok(report)
    }

    /// Begins a new list of a kind; see [`State::begin_replace`].
    pub fn begin_replace(&self, kind: Kind) {
        self.lock().begin_replace(kind);
    }

    /// Ends a new list of a kind; see [`State::end_replace`].
    pub fn end_replace(&self, kind: Kind) {
        let mut state = self.lock();
        state.end_replace(kind);
        self.derive(&mut state);
    }

    /// Says that everything the cluster has came. Until then, what is not known is answered with
    /// `SERVFAIL`.
    pub fn complete(&self) {
        let mut zones = self.zones.write().unwrap_or_else(PoisonError::into_inner);
        zones.complete();
    }

    /// The zones as they are now.
    pub fn zones(&self) -> RwLockReadGuard<'_, Zones> {
        self.zones.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The Services that have a selector, but no endpoints; see [`State::services_without_slices`].
    pub fn services_without_slices(&self) -> Vec<NamespacedName> {
        self.lock().services_without_slices()
    }

    /// Every object, or part of one, that is left out; among them Services with an external name
    /// that is no domain name, for which there can be no record.
    pub fn rejections(&self) -> Vec<Rejection> {
        let state = self.lock();
        let mut rejections: Vec<_> = state.rejections().into_iter().cloned().collect();
        let misnamed = self.misnamed.lock().unwrap_or_else(PoisonError::into_inner);
        rejections.extend(misnamed.iter().filter_map(|name| {
            let target = state.service(name)?.external_name.as_deref()?;
            Some(Rejection {
                kind: Kind::Service.as_str().into(),
                name: name.to_string().into(),
                reason: format!(
                    "spec.externalName: `{}` is not a domain name",
                    target.escape_debug()
                ),
                whole: true,
            })
        }));
        rejections
    }

    /// What a question would be answered with; `None` if the name is in none of the zones.
    pub fn query(&self, name: &Name, record_type: RecordType) -> Option<Answer> {
        self.zones().lookup(name, record_type, seconds_now())
    }

    /// Every record set of a zone, the SOA record first.
    pub fn record_sets(&self, zone: &Name) -> Vec<RecordSet> {
        self.zones().record_sets(zone, seconds_now())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn derive(&self, state: &mut State) {
        let changes = state.take_changes();
        let mut misnamed = self.misnamed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut derived = changes.services.into_iter().map(|name| {
            let service = state.service(&name);
            let target = service.and_then(|service| service.external_name.as_deref());
            if target.is_some_and(|target| external_name(target).is_none()) {
                misnamed.insert(name.clone());
            } else if !misnamed.is_empty() {
                misnamed.remove(&name);
            }
            let names = service
                .and_then(|service| ServiceNames::derive(service, state.slices(&service.name)));
            (name, names)
        });
        // Answers wait for a few Services at a time, not for a whole page of a list.
        loop {
            let some: Vec<_> = derived.by_ref().take(16).collect();
            if some.is_empty() {
                break;
            }
            let mut zones = self.zones.write().unwrap_or_else(PoisonError::into_inner);
            for (name, names) in some {
                zones.set(&name, names, seconds_now());
            }
        }
        let mut programming = self
            .programming
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (name, times) in state.take_trigger_times() {
            let Some(service) = state.service(&name) else {
                continue;
            };
            let kind = if !service.cluster_ips.is_empty() {
                ServiceKind::ClusterIp
            } else if service.has_selector {
                ServiceKind::HeadlessWithSelector
            } else {
                ServiceKind::HeadlessWithoutSelector
            };
            for time in times {
                programming[kind as usize].add(now().as_secs_f64() - time);
            }
        }
    }

    /// How long changes of endpoints took until they were answered with, by the kind of Service.
    pub fn programming(&self) -> [Durations; 3] {
        let durations = self.programming.lock();
        durations.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The time in seconds since 1970.
pub(crate) fn seconds_now() -> u32 {
    u32::try_from(now().as_secs()).unwrap_or(u32::MAX)
}

fn now() -> Duration {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.unwrap_or_default()
}
