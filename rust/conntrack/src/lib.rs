//! The kernel's connection tracking: lists flows, and deletes those that lead nowhere any more.
//!
//! A UDP flow has no end that the kernel could see: as long as a client keeps sending, every
//! datagram goes where the first one went, even if nothing answers there. [`Conntrack::flush`]
//! deletes the flows that a [`Filter`] names, so that the next datagram is balanced anew.

mod error;
mod filter;
mod flush;
mod tuple;

pub use error::FlushError;
pub use filter::{Filter, NodePort, Serving};
pub use flush::Conntrack;
pub use tuple::{Flow, Tuple, UDP};
