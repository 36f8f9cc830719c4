//! Objects that are not valid.

use std::fmt;

use smol_str::SmolStr;

/// An object, or a part of one, that is left out because it is not valid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rejection {
    /// The kind of the object, such as `Service`; empty where the input does not say.
    pub kind: SmolStr,
    /// `namespace/name`, or `name` for an object without a namespace.
    pub name: SmolStr,
    /// What is wrong, naming the field and the value, such as
    /// `spec.ports[0].port: 70000 is not between 1 and 65535`.
    pub reason: String,
    /// Whether the object is left out as a whole, not only a part of it.
    pub whole: bool,
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}", self.kind, self.name, self.reason)
    }
}
