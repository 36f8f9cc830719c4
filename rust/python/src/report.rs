//! Reports as Python objects.

use std::collections::BTreeMap;

use kpx_frames::{EventReport, FeedReport, WatchEvent};
use kpx_proxy::{HealthCheck, Rejection, SyncFailure, SyncReport, Tally};
use pyo3::prelude::*;

/// What one frame held.
#[pyclass(frozen, module = "kpx._core", name = "FeedReport")]
pub(crate) struct PyFeedReport(pub(crate) FeedReport);

#[pymethods]
impl PyFeedReport {
    #[getter]
    fn accepted(&self) -> BTreeMap<&str, usize> {
        by_kind(&self.0.accepted)
    }

    #[getter]
    fn ignored(&self) -> BTreeMap<&str, usize> {
        by_kind(&self.0.ignored)
    }

    #[getter]
    fn rejected(&self) -> BTreeMap<&str, usize> {
        by_kind(&self.0.rejected)
    }

    #[getter]
    fn resource_version(&self) -> Option<&str> {
        self.0.resource_version.as_deref()
    }

    #[getter]
    fn continue_token(&self) -> Option<&str> {
        self.0.continue_token.as_deref()
    }
}

fn by_kind(counts: &BTreeMap<impl AsRef<str>, usize>) -> BTreeMap<&str, usize> {
    let counts = counts.iter();
    let counts = counts.map(|(kind, count)| (kind.as_ref(), *count));
    counts.collect()
}

/// What one line of a watch said.
#[pyclass(frozen, module = "kpx._core", name = "EventReport")]
pub(crate) struct PyEventReport(pub(crate) EventReport);

#[pymethods]
impl PyEventReport {
    #[getter]
    fn event(&self) -> &'static str {
        self.0.event.as_str()
    }

    #[getter]
    fn kind(&self) -> &str {
        &self.0.kind
    }

    #[getter]
    fn resource_version(&self) -> Option<&str> {
        self.0.resource_version.as_deref()
    }

    #[getter]
    fn rejected(&self) -> bool {
        self.0.rejected
    }

    #[getter]
    fn initial_events_end(&self) -> bool {
        matches!(
            self.0.event,
            WatchEvent::Bookmark {
                initial_events_end: true
            }
        )
    }

    #[getter]
    fn code(&self) -> Option<u16> {
        match self.0.event {
            WatchEvent::Error { code, .. } => Some(code),
            _ => None,
        }
    }

    #[getter]
    fn reason(&self) -> Option<&str> {
        match &self.0.event {
            WatchEvent::Error { reason, .. } => Some(reason),
            _ => None,
        }
    }

    #[getter]
    fn message(&self) -> Option<&str> {
        match &self.0.event {
            WatchEvent::Error { message, .. } => Some(message),
            _ => None,
        }
    }
}

/// An object, or a part of one, that was left out.
#[pyclass(frozen, module = "kpx._core", name = "Rejection")]
pub(crate) struct PyRejection(pub(crate) Rejection);

#[pymethods]
impl PyRejection {
    #[getter]
    fn kind(&self) -> &str {
        &self.0.kind
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn reason(&self) -> &str {
        &self.0.reason
    }

    #[getter]
    fn whole(&self) -> bool {
        self.0.whole
    }
}

/// What a committed plan did.
#[pyclass(frozen, module = "kpx._core", name = "SyncReport")]
pub(crate) struct PySyncReport(pub(crate) SyncReport);

#[pymethods]
impl PySyncReport {
    #[getter]
    fn services(&self) -> usize {
        self.0.services
    }

    #[getter]
    fn endpoints(&self) -> usize {
        self.0.endpoints
    }

    #[getter]
    fn added(&self) -> usize {
        self.0.summary.added
    }

    #[getter]
    fn changed(&self) -> usize {
        self.0.summary.changed
    }

    #[getter]
    fn removed(&self) -> usize {
        self.0.summary.removed
    }

    #[getter]
    fn operations(&self) -> usize {
        self.0.operations
    }

    #[getter]
    fn repairs(&self) -> usize {
        self.0.repairs
    }

    #[getter]
    fn prune_pending(&self) -> bool {
        self.0.prune_pending
    }

    #[getter]
    fn failures(&self) -> Vec<PySyncFailure> {
        self.0.failures.iter().cloned().map(PySyncFailure).collect()
    }

    #[getter]
    fn trigger_times(&self) -> Vec<f64> {
        self.0.trigger_times.clone()
    }
}

/// A Service that the kernel refused.
#[pyclass(frozen, module = "kpx._core", name = "SyncFailure")]
pub(crate) struct PySyncFailure(SyncFailure);

#[pymethods]
impl PySyncFailure {
    #[getter]
    fn kind(&self) -> &str {
        &self.0.kind
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn reason(&self) -> &str {
        &self.0.reason
    }
}

/// What a load balancer asks this node about one Service.
#[pyclass(frozen, module = "kpx._core", name = "HealthCheck")]
pub(crate) struct PyHealthCheck(pub(crate) HealthCheck);

#[pymethods]
impl PyHealthCheck {
    #[getter]
    fn namespace(&self) -> &str {
        &self.0.service.namespace
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.service.name
    }

    #[getter]
    fn port(&self) -> u16 {
        self.0.port
    }

    #[getter]
    fn local_endpoints(&self) -> usize {
        self.0.local_endpoints
    }
}

/// The names of `Family::ALL`, as Kubernetes has them.
const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];

/// What changed, what waits and what is not served here, in numbers.
#[pyclass(frozen, module = "kpx._core", name = "Tally")]
pub(crate) struct PyTally(pub(crate) Tally);

#[pymethods]
impl PyTally {
    #[getter]
    fn pending_services(&self) -> usize {
        self.0.changes.pending_services
    }

    #[getter]
    fn pending_slices(&self) -> BTreeMap<&'static str, usize> {
        FAMILIES
            .into_iter()
            .zip(self.0.changes.pending_slices)
            .collect()
    }

    #[getter]
    fn service_changes(&self) -> u64 {
        self.0.changes.service_changes
    }

    #[getter]
    fn slice_changes(&self) -> BTreeMap<&'static str, u64> {
        FAMILIES
            .into_iter()
            .zip(self.0.changes.slice_changes)
            .collect()
    }

    #[getter]
    fn no_local_endpoints(&self) -> BTreeMap<(&'static str, &'static str), usize> {
        let counts = FAMILIES.into_iter().zip(self.0.no_local_endpoints);
        let by_policy = counts.flat_map(|(family, counts)| {
            [
                ((family, "internal"), counts.internal),
                ((family, "external"), counts.external),
            ]
        });
        by_policy.collect()
    }
}
