//! Rulesets and transactions as `nft` text.
//!
//! A noun displays as what follows its kind in a command (`add set ip kpx ...` holds the [`Set`]
//! `ip kpx ...`), so an [`Operation`] is a verb, a kind and a noun. The text of a [`Transaction`]
//! can be given to `nft -f`; the text of a [`Ruleset`] reads like `nft list ruleset`.
//!
//! Everything is written into the formatter as it is walked: a transaction of a million elements
//! needs no memory of its own to print.
//!
//! `nft` has no escape inside a quoted string, so a `"` or a control character in a comment is
//! replaced.
//!
//! [`Set`]: crate::Set
//! [`Operation`]: crate::Operation
//! [`Transaction`]: crate::Transaction
//! [`Ruleset`]: crate::Ruleset

mod chain;
mod element;
mod register;
mod rule;
mod ruleset;
mod set;
mod transaction;
mod value;

pub use element::{DisplayElement, DisplayKey};
pub use rule::DisplayStatements;
