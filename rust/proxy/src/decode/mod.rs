//! API bytes to the objects of [`crate::state`].

mod address;
mod cluster;
mod document;
mod endpoint_slice;
mod endpoints;
mod event;
mod field;
mod identity;
mod kind;
mod object;
mod reason;
mod service;

pub(crate) use document::Document;
pub(crate) use event::{Event, Identified};
pub use kind::Kind;
pub(crate) use object::{Content, Record};

#[cfg(test)]
mod tests;
