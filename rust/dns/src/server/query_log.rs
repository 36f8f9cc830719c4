//! A line for every answer, on stderr.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::wire::describe;

/// How many lines wait to be written; more are left out, so that answers never wait for them.
const LINES: usize = 4096;

/// Where a question came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) client: SocketAddr,
    /// `udp` or `tcp`.
    pub(super) protocol: &'static str,
    /// How many bytes it has.
    pub(super) size: usize,
    pub(super) received: Instant,
}

/// Writes a line for every answer, in a thread of its own, which ends with it.
#[derive(Debug)]
pub(super) struct QueryLog {
    lines: Option<SyncSender<String>>,
    /// How many lines were left out since the last one was written.
    left_out: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl QueryLog {
    /// Begins to write.
    pub(super) fn start() -> io::Result<Self> {
        let (lines, written) = sync_channel(LINES);
        let left_out = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&left_out);
        let thread = std::thread::Builder::new().name("dns-log".to_owned());
        Ok(Self {
            lines: Some(lines),
            left_out,
            thread: Some(thread.spawn(move || write(&written, &counter))?),
        })
    }

    /// Notes an answer.
    pub(super) fn note(&self, origin: Origin, answer: &[u8]) {
        let Some(lines) = &self.lines else { return };
        let line = line(origin, answer, origin.received.elapsed());
        if let Err(TrySendError::Full(_)) = lines.try_send(line) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for QueryLog {
    fn drop(&mut self) {
        self.lines.take();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

fn write(lines: &Receiver<String>, left_out: &AtomicU64) {
    while let Ok(mut line) = lines.recv() {
        let left_out = left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            line.insert_str(0, &format!("{left_out} answers were not logged\n"));
        }
        // Nobody is left to tell that stderr is closed.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

/// A line in the format of CoreDNS' plugin `log`: the client, the ID, the type, class, name,
/// protocol and size of the question; the outcome, flags and size of the answer; the seconds it took.
fn line(origin: Origin, answer: &[u8], took: Duration) -> String {
    let Origin {
        client,
        protocol,
        size,
        ..
    } = origin;
    let id = u16::from_be_bytes([
        answer.first().copied().unwrap_or_default(),
        answer.get(1).copied().unwrap_or_default(),
    ]);
    let (question, rcode, flags) = describe(answer);
    let mut line = format!("{client} - {id} \"{question} {protocol} {size}\" {rcode} {flags}");
    // Writing to a String cannot fail.
    let _ = writeln!(line, " {} {:.6}s", answer.len(), took.as_secs_f64());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_says_who_asked_what_and_what_was_answered() {
        let mut answer = vec![0x01, 0x02, 0x85, 0x83, 0, 1, 0, 0, 0, 0, 0, 0];
        answer.extend_from_slice(b"\x03w\"b\x04shop\x00\x00\x21\x00\x01");
        let origin = Origin {
            client: "192.0.2.1:5353".parse().unwrap(),
            protocol: "udp",
            size: 26,
            received: Instant::now(),
        };
        assert_eq!(
            line(origin, &answer, Duration::from_micros(31)),
            "192.0.2.1:5353 - 258 \"SRV IN w\\034b.shop. udp 26\" NXDOMAIN qr,aa,rd,ra 26 0.000031s\n"
        );
        assert_eq!(
            line(origin, &[1, 2], Duration::ZERO),
            "192.0.2.1:5353 - 258 \"- - - udp 26\" NOERROR - 2 0.000000s\n"
        );
    }
}
