//! Answers over UDP and TCP.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use thiserror::Error;

use crate::lookup::Rcode;
use crate::store::{Store, seconds_now};
use crate::wire::{Limits, respond, transfer};

/// The largest answer over UDP, whatever the client takes (DNS flag day 2020).
const UDP_SIZE: u16 = 1232;
/// How often threads look whether they are to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(100);
/// How long a TCP client may take for one message, and be silent between two (RFC 7766, 6.2.3).
const TCP_PATIENCE: Duration = Duration::from_secs(5);
/// How many TCP connections are served at a time; for one more, the oldest is closed.
const TCP_CONNECTIONS: usize = 256;
/// How many transfers are made at a time; more are refused.
const TRANSFERS: usize = 2;

/// A server that could not be started.
#[derive(Debug, Error)]
#[error("cannot listen on `{address}`")]
pub struct ServerError {
    address: SocketAddr,
    #[source]
    source: io::Error,
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
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens on an address, UDP and TCP; on port 0, on a free port. `threads` answer over UDP.
    pub fn start(
        store: &Arc<Store>,
        address: SocketAddr,
        threads: usize,
        transfer_to: Vec<IpNet>,
    ) -> Result<Self, ServerError> {
        let failed = |source| ServerError { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let socket = UdpSocket::bind(address).map_err(failed)?;
        socket
            .set_read_timeout(Some(STOP_INTERVAL))
            .map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let mut server = Self {
            address,
            stop: Arc::default(),
            counters: Arc::default(),
            threads: Vec::new(),
        };
        let transfer_to: Arc<[IpNet]> = transfer_to.into();
        for _ in 0..threads.max(1) {
            let socket = socket.try_clone().map_err(failed)?;
            server.spawn(store, &transfer_to, move |worker| {
                worker.answer_udp(&socket);
            });
        }
        server.spawn(store, &transfer_to, move |worker| worker.accept(&listener));
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many answers there were, by the mnemonic of their outcome.
    pub fn answers(&self) -> Vec<(&'static str, u64)> {
        let all = [
            Rcode::NoError,
            Rcode::FormErr,
            Rcode::ServFail,
            Rcode::NxDomain,
            Rcode::NotImp,
            Rcode::Refused,
            Rcode::BadVers,
        ];
        let count = |rcode: Rcode| {
            let counter = &self.counters.answers[usize::from(rcode as u8)];
            (rcode.as_str(), counter.load(Ordering::Relaxed))
        };
        all.into_iter().map(count).collect()
    }

    /// How many messages were not answered, because there was nothing to answer to.
    pub fn dropped(&self) -> u64 {
        self.counters.dropped.load(Ordering::Relaxed)
    }

    fn spawn(
        &mut self,
        store: &Arc<Store>,
        transfer_to: &Arc<[IpNet]>,
        work: impl FnOnce(Worker) + Send + 'static,
    ) {
        let worker = Worker {
            store: Arc::clone(store),
            stop: Arc::clone(&self.stop),
            counters: Arc::clone(&self.counters),
            connections: Arc::default(),
            transfers: Arc::default(),
            transfer_to: Arc::clone(transfer_to),
        };
        self.threads.push(std::thread::spawn(move || work(worker)));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Worker {
    store: Arc<Store>,
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
    connections: Arc<Mutex<BTreeMap<u64, TcpStream>>>,
    transfers: Arc<AtomicUsize>,
    /// Who may have whole zones.
    transfer_to: Arc<[IpNet]>,
}

impl Worker {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn respond(&self, request: &[u8], limits: Limits, start: usize) -> Option<Vec<u8>> {
        let response = respond(&self.store.zones(), request, limits, seconds_now(), start);
        match &response {
            Some((_, rcode)) => &self.counters.answers[usize::from(*rcode as u8)],
            None => &self.counters.dropped,
        }
        .fetch_add(1, Ordering::Relaxed);
        response.map(|(message, _)| message)
    }

    fn answer_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        let mut start = 0_usize;
        while !self.is_stopped() {
            // A receive that fails is over; the next one may not.
            let Ok((length, client)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            start = start.wrapping_add(1);
            if let Some(answer) = self.respond(&buffer[..length], Limits::Udp(UDP_SIZE), start) {
                // The client asks again if the answer is lost.
                let _ = socket.send_to(&answer, client);
            }
        }
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, listener: &TcpListener) {
        let mut number = 0;
        while !self.is_stopped() {
            let Ok((stream, _)) = listener.accept() else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            let Ok(handle) = stream.try_clone() else {
                continue;
            };
            number += 1;
            let mut connections = self.connections();
            connections.insert(number, handle);
            if connections.len() > TCP_CONNECTIONS
                && let Some((_, oldest)) = connections.pop_first()
            {
                // Its thread reads the end of the connection, and ends.
                let _ = oldest.shutdown(Shutdown::Both);
            }
            drop(connections);
            let worker = self.clone();
            std::thread::spawn(move || {
                // A connection that breaks concerns nobody else.
                let _ = worker.answer_tcp(stream);
                worker.connections().remove(&number);
            });
        }
    }

    /// The messages of a transfer, if one is asked for by who may have it.
    fn transfer(&self, request: &[u8], stream: &TcpStream) -> Option<Vec<Vec<u8>>> {
        let peer = stream.peer_addr().ok()?.ip().to_canonical();
        if !self.transfer_to.iter().any(|range| range.contains(&peer)) {
            return None;
        }
        let running = self.transfers.fetch_add(1, Ordering::Relaxed);
        let messages = (running < TRANSFERS)
            .then(|| transfer(&self.store.zones(), request, seconds_now()))
            .flatten();
        self.transfers.fetch_sub(1, Ordering::Relaxed);
        messages
    }

    fn answer_tcp(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let mut start = 0_usize;
        while !self.is_stopped() {
            let deadline = Instant::now() + TCP_PATIENCE;
            let mut length = [0; 2];
            read_until(&mut stream, &mut length, deadline)?;
            let mut request = vec![0; usize::from(u16::from_be_bytes(length))];
            read_until(&mut stream, &mut request, deadline)?;
            start = start.wrapping_add(1);
            stream.set_write_timeout(Some(TCP_PATIENCE))?;
            if let Some(messages) = self.transfer(&request, &stream) {
                for message in messages {
                    send(&mut stream, &message)?;
                }
                continue;
            }
            let Some(answer) = self.respond(&request, Limits::Tcp, start) else {
                return Ok(());
            };
            send(&mut stream, &answer)?;
        }
        Ok(())
    }
}

fn send(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed)
}

/// Reads until a buffer is full, however slowly the bytes come, up to a deadline.
fn read_until(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => filled += length,
        }
    }
    Ok(())
}
