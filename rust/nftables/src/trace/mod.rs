//! Where a packet goes through a ruleset: a register machine that runs the rules as the kernel
//! does, so that a test can say what happens to a packet instead of which rules there are.
//!
//! Only the first packet of a connection is translated by rules; what conntrack does to the
//! later ones is not followed. Elements that rules add never expire.

mod error;
mod flow;
mod machine;
mod memory;
mod outcome;
mod packet;

pub use error::TraceError;
pub use flow::PacketFlow;
pub use outcome::{Fate, Outcome};
pub use packet::{ConnectionState, Packet};
