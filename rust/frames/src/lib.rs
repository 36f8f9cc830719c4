//! What the Kubernetes API sends, whatever kinds of objects are in it: lists, lines of watches, what
//! tells one object from another, and what can be wrong with any of it. Nothing here does I/O.

mod error;
mod identity;
mod list_pages;
mod lossy;
mod reason;
mod report;
mod watch;

pub use error::DecodeError;
pub use identity::Identity;
pub use list_pages::ListPages;
pub use lossy::LossyText;
pub use reason::{NOT_UTF8, Shortened, cause, wrong_field};
pub use report::{EventReport, FeedReport};
pub use watch::{Arrival, Line, WatchEvent};
