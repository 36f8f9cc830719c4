//! Answers over UDP and TCP.

mod forwarder;
mod query_log;
mod tcp;
mod udp;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ipnet::IpNet;
use thiserror::Error;

use crate::lookup::Rcode;
use crate::store::{Store, seconds_now};
use crate::wire::{Limits, Response, respond};
use forwarder::Forwarder;
use query_log::{Origin, QueryLog};
use udp::UdpPort;

/// How often threads look whether they are to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// A server that could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What asks other servers, or writes the log, cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// How a server answers.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where it listens, UDP and TCP; port 0 stands for any free port.
    pub address: SocketAddr,
    /// How many threads answer over UDP.
    pub threads: usize,
    /// Who may transfer whole zones.
    pub transfer_to: Vec<IpNet>,
    /// Which servers are asked for names in none of the zones; without any, such names are refused.
    pub upstream: Vec<SocketAddr>,
    /// Whether a line is written to stderr for every answer.
    pub log_queries: bool,
}

/// How many answers there were of each outcome.
#[derive(Debug, Default)]
struct Counters {
    answers: [AtomicU64; 17],
    dropped: AtomicU64,
}

/// Answers questions until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    responder: Arc<Responder>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens, and answers from a store.
    pub fn start(store: &Arc<Store>, config: ServerConfig) -> Result<Self, ServerError> {
        let wanted = config.address;
        let failed = |source| ServerError::Listen {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let port = Arc::new(UdpPort::bind(address).map_err(failed)?);
        listener.set_nonblocking(true).map_err(failed)?;
        let forwarder = if config.upstream.is_empty() {
            None
        } else {
            Some(Forwarder::start(config.upstream).map_err(ServerError::Thread)?)
        };
        let log = config.log_queries.then(QueryLog::start).transpose();
        let responder = Arc::new(Responder {
            store: Arc::clone(store),
            stop: AtomicBool::new(false),
            counters: Counters::default(),
            forwarder,
            log: log.map_err(ServerError::Thread)?,
        });
        let mut threads = Vec::new();
        for _ in 0..config.threads.max(1) {
            let (responder, port) = (Arc::clone(&responder), Arc::clone(&port));
            threads.push(std::thread::spawn(move || port.answer(&responder)));
        }
        let tcp = tcp::Acceptor::new(Arc::clone(&responder), config.transfer_to);
        threads.push(std::thread::spawn(move || tcp.accept(&listener)));
        Ok(Self {
            address,
            responder,
            threads,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many answers there were, by the mnemonic of their outcome.
    pub fn answers(&self) -> Vec<(&'static str, u64)> {
        let count = |rcode: Rcode| {
            let counter = &self.responder.counters.answers[usize::from(rcode as u8)];
            (rcode.as_str(), counter.load(Ordering::Relaxed))
        };
        Rcode::ALL.into_iter().map(count).collect()
    }

    /// How many messages were not answered, because there was nothing to answer to.
    pub fn dropped(&self) -> u64 {
        self.responder.counters.dropped.load(Ordering::Relaxed)
    }

    /// How many questions went to other servers, and how many of them were not replied to.
    pub fn forwarded(&self) -> (u64, u64) {
        let counters = self.responder.forwarder.as_ref().map(Forwarder::counters);
        counters.map_or((0, 0), |counters| {
            let asked = counters.asked.load(Ordering::Relaxed);
            (asked, counters.failed.load(Ordering::Relaxed))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.responder.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

/// Makes answers, for whatever brings questions.
#[derive(Debug)]
struct Responder {
    store: Arc<Store>,
    stop: AtomicBool,
    counters: Counters,
    forwarder: Option<Forwarder>,
    log: Option<QueryLog>,
}

impl Responder {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Answers a question: hands the answer over, now or, if others must be asked, later. Returns
    /// whether there is anything to answer to.
    fn answer<D>(
        self: &Arc<Self>,
        request: &[u8],
        limits: Limits,
        start: usize,
        origin: Origin,
        now: impl FnOnce(Vec<u8>),
        later: impl FnOnce() -> D,
    ) -> bool
    where
        D: FnOnce(Vec<u8>) + Send + 'static,
    {
        let answered = respond(&self.store.zones(), request, limits, seconds_now(), start);
        let Some(mut response) = answered else {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        let Some(forwarder) = &self.forwarder else {
            now(self.finish(response, origin));
            return true;
        };
        let Some(query) = response.upstream_query() else {
            response.offer_recursion();
            now(self.finish(response, origin));
            return true;
        };
        let responder = Arc::clone(self);
        let deliver = later();
        forwarder.ask(query, matches!(limits, Limits::Tcp), move |reply| {
            let whole = response.completed(reply.as_deref());
            deliver(responder.finish(whole, origin));
        });
        true
    }

    /// Counts and logs an answer.
    fn finish(&self, response: Response, origin: Origin) -> Vec<u8> {
        self.counters.answers[usize::from(response.rcode as u8)].fetch_add(1, Ordering::Relaxed);
        if let Some(log) = &self.log {
            log.note(origin, &response.message);
        }
        response.message
    }
}
