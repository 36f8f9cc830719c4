//! Which endpoints of a Service port this node uses.
//!
//! The rules are those of upstream's `CategorizeEndpoints` (`pkg/proxy/topology.go`; KEP-1669 for
//! terminating endpoints, KEP-2433, KEP-3015 and KEP-4444 for hints). [`select_endpoints`] applies
//! them, [`explain_endpoints`] says what came of each endpoint; both ask the same `Rules`.

use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};

use kpx_nftables::Family;
use smol_str::SmolStr;

use crate::state::{Endpoint, EndpointSlice, ServicePort};

/// Where a connection can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Backend {
    /// The endpoint's address.
    pub address: IpAddr,
    /// The port it listens on.
    pub port: u16,
    /// Whether it is on this node.
    pub is_local: bool,
}

/// The endpoints of one Service port that this node uses, sorted by address and port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Where traffic under the `Cluster` policy goes: what is ready, as far as hints allow; where
    /// nothing is ready anywhere, what is terminating but still serves.
    pub cluster: Vec<Backend>,
    /// Where traffic under the `Local` policy goes: what is ready on this node, whatever the
    /// hints; where nothing is, what is terminating on it but still serves.
    pub local: Vec<Backend>,
    /// Whether any endpoint anywhere could serve. If not, connections are refused. If so, but the
    /// list in question is empty, they are dropped, so that the client tries again.
    pub any: bool,
}

/// Selects the endpoints of a Service port, of one family, as seen from a node in a zone.
///
/// `slices` are all slices of the Service. An endpoint that is in several of them counts once.
pub fn select_endpoints<'a>(
    port: &ServicePort,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    family: Family,
    node_name: &str,
    zone: Option<&str>,
) -> Selection {
    let candidates = candidates(port, slices, family, node_name);
    let rules = Rules::for_candidates(&candidates, node_name, zone);
    let mut selection = Selection {
        any: rules.any(),
        ..Selection::default()
    };
    for candidate in &candidates {
        if rules.cluster_verdict(candidate).is_used() {
            selection.cluster.push(candidate.backend);
        }
        if rules.local_verdict(candidate).is_used() {
            selection.local.push(candidate.backend);
        }
    }
    selection
}

/// The endpoints of a Service port, of one family, that answer, sorted: whatever the policies, hints and
/// whether they are terminating, what they have begun goes on.
pub fn serving_endpoints<'a>(
    port: &ServicePort,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    family: Family,
) -> Vec<SocketAddr> {
    let mut serving = Vec::new();
    for slice in slices {
        for number in slice.port_numbers(&port.name, port.protocol) {
            let endpoints = slice.endpoints.iter().filter(|endpoint| {
                endpoint.address.is_ipv4() == (family == Family::Ipv4)
                    && (endpoint.ready || endpoint.serving)
            });
            serving.extend(endpoints.map(|endpoint| SocketAddr::new(endpoint.address, number)));
        }
    }
    serving.sort_unstable();
    serving.dedup();
    serving
}

/// Explains what [`select_endpoints`] selects for the same arguments.
pub fn explain_endpoints<'a>(
    port: &ServicePort,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    family: Family,
    node_name: &str,
    zone: Option<&str>,
) -> Explanation {
    let candidates = candidates(port, slices, family, node_name);
    let rules = Rules::for_candidates(&candidates, node_name, zone);
    let endpoints = candidates.iter().map(|candidate| ExplainedEndpoint {
        backend: candidate.backend,
        cluster: rules.cluster_verdict(candidate),
        local: rules.local_verdict(candidate),
    });
    Explanation {
        topology: rules.topology,
        endpoints: endpoints.collect(),
        any: rules.any(),
    }
}

/// Why [`select_endpoints`] selects what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What the hints come to.
    pub topology: Topology,
    /// Every endpoint of the port and family, sorted by address and port.
    pub endpoints: Vec<ExplainedEndpoint>,
    /// As [`Selection::any`].
    pub any: bool,
}

/// One endpoint, and why it is used or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainedEndpoint {
    /// The endpoint.
    pub backend: Backend,
    /// What becomes of it under the `Cluster` policy.
    pub cluster: Verdict,
    /// What becomes of it under the `Local` policy.
    pub local: Verdict,
}

/// Why an endpoint is used, or is not, by the traffic under one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It is used: it is ready.
    Used,
    /// It is used though it is terminating: it still serves, and nothing is ready.
    UsedWhileTerminating,
    /// It is not ready.
    NotReady,
    /// It is terminating, and something else is ready or it serves no more.
    Terminating,
    /// Its hints are for other nodes.
    HintedToOtherNodes,
    /// Its hints are for other zones.
    HintedToOtherZones,
    /// It is not on this node.
    OnAnotherNode,
}

impl Verdict {
    /// Whether the endpoint is used.
    pub const fn is_used(self) -> bool {
        matches!(self, Self::Used | Self::UsedWhileTerminating)
    }
}

/// What the hints of the ready endpoints come to on this node. Hints count all or nothing: node
/// hints first, then zone hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Only endpoints hinted to this node are used.
    SameNode,
    /// Only endpoints hinted to this node's zone are used.
    SameZone {
        /// Why node hints are not used.
        node_hints: HintsIgnored,
    },
    /// Every ready endpoint is used.
    Anywhere {
        /// Why node hints are not used.
        node_hints: HintsIgnored,
        /// Why zone hints are not used.
        zone_hints: HintsIgnored,
    },
}

/// Why hints are not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintsIgnored {
    /// No endpoint is ready.
    NothingReady,
    /// No ready endpoint has one.
    NoHints,
    /// Some ready endpoints have none.
    SomeWithout,
    /// All have one, but none is for this node, or its zone.
    NoneForHere,
    /// All have one, but the node's zone is not known.
    ZoneUnknown,
}

/// An endpoint of the port and family in question.
struct Candidate<'a> {
    backend: Backend,
    endpoint: &'a Endpoint,
}

impl Candidate<'_> {
    /// Whether it may serve where nothing is ready.
    fn is_fallback(&self) -> bool {
        self.endpoint.serving && self.endpoint.terminating
    }
}

/// Finds the endpoints of a port, sorted, every address and port once. Of two that share them, as
/// when an address is used again before its old Pod is gone, the one that is not terminating wins,
/// then the ready one.
fn candidates<'a>(
    port: &ServicePort,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    family: Family,
    node_name: &str,
) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for slice in slices {
        for number in slice.port_numbers(&port.name, port.protocol) {
            let endpoints = slice.endpoints.iter();
            candidates.extend(
                endpoints
                    .filter(|endpoint| endpoint.address.is_ipv4() == (family == Family::Ipv4))
                    .map(|endpoint| Candidate {
                        backend: Backend {
                            address: endpoint.address,
                            port: number,
                            is_local: endpoint.is_on(node_name),
                        },
                        endpoint,
                    }),
            );
        }
    }
    let place = |candidate: &Candidate<'_>| (candidate.backend.address, candidate.backend.port);
    candidates.sort_unstable_by_key(|candidate| {
        let endpoint = candidate.endpoint;
        let preference = (
            endpoint.terminating,
            Reverse(endpoint.ready),
            Reverse(endpoint.serving),
            Reverse(candidate.backend.is_local),
        );
        (place(candidate), preference)
    });
    candidates.dedup_by_key(|candidate| place(candidate));
    candidates
}

/// What holds for every endpoint of a port, from which the verdict on each one follows.
struct Rules<'a> {
    node_name: &'a str,
    zone: &'a str,
    topology: Topology,
    any_ready: bool,
    any_fallback: bool,
    any_local_ready: bool,
}

impl<'a> Rules<'a> {
    fn for_candidates(
        candidates: &[Candidate<'_>],
        node_name: &'a str,
        zone: Option<&'a str>,
    ) -> Self {
        let zone = zone.unwrap_or_default();
        let mut rules = Self {
            node_name,
            zone,
            topology: Topology::Anywhere {
                node_hints: HintsIgnored::NothingReady,
                zone_hints: HintsIgnored::NothingReady,
            },
            any_ready: false,
            any_fallback: false,
            any_local_ready: false,
        };
        let mut node_hints = HintCount::default();
        let mut zone_hints = HintCount::default();
        for candidate in candidates {
            rules.any_fallback |= candidate.is_fallback();
            if candidate.endpoint.ready {
                rules.any_ready = true;
                rules.any_local_ready |= candidate.backend.is_local;
                node_hints.add(candidate.endpoint.node_hints(), node_name);
                zone_hints.add(candidate.endpoint.zone_hints(), zone);
            }
        }
        if rules.any_ready {
            rules.topology = match (node_hints.check(), zone_hints.check()) {
                (Ok(()), _) => Topology::SameNode,
                (Err(node_hints), Ok(())) => Topology::SameZone { node_hints },
                (Err(node_hints), Err(HintsIgnored::NoneForHere)) if zone.is_empty() => {
                    Topology::Anywhere {
                        node_hints,
                        zone_hints: HintsIgnored::ZoneUnknown,
                    }
                }
                (Err(node_hints), Err(zone_hints)) => Topology::Anywhere {
                    node_hints,
                    zone_hints,
                },
            };
        }
        rules
    }

    fn any(&self) -> bool {
        self.any_ready || self.any_fallback
    }

    fn cluster_verdict(&self, candidate: &Candidate<'_>) -> Verdict {
        if !candidate.endpoint.ready {
            return unready_verdict(candidate, self.any_ready);
        }
        let is_hinted_to = |hints: &[SmolStr], here: &str| hints.iter().any(|hint| hint == here);
        match self.topology {
            Topology::SameNode
                if !is_hinted_to(candidate.endpoint.node_hints(), self.node_name) =>
            {
                Verdict::HintedToOtherNodes
            }
            Topology::SameZone { .. }
                if !is_hinted_to(candidate.endpoint.zone_hints(), self.zone) =>
            {
                Verdict::HintedToOtherZones
            }
            _ => Verdict::Used,
        }
    }

    fn local_verdict(&self, candidate: &Candidate<'_>) -> Verdict {
        if !candidate.backend.is_local {
            Verdict::OnAnotherNode
        } else if candidate.endpoint.ready {
            Verdict::Used
        } else {
            unready_verdict(candidate, self.any_local_ready)
        }
    }
}

/// What becomes of an endpoint that is not ready; `any_ready` says whether another is.
fn unready_verdict(candidate: &Candidate<'_>, any_ready: bool) -> Verdict {
    if candidate.is_fallback() && !any_ready {
        Verdict::UsedWhileTerminating
    } else if candidate.endpoint.terminating {
        Verdict::Terminating
    } else {
        Verdict::NotReady
    }
}

/// How many ready endpoints have hints, and whether one is for here.
#[derive(Default)]
struct HintCount {
    with: usize,
    without: usize,
    for_here: bool,
}

impl HintCount {
    fn add(&mut self, hints: &[SmolStr], here: &str) {
        if hints.is_empty() {
            self.without += 1;
        } else {
            self.with += 1;
            self.for_here |= hints.iter().any(|hint| hint == here);
        }
    }

    /// Whether the hints are used; if not, why.
    fn check(&self) -> Result<(), HintsIgnored> {
        match self {
            Self { with: 0, .. } => Err(HintsIgnored::NoHints),
            Self { without: 1.., .. } => Err(HintsIgnored::SomeWithout),
            Self {
                for_here: false, ..
            } => Err(HintsIgnored::NoneForHere),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
