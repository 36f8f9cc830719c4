//! The kinds of object that are taken in.

use std::fmt;

/// A kind of object that matters to a node. Every other kind is counted and passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1` Service.
    Service,
    /// `discovery.k8s.io/v1` EndpointSlice.
    EndpointSlice,
    /// `v1` Endpoints, which counts only for a Service that has no EndpointSlice.
    Endpoints,
    /// `v1` Node; only the node's own counts.
    Node,
    /// `v1` Namespace: counted, and nothing else.
    Namespace,
    /// `networking.k8s.io/v1` ServiceCIDR.
    ServiceCidr,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Service,
        Self::EndpointSlice,
        Self::Endpoints,
        Self::Node,
        Self::Namespace,
        Self::ServiceCidr,
    ];

    /// The kind as the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Endpoints => "Endpoints",
            Self::Node => "Node",
            Self::Namespace => "Namespace",
            Self::ServiceCidr => "ServiceCIDR",
        }
    }

    /// The API version in which the kind is read.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Service | Self::Endpoints | Self::Node | Self::Namespace => "v1",
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::ServiceCidr => "networking.k8s.io/v1",
        }
    }

    /// Whether objects of the kind live in a namespace.
    pub const fn is_namespaced(self) -> bool {
        matches!(self, Self::Service | Self::EndpointSlice | Self::Endpoints)
    }

    /// The kind that `kind` and `apiVersion` of an object name, if it is one of these. Where
    /// `apiVersion` is missing, as in hand-written input, `kind` alone decides.
    pub fn from_type(kind: &str, api_version: Option<&str>) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|known| known.as_str() == kind)?;
        api_version
            .is_none_or(|api_version| api_version == named.api_version())
            .then_some(named)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
