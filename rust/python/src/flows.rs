//! Stale flows as a Python object.

use kpx_conntrack::{Conntrack, Filter, FlushError};
use kpx_netlink::Socket;
use kpx_netlink::socket::NETLINK_NETFILTER;
use pyo3::prelude::*;

use crate::errors;

/// The UDP frontends whose flows are to be checked, and the endpoints that answer there.
#[pyclass(frozen, module = "kpx._core", name = "StaleFlows")]
pub(crate) struct PyStaleFlows(pub(crate) Filter);

#[pymethods]
impl PyStaleFlows {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn merged(&self, later: &Self) -> Self {
        let mut filter = self.0.clone();
        filter.extend(later.0.clone());
        Self(filter)
    }

    fn flush(&self, py: Python<'_>) -> PyResult<usize> {
        py.detach(|| {
            if self.0.is_empty() {
                return Ok(0);
            }
            let socket = Socket::open(NETLINK_NETFILTER).map_err(FlushError::Io)?;
            Conntrack::new(socket).flush(&self.0)
        })
        .map_err(|error| errors::flush_failed(&error))
    }
}
