//! Plans as Python objects.

use kpx_nftables::{Batch, Transaction, TransactionError};
use kpx_proxy::Plan;
use kpx_proxy::layout::SetTable;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What would change in the kernel.
#[pyclass(frozen, module = "kpx._core", name = "Plan")]
pub(crate) struct PyPlan(pub(crate) Plan);

#[pymethods]
impl PyPlan {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __str__(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.to_string())
    }

    #[getter]
    fn added(&self) -> usize {
        self.0.summary().added
    }

    #[getter]
    fn changed(&self) -> usize {
        self.0.summary().changed
    }

    #[getter]
    fn removed(&self) -> usize {
        self.0.summary().removed
    }

    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.0.to_json())
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn to_batch(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        py.detach(|| Batch::encode(self.0.operations(&SetTable::default()), None))
            .map(|batch| batch.bytes().to_vec())
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn to_nft(&self, py: Python<'_>) -> PyResult<String> {
        let text = py.detach(|| {
            let sets = SetTable::default();
            let operations = self.0.operations(&sets).chain(self.0.prune_operations());
            Ok(operations.collect::<Result<Transaction, _>>()?.to_string())
        });
        text.map_err(|error: TransactionError| PyValueError::new_err(error.to_string()))
    }
}
