//! Follows packets to one frontend through the chains.

use std::net::IpAddr;

use super::{EndpointList, Masquerade, Outcome, Path, Source, SourceClass};
use crate::config::LocalDetector;
use crate::desired::{Desired, FrontendSpec};
use crate::frontend::{Destination, FrontendKey, FrontendKind, Location};
use crate::layout::{Member, Role, Skeleton};
use crate::programmed::{FrontendElements, Refusal};
use crate::state::{Service, TrafficPolicy};

/// A frontend that its Service has, with what decides about packets to it.
pub(super) struct Follower<'a> {
    pub(super) service: &'a Service,
    pub(super) key: &'a FrontendKey,
    pub(super) spec: &'a FrontendSpec,
    pub(super) skeleton: &'a Skeleton,
    pub(super) desired: &'a Desired,
}

/// Where the chains lead a packet whose source is allowed.
struct Choice<'a> {
    list: EndpointList,
    endpoints: Vec<&'a Destination>,
}

impl Follower<'_> {
    /// What happens to packets from a source.
    pub(super) fn follow(&self, source: Source) -> Path {
        // Whoever chooses an endpoint, the lists it chooses from are these.
        let spec = FrontendSpec {
            balancing: None,
            ..self.spec.clone()
        };
        let elements = spec.settle(self.key, None);
        let mut path = Path {
            source,
            outcome: Outcome::Dropped,
            reason: String::new(),
            list: None,
            endpoints: Vec::new(),
            masquerade: None,
            hairpin: Vec::new(),
        };
        if let Some(address) = path.source.address
            && !is_allowed(&elements, address)
        {
            "the source is in none of the source ranges".clone_into(&mut path.reason);
            return path;
        }
        let Some(choice) = choose(&elements, path.source.class, self.policy()) else {
            (path.outcome, path.reason) = self.refuse(&elements);
            return path;
        };
        path.outcome = Outcome::Balanced;
        path.reason = self.reason(choice.list, path.source.class);
        path.masquerade = Some(self.masquerade(&elements, path.source.class));
        path.hairpin = choice
            .endpoints
            .iter()
            .filter(|endpoint| self.is_hairpin(endpoint, &path.source))
            .map(|endpoint| **endpoint)
            .collect();
        path.list = Some(choice.list);
        path.endpoints = choice.endpoints.into_iter().copied().collect();
        path
    }

    fn is_cluster_ip(&self) -> bool {
        self.spec.kind == FrontendKind::ClusterIp
    }

    /// The traffic policy for the frontend.
    fn policy(&self) -> TrafficPolicy {
        if self.is_cluster_ip() {
            self.service.internal_traffic_policy
        } else {
            self.service.external_traffic_policy
        }
    }

    fn policy_name(&self) -> String {
        let direction = if self.is_cluster_ip() {
            "internal"
        } else {
            "external"
        };
        match self.policy() {
            TrafficPolicy::Cluster => format!("the {direction} traffic policy is Cluster"),
            TrafficPolicy::Local => format!("the {direction} traffic policy is Local"),
        }
    }

    fn reason(&self, list: EndpointList, class: SourceClass) -> String {
        let policy = self.policy_name();
        match (list, class) {
            (EndpointList::ShortCircuit, SourceClass::Pod) => {
                format!("{policy}, which does not bind pods")
            }
            (EndpointList::ShortCircuit, _) => {
                format!("{policy}, which does not bind the node itself")
            }
            _ => policy,
        }
    }

    fn refuse(&self, elements: &FrontendElements) -> (Outcome, String) {
        match elements.refusal {
            Some(Refusal::Reject) => (
                Outcome::Rejected,
                "no endpoint, here or elsewhere, can serve".to_owned(),
            ),
            Some(Refusal::Drop) => (
                Outcome::Dropped,
                format!(
                    "{}, and endpoints that can serve are on other nodes only",
                    self.policy_name()
                ),
            ),
            None => (Outcome::Passed, "no rule takes it".to_owned()),
        }
    }

    /// Whether the source is rewritten: by the rule for cluster IPs in chain `services`, or by the
    /// chain that balances.
    fn masquerade(&self, elements: &FrontendElements, class: SourceClass) -> Masquerade {
        let answer = |applies, reason| Masquerade { applies, reason };
        let to_cluster_ip = matches!(self.key.location, Location::Address(address)
            if self.desired.has_member(&Member::ClusterIp(address)));
        if to_cluster_ip {
            match (&self.skeleton.detector, class) {
                _ if self.skeleton.masquerade_all => {
                    return answer(true, "everything to a cluster IP is (`masqueradeAll`)");
                }
                (LocalDetector::None, _) | (_, SourceClass::Pod) => {}
                _ => return answer(true, "sources other than pods are for a cluster IP"),
            }
        }
        match (elements.dispatch.map(|balancer| balancer.role), class) {
            (Some(Role::External | Role::NodePort), _) => {
                answer(true, "the external traffic policy is Cluster")
            }
            (Some(Role::ExternalLocal | Role::NodePortLocal), SourceClass::Node) => {
                answer(true, "the node's own connections are")
            }
            (Some(Role::ExternalLocal | Role::NodePortLocal), SourceClass::Outside) => {
                answer(false, "the endpoint is on this node")
            }
            (_, SourceClass::Pod) => answer(false, "the source is a pod"),
            _ => answer(false, "pods cannot be told from other sources"),
        }
    }

    /// Whether an endpoint that is the source itself is masqueraded.
    fn is_hairpin(&self, endpoint: &Destination, source: &Source) -> bool {
        let is_source = match (source.address, source.class) {
            (Some(address), _) => address == endpoint.address,
            (None, SourceClass::Pod) => true,
            (None, SourceClass::Node) => false,
            (None, SourceClass::Outside) => self.skeleton.detector == LocalDetector::None,
        };
        let member = Member::Hairpin(*endpoint, self.key.protocol);
        is_source && self.desired.has_member(&member)
    }
}

/// Whether a source gets past the source ranges.
fn is_allowed(elements: &FrontendElements, source: IpAddr) -> bool {
    let mut ranges = elements.source_ranges.iter();
    !elements.firewalled || ranges.any(|range| range.contains(&source))
}

/// The endpoints that the chains choose from; `None` if they refuse.
fn choose(
    elements: &FrontendElements,
    class: SourceClass,
    policy: TrafficPolicy,
) -> Option<Choice<'_>> {
    let (list, slots) = match elements.dispatch?.role {
        Role::ExternalLocal | Role::NodePortLocal
            if class != SourceClass::Outside && elements.short_circuit.is_some() =>
        {
            (EndpointList::ShortCircuit, &elements.endpoints)
        }
        Role::ExternalLocal | Role::NodePortLocal => {
            (EndpointList::Local, &elements.local_endpoints)
        }
        Role::Cluster | Role::External | Role::NodePortCluster | Role::NodePort => {
            let list = match policy {
                TrafficPolicy::Cluster => EndpointList::Cluster,
                TrafficPolicy::Local => EndpointList::Local,
            };
            (list, &elements.endpoints)
        }
    };
    let endpoints: Vec<&Destination> = slots.endpoints().collect();
    (!endpoints.is_empty()).then_some(Choice { list, endpoints })
}
