//! What the kernel should hold, derived from the state Service by Service.

mod claims;
mod frontends;
mod spec;

pub use claims::{Conflict, Desired};
pub use frontends::ServiceFrontends;
pub use spec::{FrontendSpec, Route};
