//! Pods as Python objects: small handles on records that stay in Rust.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kpx_pods::{Change, Outcome, Pod, Store};
use pyo3::prelude::*;

use crate::errors;
use crate::report::{PyEventReport, PyFeedReport};

/// What a Pod was and what it is.
type ChangeRow = (Option<PyPod>, Option<PyPod>);

/// A Pod, as far as EndpointSlices are made from it.
#[derive(PartialEq)]
#[pyclass(frozen, eq, module = "kpx._core", name = "Pod")]
pub(crate) struct PyPod(Arc<Pod>);

#[pymethods]
impl PyPod {
    #[getter]
    fn namespace(&self) -> &str {
        &self.0.namespace
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn uid(&self) -> &str {
        &self.0.uid
    }

    #[getter]
    fn labels(&self) -> BTreeMap<&str, &str> {
        let labels = self.0.labels.iter();
        labels.map(|(name, value)| (&**name, &**value)).collect()
    }

    #[getter]
    fn has_addresses(&self) -> bool {
        !self.0.addresses.is_empty()
    }

    #[getter]
    fn is_terminal(&self) -> bool {
        self.0.is_terminal
    }

    #[getter]
    fn is_ready(&self) -> bool {
        self.0.is_ready
    }

    #[getter]
    fn is_deleted(&self) -> bool {
        self.0.is_deleted
    }

    #[getter]
    fn node_name(&self) -> &str {
        &self.0.node_name
    }

    #[getter]
    fn hostname(&self) -> &str {
        &self.0.hostname
    }

    #[getter]
    fn subdomain(&self) -> &str {
        &self.0.subdomain
    }

    #[getter]
    fn ready_since(&self) -> &str {
        &self.0.ready_since
    }

    fn addresses(&self, family: &str) -> Vec<String> {
        let is_ipv4 = family == "IPv4";
        let addresses = self.0.addresses.iter();
        let of_family = addresses.filter(|address| address.is_ipv4() == is_ipv4);
        of_family.map(ToString::to_string).collect()
    }

    fn port(&self, name: &str, protocol: &str) -> Option<u16> {
        self.0.port(name, protocol)
    }

    fn __repr__(&self) -> String {
        format!("Pod({}/{})", self.0.namespace, self.0.name)
    }
}

/// What became of Pods that were taken in.
#[pyclass(frozen, module = "kpx._core", name = "PodOutcome")]
pub(crate) struct PyPodOutcome(Outcome);

#[pymethods]
impl PyPodOutcome {
    #[getter]
    fn changes(&self) -> Vec<ChangeRow> {
        rows(&self.0.changes)
    }

    #[getter]
    fn rejections(&self) -> Vec<(&str, &str)> {
        let rejections = self.0.rejections.iter();
        rejections.map(|one| (&*one.name, &*one.reason)).collect()
    }
}

/// The Pods there are, found by label and by Node.
#[pyclass(frozen, module = "kpx._core", name = "PodStore")]
pub(crate) struct PyPodStore(Mutex<Store>);

impl PyPodStore {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyPodStore {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    fn begin_replace(&self, py: Python<'_>) {
        py.detach(|| self.lock().begin_replace());
    }

    fn end_replace(&self, py: Python<'_>) -> Vec<ChangeRow> {
        rows(&py.detach(|| self.lock().end_replace()))
    }

    fn feed(&self, py: Python<'_>, frame: &[u8]) -> PyResult<(PyFeedReport, PyPodOutcome)> {
        py.detach(|| self.lock().feed(frame))
            .map(|(report, outcome)| (PyFeedReport(report), PyPodOutcome(outcome)))
            .map_err(|error| errors::decode_failed(&error))
    }

    fn feed_event(&self, py: Python<'_>, line: &[u8]) -> PyResult<(PyEventReport, PyPodOutcome)> {
        py.detach(|| self.lock().feed_event(line))
            .map(|(report, outcome)| (PyEventReport(report), PyPodOutcome(outcome)))
            .map_err(|error| errors::decode_failed(&error))
    }

    #[expect(clippy::needless_pass_by_value, reason = "Python hands over a dict")]
    fn select(
        &self,
        py: Python<'_>,
        namespace: &str,
        selector: Option<BTreeMap<String, String>>,
    ) -> Vec<PyPod> {
        py.detach(|| {
            let selector = selector.as_ref().map(|labels| labels.iter());
            handles(selector.map(|labels| self.lock().select(namespace, labels)))
        })
    }

    fn on_node(&self, py: Python<'_>, name: &str) -> Vec<PyPod> {
        py.detach(|| handles(Some(self.lock().on_node(name))))
    }
}

fn handles(pods: Option<Vec<Arc<Pod>>>) -> Vec<PyPod> {
    pods.into_iter().flatten().map(PyPod).collect()
}

fn rows(changes: &[Change]) -> Vec<ChangeRow> {
    let handle = |pod: &Option<Arc<Pod>>| pod.as_ref().map(|pod| PyPod(Arc::clone(pod)));
    let changes = changes.iter();
    changes
        .map(|change| (handle(&change.old), handle(&change.new)))
        .collect()
}
