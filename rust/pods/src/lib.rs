//! Pods as small records: `bytes -> decode -> store`.
//!
//! A cluster has fifteen times as many Pods as Services, and a Pod is mostly what a kubelet needs.
//! Of 150,000 of them only what EndpointSlices are made from is kept. Nothing here does I/O.

mod decode;
mod frame;
mod interner;
mod pod;
mod store;

pub use pod::{ContainerPort, Pod};
pub use store::{Change, Outcome, Rejection, Store};

#[cfg(test)]
mod tests;
