//! How Kubernetes objects are named.

use std::fmt;

use smol_str::SmolStr;

/// The namespace and name of an object, printed as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespacedName {
    /// The namespace.
    pub namespace: SmolStr,
    /// The name, unique in the namespace for its kind.
    pub name: SmolStr,
}

impl NamespacedName {
    /// Reads `namespace/name`; without a slash all is the name.
    pub fn parse(text: &str) -> Self {
        let (namespace, name) = text.split_once('/').unwrap_or(("", text));
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}
