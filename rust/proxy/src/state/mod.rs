//! What the API server says, reduced to what the node needs.

mod changes;
mod endpoint_slice;
mod node;
mod rejections;
mod service;
mod slice_index;
mod store;
mod tracker;
mod trigger_times;
mod weights;

pub use changes::{ChangeTally, Changes};
pub use endpoint_slice::{Endpoint, EndpointPort, EndpointSlice, Hints};
pub use node::Node;
pub use service::{Service, ServicePort, TrafficPolicy};
pub use store::State;
pub use weights::{Weights, WeightsError};
