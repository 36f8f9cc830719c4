//! Dummy devices, and the addresses of the node's devices.
//!
//! A device of the kind `dummy` carries addresses that the node answers for and no wire leads to.
//! A [`Client`] makes one, and adds and deletes addresses many to a datagram. The numbers are those
//! of `uapi/linux/rtnetlink.h`, `if_link.h` and `if_addr.h`.

pub mod address;
pub mod client;
pub mod error;
pub mod link;

pub use address::{AddressChange, LinkAddress};
pub use client::Client;
pub use error::{Error, Refusal};
pub use link::Link;
