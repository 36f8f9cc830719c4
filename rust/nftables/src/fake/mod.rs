//! A ruleset that behaves like the kernel's, without a kernel: for tests of what makes and commits
//! transactions.
//!
//! Each rule it follows was observed on Linux 6.18, and is checked against the kernel that runs
//! the tests. It does not check the expressions of a rule themselves (registers, lengths), only
//! what they refer to and where they may stand; and time does not pass: elements never expire.

mod element;
mod error;
mod operation;
mod ruleset;
mod validation;

pub(crate) use element::covers;
pub use error::{FakeError, Rejection};
pub use ruleset::FakeRuleset;
