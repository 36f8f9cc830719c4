//! Netlink messages, attributes and one socket.
//!
//! This crate knows the framing that every netlink subsystem shares and nothing of any one
//! subsystem: no nftables, no IPVS. The only `unsafe` code of the workspace is in [`socket`].
//!
//! A request is built with a [`Writer`], crosses a [`Transport`], and its answer is read with
//! [`Messages`] and [`Attributes`], neither of which panics whatever the bytes are.

pub mod attribute;
pub mod error;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;
pub mod generic;
#[cfg(any(test, feature = "testing"))]
pub mod interrupting;
pub mod list;
pub mod message;
pub mod pipeline;
pub mod socket;
pub mod transport;

pub use attribute::{Attribute, Attributes, Covering, Nest, Writer};
pub use error::Error;
#[cfg(any(test, feature = "testing"))]
pub use faulty::{Fault, FaultyTransport};
#[cfg(any(test, feature = "testing"))]
pub use interrupting::Interrupting;
pub use message::{Header, Message, MessageStart, Messages, Reply};
pub use socket::Socket;
pub use transport::Transport;
