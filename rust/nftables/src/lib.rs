//! nftables rulesets as values, and their netlink form.
//!
//! Nouns have a file each ([`table`], [`chain`], [`rule`], [`set`], [`element`], one
//! [`expression`] a file). A [`Transaction`] is an ordered list of verbs applied to nouns; it
//! prints itself as `nft` text and becomes netlink bytes in [`batch`].

pub mod batch;
pub mod chain;
pub mod client;
pub mod comment;
mod culprit;
mod data;
pub mod display;
mod dump;
pub mod element;
pub mod error;
pub mod expression;
#[cfg(feature = "testing")]
pub mod fake;
pub mod family;
mod message;
pub mod rule;
pub mod ruleset;
pub mod set;
pub mod table;
#[cfg(feature = "testing")]
pub mod trace;
pub mod transaction;
mod type_description;

pub use batch::Batch;
pub use chain::{BaseChain, Chain, ChainKind, Hook};
pub use client::{Client, next_generation};
pub use element::{Bytes, Data, Element};
pub use error::{CommitError, ObserveError};
pub use expression::{Expression, Verdict};
pub use family::Family;
pub use rule::Rule;
pub use ruleset::{ChainContents, Ruleset, SetContents, TableContents};
pub use set::{DataType, Set, SetFlags, SetKind};
pub use table::{Name, Table};
pub use transaction::{Elements, Object, Operation, Transaction, TransactionError, Verb};
