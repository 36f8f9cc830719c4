//! The cluster's names, and the server that answers for them, as Python objects.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use kpx_dns::{Durations, Name, RecordType, Server, ServerConfig, ServiceKind, Store, ZoneConfig};
use kpx_proxy::Kind;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors;
use crate::report::{PyEventReport, PyFeedReport, PyRejection};

/// A record set: the name, the time to live, the type, and the data of every record.
type RecordSetRow = (String, u32, String, Vec<String>);

/// A kind of Service, the bound and count of every bucket, and the sum, in seconds.
type ProgrammingRow = (&'static str, Vec<(f64, u64)>, f64);

/// What the cluster says, and the names it makes.
#[pyclass(frozen, module = "kpx._core", name = "DnsStore")]
pub(crate) struct PyDnsStore(Arc<Store>);

#[pymethods]
impl PyDnsStore {
    #[new]
    fn new(config: &str) -> PyResult<Self> {
        let config = ZoneConfig::from_json(config).map_err(|error| errors::dns_invalid(&error))?;
        Ok(Self(Arc::new(Store::new(config))))
    }

    fn feed(&self, py: Python<'_>, frame: &[u8]) -> PyResult<PyFeedReport> {
        py.detach(|| self.0.feed(frame))
            .map(PyFeedReport)
            .map_err(|error| errors::decode_failed(&error))
    }

    fn feed_event(&self, py: Python<'_>, line: &[u8]) -> PyResult<PyEventReport> {
        py.detach(|| self.0.feed_event(line))
            .map(PyEventReport)
            .map_err(|error| errors::decode_failed(&error))
    }

    fn begin_replace(&self, py: Python<'_>, kind: &str) -> PyResult<()> {
        let kind = known_kind(kind)?;
        py.detach(|| self.0.begin_replace(kind));
        Ok(())
    }

    fn end_replace(&self, py: Python<'_>, kind: &str) -> PyResult<()> {
        let kind = known_kind(kind)?;
        py.detach(|| self.0.end_replace(kind));
        Ok(())
    }

    fn complete(&self, py: Python<'_>) {
        py.detach(|| self.0.complete());
    }

    fn services_without_slices(&self, py: Python<'_>) -> Vec<String> {
        let names = py.detach(|| self.0.services_without_slices());
        names.iter().map(ToString::to_string).collect()
    }

    fn rejections(&self, py: Python<'_>) -> Vec<PyRejection> {
        let rejections = py.detach(|| self.0.rejections());
        rejections.into_iter().map(PyRejection).collect()
    }

    /// For each kind of Service: its label, the bound and the count of each bucket, and the sum.
    fn programming(&self) -> Vec<ProgrammingRow> {
        let kinds = ServiceKind::ALL.iter().zip(self.0.programming());
        kinds
            .map(|((_, label), durations)| {
                let bounds = (0..).map(Durations::bound);
                let buckets = bounds.zip(durations.buckets);
                let last = std::iter::once((f64::INFINITY, durations.longer));
                (*label, buckets.chain(last).collect(), durations.sum)
            })
            .collect()
    }

    fn query(&self, py: Python<'_>, name: &str, record_type: &str) -> PyResult<String> {
        let name = parse_name(name)?;
        let record_type = RecordType::parse(record_type).ok_or_else(|| {
            errors::question_invalid(&format!("`{record_type}` is not a record type"))
        })?;
        py.detach(|| self.0.query(&name, record_type))
            .unwrap_or_else(kpx_dns::Answer::refused)
            .to_json()
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn records(&self, py: Python<'_>, zone: &str) -> PyResult<Vec<RecordSetRow>> {
        let zone = parse_name(zone)?;
        Ok(py.detach(|| {
            let sets = self.0.record_sets(&zone).into_iter();
            sets.map(|set| {
                let data = set.records.iter().map(|record| record.data.to_string());
                let record_type = set.record_type().to_string();
                (set.owner.to_string(), set.ttl, record_type, data.collect())
            })
            .collect()
        }))
    }
}

/// A server of the names of a store.
#[pyclass(frozen, module = "kpx._core", name = "DnsServer")]
pub(crate) struct PyDnsServer(Mutex<Option<Server>>);

#[pymethods]
impl PyDnsServer {
    #[new]
    #[pyo3(signature = (store, address, threads, transfer_to, upstream=vec![], log_queries=false))]
    fn new(
        store: &PyDnsStore,
        address: &str,
        threads: usize,
        transfer_to: Vec<String>,
        upstream: Vec<String>,
        log_queries: bool,
    ) -> PyResult<Self> {
        let ranges = transfer_to.into_iter().map(|range| {
            let invalid = || errors::question_invalid(&format!("`{range}` is not a CIDR range"));
            range.parse().map_err(|_| invalid())
        });
        let upstream = upstream.into_iter().map(|server| socket_address(&server));
        let config = ServerConfig {
            address: socket_address(address)?,
            threads,
            transfer_to: ranges.collect::<PyResult<Vec<IpNet>>>()?,
            upstream: upstream.collect::<PyResult<Vec<SocketAddr>>>()?,
            log_queries,
        };
        let server =
            Server::start(&store.0, config).map_err(|error| errors::listen_failed(&error))?;
        Ok(Self(Mutex::new(Some(server))))
    }

    fn address(&self) -> Option<String> {
        self.with(|server| server.address().to_string())
    }

    fn answers(&self) -> Vec<(&'static str, u64)> {
        self.with(Server::answers).unwrap_or_default()
    }

    fn dropped(&self) -> u64 {
        self.with(Server::dropped).unwrap_or_default()
    }

    fn forwarded(&self) -> (u64, u64) {
        self.with(Server::forwarded).unwrap_or_default()
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| {
            let server = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(server);
        });
    }
}

impl PyDnsServer {
    fn with<T>(&self, read: impl FnOnce(&Server) -> T) -> Option<T> {
        let server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        server.as_ref().map(read)
    }
}

fn socket_address(text: &str) -> PyResult<SocketAddr> {
    let invalid = || errors::question_invalid(&format!("`{text}` is not an address and a port"));
    text.parse().map_err(|_| invalid())
}

fn parse_name(text: &str) -> PyResult<Name> {
    Name::parse(text).map_err(|error| errors::question_invalid(&error.to_string()))
}

fn known_kind(kind: &str) -> PyResult<Kind> {
    let known = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    known.ok_or_else(|| PyValueError::new_err(format!("`{kind}` is not a kind that is read")))
}
