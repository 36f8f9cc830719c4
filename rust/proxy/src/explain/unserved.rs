//! Targets that are no Service's.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::{Outcome, reason};
use crate::config::NodePortAddresses;
use crate::desired::Desired;
use crate::layout::{Member, Skeleton};
use crate::programmed::FrontendElements;
use crate::state::{Service, State};
use crate::{NamespacedName, Protocol};

/// What happens to packets to a target that is no Service's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unserved {
    /// Which rule applies.
    pub rule: Rule,
    /// What happens.
    pub outcome: Outcome,
    /// Why, as a sentence.
    pub reason: String,
}

/// The rules for what is no Service's, in the order in which they apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Rule {
    /// A frontend that the kernel holds for a Service of which only an invalid version is known.
    KeptService,
    /// A cluster IP, but not one of its ports.
    ClusterIpPort,
    /// An address from which cluster IPs are taken, but no Service has it.
    UnallocatedServiceIp,
    /// A port of the node that node ports do not answer on, or not on this address.
    NodePort,
    /// None: to kpx the packet is like any other.
    None,
}

/// What decides about packets to an address.
pub(super) struct Unclaimed<'a> {
    pub(super) state: &'a State,
    pub(super) desired: &'a Desired,
    pub(super) skeleton: &'a Skeleton,
}

impl Unclaimed<'_> {
    /// Explains an address and a port that no frontend has. `node_port` is the Service that has the
    /// number as a node port, if one has.
    pub(super) fn explain(
        &self,
        address: IpAddr,
        port: &str,
        node_port: Option<&NamespacedName>,
    ) -> Unserved {
        if self.desired.has_member(&Member::ClusterIp(address)) {
            let holders = self.services_with(|service| service.cluster_ips.contains(&address));
            return Unserved {
                rule: Rule::ClusterIpPort,
                outcome: Outcome::Rejected,
                reason: format!(
                    "`{address}` is the cluster IP of {holders}, which has no port `{port}`"
                ),
            };
        }
        if let Some(range) = self.service_cidr(address) {
            return Unserved {
                rule: Rule::UnallocatedServiceIp,
                outcome: Outcome::Dropped,
                reason: format!(
                    "`{address}` is in the service range `{range}`, but no Service has it"
                ),
            };
        }
        let is_node = address.is_loopback()
            || self
                .state
                .node()
                .is_some_and(|node| node.addresses.contains(&address));
        let addresses = reason::of_nodeport_addresses(&self.skeleton.nodeport_addresses);
        let (rule, reason) = match node_port {
            Some(service) if is_node => (
                Rule::NodePort,
                format!(
                    "`{port}` is a node port of `{service}`, but node ports do not answer on \
                     `{address}`, only on {addresses}"
                ),
            ),
            None if is_node => (
                Rule::NodePort,
                format!("`{address}` is the node's, and no Service has `{port}` as a node port"),
            ),
            Some(service) => (
                Rule::None,
                format!(
                    "no Service has `{address}`; node port `{port}` of `{service}` answers on \
                     {addresses}"
                ),
            ),
            None => {
                let holders = self.services_with(|service| {
                    let mut external = service.load_balancer_ips.iter();
                    external.any(|ip| *ip == address) || service.external_ips.contains(&address)
                });
                let reason = if holders.is_empty() {
                    format!("no Service has `{address}`")
                } else {
                    format!("`{address}` leads to {holders}, but `{port}` is not one of its ports")
                };
                (Rule::None, reason)
            }
        };
        Unserved {
            rule,
            outcome: Outcome::Passed,
            reason,
        }
    }

    fn service_cidr(&self, address: IpAddr) -> Option<&IpNet> {
        let mut ranges = self.skeleton.service_cidrs.iter();
        ranges.find(|range| range.contains(&address))
    }

    /// The Services of a kind, in order, as a phrase.
    fn services_with(&self, is_meant: impl Fn(&Service) -> bool) -> String {
        let services = self.state.services().filter(|service| is_meant(service));
        let mut names: Vec<String> = services
            .map(|service| format!("`{}`", service.name))
            .collect();
        names.sort_unstable();
        names.join(", ")
    }
}

impl Unserved {
    /// Explains a frontend that the kernel keeps as it is.
    pub(super) fn kept(elements: &FrontendElements) -> Self {
        let endpoints = elements.endpoints.endpoints();
        let endpoints = endpoints.chain(elements.local_endpoints.endpoints());
        let mut endpoints: Vec<String> = endpoints.map(ToString::to_string).collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        let endpoints = if endpoints.is_empty() {
            "no endpoints".to_owned()
        } else {
            endpoints.join(", ")
        };
        Self {
            rule: Rule::KeptService,
            outcome: Outcome::Kept,
            reason: format!(
                "`{}` is rejected; the kernel keeps what it holds for it: {endpoints}",
                elements.service()
            ),
        }
    }

    /// Explains a node port that no Service has.
    pub(super) fn node_port(port: &str) -> Self {
        Self {
            rule: Rule::NodePort,
            outcome: Outcome::Passed,
            reason: format!("no Service has `{port}` as a node port"),
        }
    }
}

/// A port and a protocol as text; the number alone if every protocol is meant.
pub(super) fn port_text(port: u16, protocol: Option<Protocol>) -> String {
    match protocol {
        Some(protocol) => format!("{port}/{protocol}"),
        None => port.to_string(),
    }
}

/// Whether node ports answer on an address.
pub(super) fn answers_on(skeleton: &Skeleton, state: &State, address: IpAddr) -> bool {
    let is_node = !address.is_loopback()
        && state
            .node()
            .is_some_and(|node| node.addresses.contains(&address));
    match &skeleton.nodeport_addresses {
        NodePortAddresses::All => is_node,
        NodePortAddresses::These(addresses) => addresses.contains(&address),
        NodePortAddresses::Within(ranges) => {
            is_node && ranges.iter().any(|range| range.contains(&address))
        }
    }
}
