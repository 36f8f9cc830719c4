//! The pages of a list that comes piece by piece as a Python object.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kpx_frames::ListPages;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Cuts a list into pages while its bytes come.
#[pyclass(frozen, module = "kpx._core", name = "ListPages")]
#[derive(Default)]
pub(crate) struct PyListPages(Mutex<ListPages>);

impl PyListPages {
    fn lock(&self) -> MutexGuard<'_, ListPages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyListPages {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn add<'py>(&self, py: Python<'py>, chunk: &[u8]) -> Option<Bound<'py, PyBytes>> {
        let page = py.detach(|| self.lock().add(chunk))?;
        Some(PyBytes::new(py, &page))
    }

    fn finish<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let pages = std::mem::take(&mut *self.lock());
        PyBytes::new(py, &pages.finish())
    }
}
