//! Why a packet could not be followed.

use thiserror::Error;

use crate::Name;

/// A ruleset that cannot be run.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceError {
    /// A rule has an expression whose meaning is unknown.
    #[error("`{chain}` has a rule with the unknown expression `{name}`")]
    UnknownExpression {
        /// The chain of the rule.
        chain: Name,
        /// The kernel's name of the expression.
        name: Name,
    },
    /// A rule leads to a chain that does not exist.
    #[error("there is no chain `{name}`")]
    MissingChain {
        /// The chain.
        name: Name,
    },
    /// A rule looks into a set that does not exist.
    #[error("there is no set `{name}`")]
    MissingSet {
        /// The set.
        name: Name,
    },
    /// A rule uses registers or lengths that do not fit together.
    #[error("`{chain}` has a rule that reads or writes outside of its registers")]
    Registers {
        /// The chain of the rule.
        chain: Name,
    },
    /// The chains lead in a circle.
    #[error("the packet met {limit} chains and was not done")]
    Endless {
        /// The number of chains after which the walk was given up.
        limit: usize,
    },
    /// The packet's addresses are of two families.
    #[error("the packet's source and destination are of different families")]
    Families,
}
