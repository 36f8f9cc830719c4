//! The counters of elements as a Python object.

use std::sync::{Mutex, PoisonError};

use kpx_nftables::ObserveError;
use kpx_proxy::layout::SetTable;
use kpx_proxy::traffic::Meter;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors;
use crate::kernel::Kernel;

/// Adds up what counters in the kernel say, from reading to reading.
#[pyclass(frozen, module = "kpx._core", name = "TrafficMeter")]
pub(crate) struct PyTrafficMeter(Mutex<(Kernel, Meter)>);

#[pymethods]
impl PyTrafficMeter {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn read(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (kernel, meter) = &mut *state;
            let client = kernel.client().map_err(ObserveError::Io)?;
            meter.read(client, &SetTable::default())
        })
        .map_err(|error| errors::observe_failed(&error.into()))?
        .to_json()
        .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}
