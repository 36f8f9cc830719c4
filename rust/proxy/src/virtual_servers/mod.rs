//! Virtual servers: what IPVS should hold, what it holds, and the difference.
//!
//! With the backend IPVS, a frontend that has endpoints is a virtual server for each of its
//! addresses, and the node has the addresses of Services itself, on a device of their own. What
//! IPVS cannot do is done by the same chains and maps of nftables as without it.

mod balancing;
mod change;
mod node;
mod observed;
mod programmed;
mod server;

pub use balancing::Balancing;
pub(crate) use change::Commands;
pub use change::{AddressChange, ServerChange, VirtualServerPlan};
pub use node::IpvsNode;
pub use observed::{ObservedAddresses, ObservedServer, ObservedServers};
pub use programmed::ProgrammedServers;
pub use server::VirtualServer;
pub(crate) use server::{drains, frontends_of_server, read_server_key, server_key};
