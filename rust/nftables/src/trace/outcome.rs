//! What became of a packet.

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;

/// How a packet's way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It reached its destination.
    Accepted,
    /// It was discarded silently.
    Dropped,
    /// It was refused with an error to the sender.
    Rejected,
}

/// The end of a packet's way, and how it got there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Fate,
    /// Where the packet went to in the end.
    pub destination: SocketAddr,
    /// Whether the connection seems to come from this host.
    pub masqueraded: bool,
    /// The rules that applied, each as `chain: rule`, with what a map or a translation gave.
    pub path: Vec<String>,
}

/// `dropped`, `rejected`, or the destination: `10.244.0.5:8080, masqueraded`.
impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.verdict {
            Fate::Dropped => f.write_str("dropped"),
            Fate::Rejected => f.write_str("rejected"),
            Fate::Accepted if self.masqueraded => write!(f, "{}, masqueraded", self.destination),
            Fate::Accepted => write!(f, "{}", self.destination),
        }
    }
}
