//! Removes what kube-proxy left behind, or takes it over.

use ipnet::IpNet;
use kpx_ipvs::ConnectError;
use kpx_netlink::Socket;
use kpx_netlink::socket::NETLINK_GENERIC;
use kpx_nftables::ObserveError;
use kpx_proxy::error_chain;
use kpx_proxy::leftovers::{Leftovers, claims};
use kpx_proxy::names::KUBE_PROXY_DEVICE;
use pyo3::prelude::*;

use crate::{errors, kernel};

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

/// Makes the IPVS services that kube-proxy left ours, and deletes its device, if that is there; gives
/// what was done, a line each.
#[pyfunction]
pub(crate) fn claim_kube_proxy_ipvs(
    py: Python<'_>,
    excluded: Vec<String>,
) -> PyResult<Vec<String>> {
    py.detach(|| {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            errors::take_over_failed(error_chain(error), None)
        };
        let excluded: Result<Vec<IpNet>, _> =
            excluded.into_iter().map(|range| range.parse()).collect();
        let excluded = excluded.map_err(|error: ipnet::AddrParseError| failed(&error))?;
        let mut devices = kernel::connect_links().map_err(|error| failed(&error))?;
        let device = devices.link(KUBE_PROXY_DEVICE);
        if device.map_err(|error| failed(&error))?.is_none() {
            return Ok(Vec::new());
        }
        let mut lines = Vec::new();
        let socket = Socket::open(NETLINK_GENERIC).map_err(|error| failed(&error))?;
        match kpx_ipvs::Client::connect(socket) {
            Ok(mut client) => {
                let services = client.services().map_err(|error| failed(&error))?;
                let services = services.iter().map(|observed| &observed.service);
                let commands = claims(services, &excluded);
                let refusals = client.submit(&commands).map_err(|error| failed(&error))?;
                if let Some(refusal) = refusals.first() {
                    return Err(failed(refusal));
                }
                if !commands.is_empty() {
                    lines.push(format!("took over {} IPVS services", commands.len()));
                }
            }
            Err(ConnectError::Missing(_)) => {}
            Err(error) => return Err(failed(&error)),
        }
        let is_deleted = devices.delete_dummy(KUBE_PROXY_DEVICE);
        if is_deleted.map_err(|error| failed(&error))? {
            lines.push(format!("deleted device `{KUBE_PROXY_DEVICE}`"));
        }
        Ok(lines)
    })
}
