//! Transactions: an ordered list of verbs applied to objects.

use std::sync::Arc;

use thiserror::Error;

use crate::rule::Jumps;
use crate::{Chain, Data, Element, Name, Rule, Set, SetKind, Table, comment};

/// What is done to an object. The words are `nft`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Ensure that the object exists; for a rule, append it to its chain.
    Add,
    /// Delete the object, which must exist.
    Delete,
    /// Delete all rules of a chain, or all elements of a set.
    Flush,
}

impl Verb {
    /// The `nft` keyword.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Delete => "delete",
            Self::Flush => "flush",
        }
    }
}

/// Elements of one set, handled in one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elements {
    /// The definition of the set, which says how keys and values are read.
    pub set: Arc<Set>,
    /// The elements; to delete, only the keys count.
    pub elements: Vec<Element>,
}

/// What a verb is applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// A table with all it owns.
    Table(Table),
    /// A chain.
    Chain(Chain),
    /// A rule; it can only be added, and goes with a flush of its chain.
    Rule(Rule),
    /// A rule that is there, by its handle; it can only be deleted.
    Jumps(Jumps),
    /// A set or map.
    Set(Arc<Set>),
    /// Elements of a set or map.
    Elements(Elements),
}

impl Object {
    /// The table the object is in, or is.
    pub fn table(&self) -> &Table {
        match self {
            Self::Table(table) => table,
            Self::Chain(chain) => &chain.table,
            Self::Rule(rule) => &rule.table,
            Self::Jumps(rule) => &rule.table,
            Self::Set(set) => &set.table,
            Self::Elements(elements) => &elements.set.table,
        }
    }

    /// `nft`'s word for the kind of object.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Table(_) => "table",
            Self::Chain(_) => "chain",
            Self::Rule(_) | Self::Jumps(_) => "rule",
            Self::Set(set) if set.is_map() => "map",
            Self::Set(_) => "set",
            Self::Elements(_) => "element",
        }
    }

    /// The name of the object; for a rule its chain's and for elements their set's.
    pub fn name(&self) -> &Name {
        match self {
            Self::Table(table) => &table.name,
            Self::Chain(chain) => &chain.name,
            Self::Rule(rule) => &rule.chain,
            Self::Jumps(rule) => &rule.chain,
            Self::Set(set) => &set.name,
            Self::Elements(elements) => &elements.set.name,
        }
    }
}

/// One step of a transaction, which some ruleset makes sense of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// What is done.
    pub verb: Verb,
    /// What it is done to.
    pub object: Object,
}

impl Operation {
    /// A verb applied to an object.
    ///
    /// # Errors
    ///
    /// If no kernel would accept it, whatever the ruleset is.
    pub fn new(verb: Verb, object: Object) -> Result<Self, TransactionError> {
        check(verb, &object)?;
        Ok(Self { verb, object })
    }
}

/// An operation that no kernel would accept.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionError {
    /// The verb does not exist for the kind of object.
    #[error("cannot {} a {object}", verb.keyword())]
    Unsupported {
        /// The verb.
        verb: Verb,
        /// The kind of object.
        object: &'static str,
    },
    /// A name that the kernel would refuse.
    #[error("{object} name `{name}` is empty or longer than 255 bytes")]
    Name {
        /// The kind of object.
        object: &'static str,
        /// The name.
        name: Name,
    },
    /// A key or value of the wrong length for its set.
    #[error("element {index} of `{set}` has {actual} bytes of {part} where {expected} are needed")]
    Length {
        /// The set.
        set: Name,
        /// The position in the operation.
        index: usize,
        /// Which part of the element: `key`, `key end` or `data`.
        part: &'static str,
        /// The length found.
        actual: usize,
        /// The length the set is defined with.
        expected: usize,
    },
    /// Data of another kind than the set maps to.
    #[error("element {index} of `{set}` does not have the kind of data that the set maps to")]
    Kind {
        /// The set.
        set: Name,
        /// The position in the operation.
        index: usize,
    },
    /// A comment longer than `nft` takes.
    #[error("comment `{comment}` is longer than {} bytes", comment::MAX_LENGTH)]
    Comment {
        /// The comment.
        comment: Name,
    },
}

/// An ordered list of operations that the kernel applies as one, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    operations: Vec<Operation>,
}

impl Transaction {
    /// A transaction that does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The operations in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Appends an operation.
    ///
    /// # Errors
    ///
    /// If there is no such operation: see [`Operation::new`].
    pub fn push(&mut self, verb: Verb, object: Object) -> Result<(), TransactionError> {
        self.operations.push(Operation::new(verb, object)?);
        Ok(())
    }

    /// Appends all operations of another transaction.
    pub fn append(&mut self, mut other: Self) {
        self.operations.append(&mut other.operations);
    }
}

impl FromIterator<Operation> for Transaction {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        Self {
            operations: operations.into_iter().collect(),
        }
    }
}

/// The greatest length of a name: `NFT_NAME_MAXLEN` without the terminating NUL
/// (`uapi/linux/netfilter/nf_tables.h`).
const MAX_NAME: usize = 255;

fn check(verb: Verb, object: &Object) -> Result<(), TransactionError> {
    let is_supported = match object {
        Object::Chain(_) | Object::Set(_) => true,
        Object::Table(_) | Object::Elements(_) => verb != Verb::Flush,
        Object::Rule(_) => verb == Verb::Add,
        Object::Jumps(_) => verb == Verb::Delete,
    };
    if !is_supported {
        return Err(TransactionError::Unsupported {
            verb,
            object: object.keyword(),
        });
    }
    check_name("table", &object.table().name)?;
    check_name(object.keyword(), object.name())?;
    match object {
        Object::Rule(rule) => check_comment(rule.comment.as_ref()),
        Object::Elements(elements) => elements
            .elements
            .iter()
            .enumerate()
            .try_for_each(|(index, element)| check_element(verb, &elements.set, index, element)),
        Object::Table(_) | Object::Chain(_) | Object::Jumps(_) | Object::Set(_) => Ok(()),
    }
}

fn check_name(object: &'static str, name: &Name) -> Result<(), TransactionError> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(TransactionError::Name {
            object,
            name: name.clone(),
        });
    }
    Ok(())
}

fn check_comment(comment: Option<&Name>) -> Result<(), TransactionError> {
    match comment {
        Some(comment) if comment.len() > comment::MAX_LENGTH => Err(TransactionError::Comment {
            comment: comment.clone(),
        }),
        _ => Ok(()),
    }
}

fn check_element(
    verb: Verb,
    set: &Set,
    index: usize,
    element: &Element,
) -> Result<(), TransactionError> {
    let check_length = |part, actual, expected| {
        if actual == expected {
            return Ok(());
        }
        Err(TransactionError::Length {
            set: set.name.clone(),
            index,
            part,
            actual,
            expected,
        })
    };
    check_length("key", element.key.len(), set.key_length())?;
    if let Some(key_end) = &element.key_end {
        check_length("key end", key_end.len(), set.key_length())?;
    }
    if verb == Verb::Delete {
        return Ok(());
    }
    check_comment(element.comment.as_ref())?;
    match (&element.data, &set.kind) {
        (Data::None, SetKind::Set) => Ok(()),
        (Data::Value(value), SetKind::Map(_)) => {
            check_length("data", value.len(), set.data_length())
        }
        (Data::Verdict(verdict), SetKind::VerdictMap) => verdict
            .chain()
            .map_or(Ok(()), |chain| check_name("chain", chain)),
        _ => Err(TransactionError::Kind {
            set: set.name.clone(),
            index,
        }),
    }
}
