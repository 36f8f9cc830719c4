//! What has to change in the kernel: computed without touching it.
//!
//! A [`Plan`] is a value: lists of changes, each with what was and what will be. Planning, showing
//! a plan and turning it into operations are separate, so that `kpx plan` and `kpx sync` differ
//! by one call.

mod change;
mod json;
mod operations;
mod planner;
mod servers;
mod text;

pub use change::{Action, DefinitionChange, FrontendChange, MemberChange, Plan, Summary};
pub(crate) use planner::Planner;
