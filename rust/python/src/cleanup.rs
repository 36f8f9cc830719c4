//! Removes what kpx made.

use kpx_nftables::{Object, ObserveError, Transaction, Verb};
use kpx_proxy::names::TABLE;
use pyo3::prelude::*;

use crate::{errors, kernel};

/// Deletes every table that kpx made and nothing else; gives the names of the tables deleted.
#[pyfunction]
pub(crate) fn cleanup(py: Python<'_>) -> PyResult<Vec<String>> {
    py.detach(|| {
        let mut client = kernel::connect()
            .map_err(ObserveError::Io)
            .map_err(|error| errors::observe_failed(&error))?;
        let ruleset = client
            .dump(TABLE)
            .map_err(|error| errors::observe_failed(&error))?;
        let mut transaction = Transaction::new();
        for table in ruleset.tables.keys() {
            // A table's name is never too long to be deleted: the kernel gave it.
            let pushed = transaction.push(Verb::Delete, Object::Table(table.clone()));
            debug_assert!(pushed.is_ok());
        }
        if !transaction.is_empty() {
            client
                .commit(&transaction, None)
                .map_err(|error| errors::commit_failed(&error))?;
        }
        let name =
            |table: &kpx_nftables::Table| format!("{} {}", table.family.keyword(), table.name);
        Ok(ruleset.tables.keys().map(name).collect())
    })
}
