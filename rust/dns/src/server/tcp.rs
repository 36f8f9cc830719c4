//! Questions over TCP, one after the other, and zone transfers.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::Responder;
use super::query_log::Origin;
use crate::store::seconds_now;
use crate::wire::{Limits, transfer};

/// How long a client may take for one message, and be silent between two (RFC 7766, 6.2.3).
const PATIENCE: Duration = Duration::from_secs(5);
/// How many connections are served at a time; for one more, the oldest is closed.
const CONNECTIONS: usize = 256;
/// How many transfers are made at a time; more are refused.
const TRANSFERS: usize = 2;

/// Takes connections.
#[derive(Debug)]
pub(super) struct Acceptor {
    responder: Arc<Responder>,
    connections: Mutex<BTreeMap<u64, TcpStream>>,
    transfers: AtomicUsize,
    /// Who may have whole zones.
    transfer_to: Vec<IpNet>,
}

impl Acceptor {
    pub(super) fn new(responder: Arc<Responder>, transfer_to: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self {
            responder,
            connections: Mutex::default(),
            transfers: AtomicUsize::new(0),
            transfer_to,
        })
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers until the responder is stopped.
    pub(super) fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut number = 0;
        while !self.responder.is_stopped() {
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
            if connections.len() > CONNECTIONS
                && let Some((_, oldest)) = connections.pop_first()
            {
                // Its thread reads the end of the connection, and ends.
                let _ = oldest.shutdown(Shutdown::Both);
            }
            drop(connections);
            let acceptor = Arc::clone(self);
            std::thread::spawn(move || {
                // A connection that breaks concerns nobody else.
                let _ = acceptor.answer(stream);
                acceptor.connections().remove(&number);
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
            .then(|| transfer(&self.responder.store.zones(), request, seconds_now()))
            .flatten();
        self.transfers.fetch_sub(1, Ordering::Relaxed);
        messages
    }

    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let client = stream.peer_addr()?;
        let mut start = 0_usize;
        while !self.responder.is_stopped() {
            let deadline = Instant::now() + PATIENCE;
            let mut length = [0; 2];
            read_until(&mut stream, &mut length, deadline)?;
            let mut request = vec![0; usize::from(u16::from_be_bytes(length))];
            read_until(&mut stream, &mut request, deadline)?;
            start = start.wrapping_add(1);
            stream.set_write_timeout(Some(PATIENCE))?;
            if let Some(messages) = self.transfer(&request, &stream) {
                for message in messages {
                    send(&mut stream, &message)?;
                }
                continue;
            }
            let origin = Origin {
                client,
                protocol: "tcp",
                size: request.len(),
                received: Instant::now(),
            };
            let (deliver, answers) = sync_channel(1);
            let later = deliver.clone();
            let hand_over = move |answer| {
                // A client that is gone needs no answer.
                let _ = deliver.send(answer);
            };
            let is_answered =
                self.responder
                    .answer(&request, Limits::Tcp, start, origin, hand_over, move || {
                        move |answer| {
                            let _ = later.send(answer);
                        }
                    });
            // Those who are asked for it take a bounded time.
            let Some(answer) = is_answered.then(|| answers.recv().ok()).flatten() else {
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
