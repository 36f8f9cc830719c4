//! A whole ruleset as a value: what a dump of the kernel gives, and what the fake holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::{Bytes, Chain, Element, Name, Rule, Set, Table};

/// A chain with its rules in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainContents {
    /// The chain's definition.
    pub chain: Chain,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

/// A set with its elements by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetContents {
    /// The set's definition.
    pub set: Arc<Set>,
    /// Its elements. An interval is found by its first key. Each is boxed: a map has
    /// empty places, and while it grows it is there twice.
    pub elements: HashMap<Bytes, Box<Element>>,
}

/// Everything a table owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableContents {
    /// The chains by name.
    pub chains: BTreeMap<Name, ChainContents>,
    /// The sets and maps by name.
    pub sets: BTreeMap<Name, SetContents>,
}

/// The tables of a ruleset, at one generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The kernel's generation number when the ruleset was read.
    pub generation: u32,
    /// The tables.
    pub tables: BTreeMap<Table, TableContents>,
}
