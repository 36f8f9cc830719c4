//! `kpx._core`: the Rust core as a Python extension.
//!
//! This crate forwards and converts; it decides nothing. What it offers is described, with
//! docstrings, in `python/kpx/_core.pyi`.

mod cleanup;
mod dns;
mod errors;
mod flows;
mod foreign;
mod ipvs;
mod kernel;
mod leftovers;
mod list_pages;
mod plan;
mod pods;
mod proxier;
mod report;
mod traffic;

use pyo3::prelude::*;

/// The native core of kpx.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::cleanup::cleanup;
    #[pymodule_export]
    use crate::dns::{PyDnsServer, PyDnsStore};
    #[pymodule_export]
    use crate::flows::PyStaleFlows;
    #[pymodule_export]
    use crate::foreign::{chain_names, table_names};
    #[pymodule_export]
    use crate::ipvs::{probe_ipvs, set_ipvs_timeouts};
    #[pymodule_export]
    use crate::leftovers::{claim_kube_proxy_ipvs, remove_kube_proxy_rules};
    #[pymodule_export]
    use crate::list_pages::PyListPages;
    #[pymodule_export]
    use crate::plan::PyPlan;
    #[pymodule_export]
    use crate::pods::{PyPod, PyPodOutcome, PyPodStore};
    #[pymodule_export]
    use crate::proxier::PyProxier;
    #[pymodule_export]
    use crate::report::{
        PyEventReport, PyFeedReport, PyHealthCheck, PyRejection, PySyncFailure, PySyncReport,
        PyTally,
    };
    #[pymodule_export]
    use crate::traffic::PyTrafficMeter;
    #[pymodule_export]
    #[expect(
        non_upper_case_globals,
        reason = "the name Python gives a module's version"
    )]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
