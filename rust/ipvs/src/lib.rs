//! The kernel's IPVS: services, their destinations, and the netlink messages about them.
//!
//! A [`Service`] is a virtual server: an address, protocol and port, or a packet mark, with a
//! scheduler. A [`Destination`] is a real server behind it. [`Command`]s change them; a [`Client`]
//! sends many commands in one datagram and reads back what the kernel holds. IPVS has no
//! transactions: each command succeeds or fails on its own.
//!
//! Names and numbers are those of `uapi/linux/ip_vs.h`; the text form is that of `ipvsadm -Sn`.

mod address;
pub mod client;
pub mod command;
pub mod destination;
mod display;
pub mod dump;
pub mod error;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod message;
pub mod scheduler;
pub mod service;

pub use address::Protocol;
pub use client::Client;
pub use command::{Command, Timeouts};
pub use destination::{Destination, DestinationKey, Forwarding, Thresholds};
pub use dump::{ObservedDestination, ObservedService, Statistics};
pub use error::{ConnectError, ObserveError, Refusal, SubmitError};
#[cfg(any(test, feature = "testing"))]
pub use fake::FakeKernel;
pub use scheduler::Scheduler;
pub use service::{Family, Flags, Persistence, Service, ServiceKey};
