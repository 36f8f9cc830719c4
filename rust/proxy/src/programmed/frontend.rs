//! What the maps hold for one frontend.

use std::fmt;
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use kpx_nftables::Name;

use super::EndpointSlots;
use crate::layout::Balancer;

/// What happens to connections that no endpoint can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// They vanish: there are endpoints, but this node must not use them.
    Drop,
    /// They are answered with an ICMP error: there is no endpoint at all.
    Reject,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Drop => "drop",
            Self::Reject => "reject",
        })
    }
}

/// Whether the elements of a frontend that may count connections do; both, if some do and others do
/// not. Neither, if there are no such elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counting {
    /// There are elements that count.
    pub on: bool,
    /// There are elements that do not.
    pub off: bool,
}

impl Counting {
    /// All elements count, or none.
    pub const fn all(on: bool) -> Self {
        Self { on, off: !on }
    }

    /// What holds of these elements and others together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            on: self.on || other.on,
            off: self.off || other.off,
        }
    }
}

/// What the maps hold for one frontend: the same form for what is desired, what is planned and
/// what the kernel holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontendElements {
    /// The owner, written as the comment of verdict elements: `namespace/name:port-name`.
    pub owner: Name,
    /// The chain that balances connections.
    pub dispatch: Option<Balancer>,
    /// What happens to connections that are not balanced.
    pub refusal: Option<Refusal>,
    /// The chain for pods and the node itself, where outside clients are treated differently.
    pub short_circuit: Option<Balancer>,
    /// The endpoints for `dispatch`, or for `short_circuit` if there is one.
    pub endpoints: EndpointSlots,
    /// The endpoints on this node, if `dispatch` is for those only.
    pub local_endpoints: EndpointSlots,
    /// Whether only the sources in `source_ranges` may connect.
    pub firewalled: bool,
    /// The sources allowed, sorted and disjoint.
    pub source_ranges: Vec<IpNet>,
    /// Whether the elements count connections.
    pub counting: Counting,
}

impl FrontendElements {
    /// What the maps hold for a frontend that is not there. All such frontends share it.
    pub fn none() -> Arc<Self> {
        static NONE: LazyLock<Arc<FrontendElements>> = LazyLock::new(Arc::default);
        Arc::clone(&NONE)
    }

    /// Whether the maps hold nothing.
    pub fn is_empty(&self) -> bool {
        self.dispatch.is_none()
            && self.refusal.is_none()
            && self.short_circuit.is_none()
            && self.endpoints.is_empty()
            && self.local_endpoints.is_empty()
            && !self.firewalled
            && self.source_ranges.is_empty()
    }

    /// Whether connections are sent to endpoints by the maps themselves, not by IPVS.
    pub fn translates(&self) -> bool {
        !self.endpoints.is_empty() || !self.local_endpoints.is_empty()
    }

    /// The chains the elements point to.
    pub fn balancers(&self) -> impl Iterator<Item = Balancer> {
        self.dispatch.into_iter().chain(self.short_circuit)
    }

    /// The Service the elements belong to, as `namespace/name`.
    pub fn service(&self) -> &str {
        self.owner
            .rsplit_once(':')
            .map_or(self.owner.as_str(), |(service, _)| service)
    }

    /// The name of the Service port the elements belong to; empty if it has none.
    pub fn port_name(&self) -> &str {
        self.owner.rsplit_once(':').map_or("", |(_, port)| port)
    }
}
