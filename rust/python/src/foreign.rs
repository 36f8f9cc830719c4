//! What is in the kernel's nftables, whoever made it: names alone.

use std::collections::BTreeSet;

use kpx_netlink::Socket;
use kpx_nftables::{Client, ObserveError};
use pyo3::prelude::*;

use crate::{errors, kernel};

/// The names of all tables, of whatever family.
#[pyfunction]
pub(crate) fn table_names(py: Python<'_>) -> PyResult<Vec<String>> {
    let names = observed(py, Client::table_names)?;
    Ok(names.iter().map(ToString::to_string).collect())
}

/// The names of all chains, of whatever family, each behind that of its table.
#[pyfunction]
pub(crate) fn chain_names(py: Python<'_>) -> PyResult<Vec<(String, String)>> {
    let names = observed(py, Client::chain_names)?;
    let pair = |(table, chain): &(_, _)| (ToString::to_string(table), ToString::to_string(chain));
    Ok(names.iter().map(pair).collect())
}

fn observed<N: Send>(
    py: Python<'_>,
    read: impl FnOnce(&mut Client<Socket>) -> Result<BTreeSet<N>, ObserveError> + Send,
) -> PyResult<BTreeSet<N>> {
    py.detach(|| read(&mut kernel::connect().map_err(ObserveError::Io)?))
        .map_err(|error| errors::observe_failed(&error.into()))
}
