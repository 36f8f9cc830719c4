//! The cluster's DNS names, after the Kubernetes DNS specification 1.1.0.
//!
//! `Services and EndpointSlices -> service names -> zones -> lookup -> wire -> server`. What is
//! asked, listed and transferred is computed by one [`lookup`](Zones::lookup) from one store.

mod lookup;
mod name;
mod programming;
mod records;
mod server;
mod service_names;
mod store;
mod wire;
mod zone_listing;
mod zones;

pub use lookup::{Answer, Rcode};
pub use name::{Name, NameError};
pub use programming::{BUCKET_COUNT, Durations, ServiceKind};
pub use records::{Data, Record, RecordSet, RecordType};
pub use server::{Server, ServerConfig, ServerError};
pub use store::Store;
pub use wire::{Limits, Missing, Response, respond};
pub use zones::{ZoneConfig, ZoneConfigError, Zones};
