//! Why a packet goes where it goes on this node.
//!
//! The answer is read off the values that are programmed: the frontends of
//! [`Desired`](crate::desired::Desired), the fixed chains' [`Skeleton`](crate::layout::Skeleton)
//! and the [`Plan`](crate::plan::Plan), so that what is said cannot drift from what is done. An
//! [`Explanation`] is a value; as JSON it is a stable form for programs.

mod error;
mod explainer;
mod explanation;
mod find;
mod frontend;
mod kernel;
mod reason;
mod source;
mod target;
mod unserved;

pub use error::ExplainError;
pub(crate) use explainer::Explainer;
pub use explanation::{
    EndpointList, EndpointVerdict, ExplainedEndpoint, ExplainedFrontend, ExplainedPort,
    Explanation, Masquerade, OtherFrontend, Outcome, Path, SessionAffinity,
};
pub use kernel::{Difference, Kernel};
pub use source::{Source, SourceClass};
pub use target::{Target, TargetError};
pub use unserved::{Rule, Unserved};

#[cfg(test)]
mod tests;
