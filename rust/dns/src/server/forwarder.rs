//! Questions for other name servers, each bounded in time, all bounded in number.
//!
//! What comes from a client is not sent on as it is: a new message asks the same question. A reply
//! counts only if it comes from where it was asked, and has the question and the ID, which, like the
//! port it was asked from, nobody can guess (RFC 5452).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};

use crate::wire::{UpstreamQuery, is_truncated};

/// How many questions may be without a reply at a time; more fail at once. Each holds a socket.
const QUESTIONS: usize = 512;
/// How long a server may take before the next is asked, or the same again. Clients wait 5 s
/// (resolv.conf(5)), and are to hear of a failure.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How often a question is asked at most.
const ATTEMPTS: usize = 3;
/// The largest reply over UDP; we ask for less.
const UDP_REPLY: usize = 4096;

/// How many questions there were, and how many without a reply.
#[derive(Debug, Default)]
pub(super) struct ForwardCounters {
    pub(super) asked: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// Asks other name servers, in a thread of its own, which ends with it.
#[derive(Debug)]
pub(super) struct Forwarder {
    upstream: Arc<Upstream>,
    runtime: Handle,
    permits: Arc<Semaphore>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Upstream {
    servers: Vec<SocketAddr>,
    /// The server that replied last.
    preferred: AtomicUsize,
    counters: ForwardCounters,
}

impl Forwarder {
    /// Asks none yet.
    pub(super) fn start(servers: Vec<SocketAddr>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("dns-forward".to_owned());
        let thread = thread.spawn(move || {
            // It ends when the other end says so, or is gone.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self {
            upstream: Arc::new(Upstream {
                servers,
                preferred: AtomicUsize::new(0),
                counters: ForwardCounters::default(),
            }),
            runtime: handle,
            permits: Arc::new(Semaphore::new(QUESTIONS)),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// How many questions there were, and how many without a reply.
    pub(super) fn counters(&self) -> &ForwardCounters {
        &self.upstream.counters
    }

    /// Asks, and hands over the reply; `None` if there is none, or too many questions wait for one.
    /// A reply that does not fit is asked for again over TCP, if it may be large.
    pub(super) fn ask(
        &self,
        query: UpstreamQuery,
        may_be_large: bool,
        deliver: impl FnOnce(Option<Vec<u8>>) + Send + 'static,
    ) {
        let counters = &self.upstream.counters;
        counters.asked.fetch_add(1, Ordering::Relaxed);
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            counters.failed.fetch_add(1, Ordering::Relaxed);
            return deliver(None);
        };
        let upstream = Arc::clone(&self.upstream);
        self.runtime.spawn(async move {
            let reply = upstream.ask(&query, may_be_large).await;
            if reply.is_none() {
                upstream.counters.failed.fetch_add(1, Ordering::Relaxed);
            }
            deliver(reply);
            drop(permit);
        });
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop.take();
        // The last question that waits for a reply may be what drops it, in that thread itself.
        let is_own = |thread: &JoinHandle<()>| thread.thread().id() == std::thread::current().id();
        if let Some(thread) = self.thread.take().filter(|thread| !is_own(thread)) {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

impl Upstream {
    async fn ask(&self, query: &UpstreamQuery, may_be_large: bool) -> Option<Vec<u8>> {
        let first = self.preferred.load(Ordering::Relaxed);
        for attempt in 0..ATTEMPTS {
            let place = (first + attempt) % self.servers.len();
            let server = *self.servers.get(place)?;
            let asked = tokio::time::timeout(PATIENCE, exchange(server, query, may_be_large));
            // One that is silent, or cannot be reached, is no reply of another.
            if let Ok(Ok(reply)) = asked.await {
                self.preferred.store(place, Ordering::Relaxed);
                return Some(reply);
            }
        }
        None
    }
}

async fn exchange(
    server: SocketAddr,
    query: &UpstreamQuery,
    may_be_large: bool,
) -> io::Result<Vec<u8>> {
    let reply = over_udp(server, query).await?;
    if may_be_large && is_truncated(&reply) {
        return over_tcp(server, query).await;
    }
    Ok(reply)
}

/// The kernel chooses another port for each question (`net/ipv4/udp.c`, `udp_lib_get_port`).
async fn over_udp(server: SocketAddr, query: &UpstreamQuery) -> io::Result<Vec<u8>> {
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let id = random_id()?;
    socket.send(&query.with_id(id)).await?;
    let mut reply = vec![0; UDP_REPLY];
    loop {
        let length = socket.recv(&mut reply).await?;
        if query.is_answered_by(id, &reply[..length]) {
            reply.truncate(length);
            return Ok(reply);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &UpstreamQuery) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let id = random_id()?;
    let message = query.with_id(id);
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], &message].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    if query.is_answered_by(id, &reply) {
        Ok(reply)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    Ok(u16::from_be_bytes(id))
}
