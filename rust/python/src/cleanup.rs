//! Removes what kpx made.

use kpx_ipvs::Command;
use kpx_nftables::{CommitError, Object, ObserveError, Transaction, Verb};
use kpx_proxy::names::{DEVICE, TABLE};
use pyo3::prelude::*;

use crate::kernel::{ReadError, WriteError};
use crate::{errors, kernel};

/// Deletes every table, virtual server and device that kpx made and nothing else; gives in words what
/// was deleted.
#[pyfunction]
pub(crate) fn cleanup(py: Python<'_>) -> PyResult<Vec<String>> {
    py.detach(|| {
        let mut deleted = delete_tables()?;
        deleted.extend(delete_servers()?);
        let mut links =
            kernel::connect_links().map_err(|error| errors::observe_failed(&error.into()))?;
        match links.delete_dummy(DEVICE) {
            Ok(true) => deleted.push(format!("device `{DEVICE}`")),
            // What others call so is not ours.
            Ok(false) | Err(kpx_link::Error::Foreign { .. }) => {}
            Err(error) => return Err(errors::commit_failed(&error.into())),
        }
        Ok(deleted)
    })
}

fn delete_tables() -> PyResult<Vec<String>> {
    let read_failed = |error: ObserveError| errors::observe_failed(&error.into());
    let mut client = kernel::connect()
        .map_err(ObserveError::Io)
        .map_err(read_failed)?;
    let ruleset = client.dump(TABLE).map_err(read_failed)?;
    let mut transaction = Transaction::new();
    for table in ruleset.tables.keys() {
        // A table's name is never too long to be deleted: the kernel gave it.
        let pushed = transaction.push(Verb::Delete, Object::Table(table.clone()));
        debug_assert!(pushed.is_ok());
    }
    if !transaction.is_empty() {
        client
            .commit(&transaction, None)
            .map_err(|error: CommitError| errors::commit_failed(&error.into()))?;
    }
    let name =
        |table: &kpx_nftables::Table| format!("table `{} {}`", table.family.keyword(), table.name);
    Ok(ruleset.tables.keys().map(name).collect())
}

fn delete_servers() -> PyResult<Vec<String>> {
    if !kernel::is_ipvs_loaded() {
        return Ok(Vec::new());
    }
    let mut client = kernel::connect_ipvs().map_err(|error| errors::observe_failed(&error))?;
    let services = client
        .services()
        .map_err(|error| errors::observe_failed(&ReadError::from(error)))?;
    let ours = services.iter().filter(|found| found.service.owned);
    let commands: Vec<Command> = ours
        .map(|found| Command::DeleteService(found.service.key))
        .collect();
    let refusals = client
        .submit(&commands)
        .map_err(|error| errors::commit_failed(&WriteError::from(error)))?;
    let mut refused = refusals.iter().filter(|refusal| {
        let command = commands.get(refusal.index);
        !command.is_some_and(|command| command.is_outdated(&refusal.source))
    });
    if let Some(refusal) = refused.next() {
        return Err(errors::command_refused(refusal));
    }
    let deleted = match commands.len() {
        0 => None,
        1 => Some("1 virtual server".to_owned()),
        count => Some(format!("{count} virtual servers")),
    };
    Ok(deleted.into_iter().collect())
}
