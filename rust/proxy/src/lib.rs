//! The node's mind: `bytes -> decode -> state -> desired -> plan`.
//!
//! Nothing here does I/O, reads a clock or knows Python. The kernel is behind the trait
//! [`Dataplane`].

pub mod config;
mod dataplane;
mod decode;
pub mod desired;
mod error_chain;
pub mod explain;
pub mod frontend;
pub mod hash;
pub mod layout;
pub mod leftovers;
mod name;
pub mod names;
pub mod plan;
pub mod programmed;
mod protocol;
mod proxier;
mod rejection;
pub mod state;
pub mod topology;
pub mod traffic;
pub mod virtual_servers;

pub use config::{Backend, Config, ConfigError};
pub use dataplane::{CommitFailure, Dataplane};
pub use decode::Kind;
pub use error_chain::error_chain;
pub use name::NamespacedName;
pub use plan::Plan;
pub use protocol::Protocol;
pub use proxier::{
    ApplyError, HealthCheck, NoLocalEndpoints, Proxier, RefusalKind, ServerRefusal, Status,
    SyncError, SyncFailure, SyncReport, Tally,
};
pub use rejection::Rejection;
