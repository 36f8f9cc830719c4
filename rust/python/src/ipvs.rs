//! IPVS as a whole: whether there is one, and its timeouts.

use kpx_ipvs::{Command, Timeouts};
use pyo3::prelude::*;

use crate::kernel::WriteError;
use crate::{errors, kernel};

/// Looks whether the kernel has IPVS, which may load it; gives the number of virtual servers.
#[pyfunction]
pub(crate) fn probe_ipvs(py: Python<'_>) -> PyResult<usize> {
    py.detach(|| Ok(kernel::connect_ipvs()?.services()?.len()))
        .map_err(|error: kernel::ReadError| errors::observe_failed(&error))
}

/// Sets for how many seconds IPVS remembers idle connections; 0 leaves a timeout as it is.
#[pyfunction]
pub(crate) fn set_ipvs_timeouts(py: Python<'_>, tcp: u32, tcp_fin: u32, udp: u32) -> PyResult<()> {
    let given = |seconds| Some(seconds).filter(|seconds| *seconds > 0);
    let timeouts = Timeouts {
        tcp: given(tcp),
        tcp_fin: given(tcp_fin),
        udp: given(udp),
    };
    py.detach(|| {
        let mut client = kernel::connect_ipvs().map_err(|error| errors::observe_failed(&error))?;
        let refusals = client
            .submit(&[Command::SetTimeouts(timeouts)])
            .map_err(|error| errors::commit_failed(&WriteError::from(error)))?;
        let refused = refusals.first();
        refused.map_or(Ok(()), |refusal| Err(errors::command_refused(refusal)))
    })
}
