//! API bytes to the objects of [`crate::state`].

mod address;
mod cluster;
mod document;
mod endpoint_slice;
mod endpoints;
mod error;
mod event;
mod field;
mod identity;
mod kind;
mod list_pages;
mod lossy;
mod object;
mod reason;
mod service;

pub(crate) use document::Document;
pub use error::DecodeError;
pub(crate) use event::{Event, Identified};
pub use kind::Kind;
pub use list_pages::ListPages;
pub(crate) use object::{Content, Record};

#[cfg(test)]
mod tests;
