//! Removes what kube-proxy left behind.

use kpx_ipvs::service::Flags;
use kpx_ipvs::{Command, ConnectError};
use kpx_netlink::Socket;
use kpx_netlink::socket::{NETLINK_GENERIC, NETLINK_ROUTE};
use kpx_nftables::ObserveError;
use kpx_proxy::error_chain;
use kpx_proxy::leftovers::Leftovers;
use pyo3::prelude::*;

use crate::{errors, kernel};

/// The dummy device of kube-proxy's mode `ipvs` (`pkg/proxy/ipvs/proxier.go`).
const DEVICE: &str = "kube-ipvs0";

/// Removes kube-proxy's tables, and its chains from the tables of iptables; gives what was done, a
/// line each.
#[pyfunction]
pub(crate) fn remove_kube_proxy_rules(py: Python<'_>) -> PyResult<Vec<String>> {
    py.detach(|| {
        let mut client = kernel::connect()
            .map_err(ObserveError::Io)
            .map_err(|error| errors::observe_failed(&error.into()))?;
        let generation = client
            .generation()
            .map_err(|error| errors::observe_failed(&error.into()))?;
        let found = Leftovers::observe(&mut client)
            .map_err(|error| errors::observe_failed(&error.into()))?;
        let mut generation = Some(generation);
        let transactions = found
            .transactions()
            .map_err(|error| errors::take_over_failed(error_chain(&error), None))?;
        for transaction in transactions.iter().filter(|one| !one.is_empty()) {
            let made = client
                .commit(transaction, generation)
                .map_err(|error| errors::take_over_failed(error_chain(&error), error.hint()))?;
            generation = Some(made);
        }
        Ok(found.describe())
    })
}

/// Removes the IPVS services that kpx did not make, and kube-proxy's device, if that is there;
/// gives what was done, a line each.
#[pyfunction]
pub(crate) fn remove_kube_proxy_ipvs(py: Python<'_>) -> PyResult<Vec<String>> {
    py.detach(|| {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            errors::take_over_failed(error_chain(error), None)
        };
        let socket = Socket::open(NETLINK_ROUTE).map_err(|error| failed(&error))?;
        let mut devices = kpx_link::Client::new(socket);
        if devices
            .link(DEVICE)
            .map_err(|error| failed(&error))?
            .is_none()
        {
            return Ok(Vec::new());
        }
        let mut lines = Vec::new();
        let socket = Socket::open(NETLINK_GENERIC).map_err(|error| failed(&error))?;
        match kpx_ipvs::Client::connect(socket) {
            Ok(mut client) => {
                let services = client.services().map_err(|error| failed(&error))?;
                let others = services.iter().map(|observed| &observed.service);
                let others = others.filter(|service| !service.flags().contains(Flags::OWNED));
                let commands: Vec<Command> = others
                    .map(|service| Command::DeleteService(service.key))
                    .collect();
                let refusals = client.submit(&commands).map_err(|error| failed(&error))?;
                if let Some(refusal) = refusals.first() {
                    return Err(failed(refusal));
                }
                if !commands.is_empty() {
                    lines.push(format!("deleted {} IPVS services", commands.len()));
                }
            }
            Err(ConnectError::Missing(_)) => {}
            Err(error) => return Err(failed(&error)),
        }
        if devices
            .delete_dummy(DEVICE)
            .map_err(|error| failed(&error))?
        {
            lines.push(format!("deleted device `{DEVICE}`"));
        }
        Ok(lines)
    })
}
