//! The proxier as a Python object.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kpx_nftables::ObserveError;
use kpx_proxy::names::TABLE;
use kpx_proxy::{Config, Kind, Proxier};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors;
use crate::flows::PyStaleFlows;
use crate::kernel::Kernel;
use crate::plan::PyPlan;
use crate::report::{
    PyEventReport, PyFeedReport, PyHealthCheck, PyRejection, PySyncReport, PyTally,
};

/// Keeps the desired state of one node, and makes the kernel equal to it.
#[pyclass(frozen, module = "kpx._core", name = "Proxier")]
pub(crate) struct PyProxier(Mutex<Proxier<Kernel>>);

impl PyProxier {
    fn lock(&self) -> MutexGuard<'_, Proxier<Kernel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyProxier {
    #[new]
    fn new(config: &str) -> PyResult<Self> {
        let config =
            Config::from_json(config).map_err(|error| errors::configuration_invalid(&error))?;
        Ok(Self(Mutex::new(Proxier::new(config, Kernel::default()))))
    }

    fn reconfigure(&self, py: Python<'_>, config: &str) -> PyResult<()> {
        py.detach(|| self.lock().reconfigure(Config::from_json(config)?))
            .map_err(|error| errors::configuration_invalid(&error))
    }

    fn feed(&self, py: Python<'_>, frame: &[u8]) -> PyResult<PyFeedReport> {
        py.detach(|| self.lock().feed(frame))
            .map(PyFeedReport)
            .map_err(|error| errors::decode_failed(&error))
    }

    fn feed_event(&self, py: Python<'_>, line: &[u8]) -> PyResult<PyEventReport> {
        py.detach(|| self.lock().feed_event(line))
            .map(PyEventReport)
            .map_err(|error| errors::decode_failed(&error))
    }

    fn begin_replace(&self, py: Python<'_>, kind: &str) -> PyResult<()> {
        let kind = known(kind)?;
        py.detach(|| self.lock().begin_replace(kind));
        Ok(())
    }

    fn end_replace(&self, py: Python<'_>, kind: &str) -> PyResult<()> {
        let kind = known(kind)?;
        py.detach(|| self.lock().end_replace(kind));
        Ok(())
    }

    fn services_without_slices(&self, py: Python<'_>) -> Vec<String> {
        let names = py.detach(|| self.lock().state().services_without_slices());
        names.iter().map(ToString::to_string).collect()
    }

    fn rejections(&self, py: Python<'_>) -> Vec<PyRejection> {
        py.detach(|| self.lock().rejections())
            .into_iter()
            .map(PyRejection)
            .collect()
    }

    fn plan(&self, py: Python<'_>) -> PyResult<PyPlan> {
        py.detach(|| self.lock().plan_all())
            .map(PyPlan)
            .map_err(|error| errors::observe_failed(&error))
    }

    fn plan_changes(&self, py: Python<'_>) -> PyResult<PyPlan> {
        py.detach(|| self.lock().plan())
            .map(PyPlan)
            .map_err(|error| errors::observe_failed(&error))
    }

    fn apply(&self, py: Python<'_>, plan: &PyPlan) -> PyResult<PySyncReport> {
        py.detach(|| {
            self.lock()
                .apply(&plan.0)
                .map_err(|error| errors::apply_failed(&error))
        })
        .map(PySyncReport)
    }

    #[pyo3(signature = (*, full = false))]
    fn sync(&self, py: Python<'_>, full: bool) -> PyResult<PySyncReport> {
        py.detach(|| {
            self.lock()
                .sync(full)
                .map_err(|error| errors::sync_failed(&error))
        })
        .map(PySyncReport)
    }

    fn take_stale_flows(&self, py: Python<'_>) -> PyStaleFlows {
        PyStaleFlows(py.detach(|| self.lock().take_stale_flows()))
    }

    fn has_changes(&self, py: Python<'_>) -> bool {
        py.detach(|| self.lock().has_changes())
    }

    fn retry(&self, py: Python<'_>) -> usize {
        py.detach(|| self.lock().retry())
    }

    fn drifted(&self, py: Python<'_>) -> PyResult<bool> {
        py.detach(|| self.lock().drifted())
            .map_err(|error| errors::observe_failed(&error))
    }

    fn draining(&self, py: Python<'_>) -> usize {
        py.detach(|| self.lock().draining())
    }

    fn drain(&self, py: Python<'_>, now: f64) -> PyResult<usize> {
        py.detach(|| self.lock().drain(now))
            .map_err(|error| errors::observe_failed(&error))
    }

    fn health_checks(&self, py: Python<'_>) -> Vec<PyHealthCheck> {
        let checks = py.detach(|| self.lock().health_checks());
        checks.into_iter().map(PyHealthCheck).collect()
    }

    fn tally(&self, py: Python<'_>) -> PyTally {
        PyTally(py.detach(|| self.lock().tally()))
    }

    fn status(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.lock().status())
            .map_err(|error| errors::observe_failed(&error))?
            .to_json()
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    #[pyo3(signature = (target, source = None))]
    fn explain(&self, py: Python<'_>, target: &str, source: Option<&str>) -> PyResult<String> {
        py.detach(|| self.lock().explain(target, source))
            .map_err(|error| errors::explain_failed(&error))?
            .to_json()
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn dump(&self, py: Python<'_>) -> PyResult<String> {
        let text = py.detach(|| {
            let mut proxier = self.lock();
            let ruleset = proxier
                .dataplane()
                .client()
                .map_err(ObserveError::Io)?
                .dump(TABLE)?;
            Ok(ruleset.to_string())
        });
        text.map_err(|error: ObserveError| errors::observe_failed(&error.into()))
    }
}

fn known(kind: &str) -> PyResult<Kind> {
    Kind::from_type(kind, None)
        .ok_or_else(|| PyValueError::new_err(format!("`{kind}` is no kind that a node reads")))
}
