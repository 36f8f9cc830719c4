//! Where packets come from, as far as rules tell the difference.

use std::net::IpAddr;

use kpx_nftables::Family;
use serde::Serialize;

use super::ExplainError;
use crate::config::LocalDetector;
use crate::layout::Skeleton;
use crate::state::Node;

/// What a source is to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceClass {
    /// A pod, as the local detector recognises them.
    Pod,
    /// The node itself.
    Node,
    /// Anything else.
    Outside,
}

/// A source of packets: an address, or all of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The address; `None` for all of the class.
    pub address: Option<IpAddr>,
    /// What the rules take it for.
    pub class: SourceClass,
    /// What makes it one of the class.
    pub reason: String,
}

impl Source {
    /// Reads an address.
    pub(super) fn parse(text: &str) -> Result<IpAddr, ExplainError> {
        let address: IpAddr = text
            .parse()
            .map_err(|_| ExplainError::Source(text.into()))?;
        Ok(address.to_canonical())
    }

    /// The sources to explain: the one given, or one of each class.
    pub(super) fn all(
        address: Option<IpAddr>,
        skeleton: &Skeleton,
        node: Option<&Node>,
    ) -> Vec<Self> {
        match address {
            Some(address) => vec![Self::classify(address, &skeleton.detector, node)],
            None => Self::classes(&skeleton.detector, skeleton.family),
        }
    }

    /// The classes that the rules of a family tell apart.
    fn classes(detector: &LocalDetector, family: Family) -> Vec<Self> {
        let class = |class, reason| Self {
            address: None,
            class,
            reason,
        };
        let pods = pods(detector).map(|pods| class(SourceClass::Pod, pods));
        let outside = if pods.is_some() {
            "everything else".to_owned()
        } else {
            format!("everything else, pods too: {}", undetected(family))
        };
        let node = class(SourceClass::Node, "the node's own addresses".to_owned());
        let outside = class(SourceClass::Outside, outside);
        pods.into_iter().chain([node, outside]).collect()
    }

    /// Classifies an address in the order of the rules: pods come first.
    fn classify(address: IpAddr, detector: &LocalDetector, node: Option<&Node>) -> Self {
        let in_pod_range =
            || node.is_some_and(|node| node.pod_cidrs.iter().any(|range| range.contains(&address)));
        let is_pod = match detector {
            LocalDetector::None => false,
            LocalDetector::Source(range) => range.contains(&address),
            // The rules ask for the interface; the address is the best guess at it.
            LocalDetector::Interface(_) | LocalDetector::InterfacePrefix(_) => in_pod_range(),
        };
        let is_node =
            address.is_loopback() || node.is_some_and(|node| node.addresses.contains(&address));
        let (class, reason) = match (pods(detector), is_pod, is_node) {
            (Some(pods), true, _) => (SourceClass::Pod, pods),
            (_, _, true) => (
                SourceClass::Node,
                "one of the node's own addresses".to_owned(),
            ),
            (Some(pods), false, false) => (
                SourceClass::Outside,
                format!("neither the node's nor a pod's ({pods})"),
            ),
            (None, ..) => (
                SourceClass::Outside,
                format!(
                    "not the node's; {}",
                    undetected(crate::frontend::family_of(address))
                ),
            ),
        };
        let reason = match node {
            Some(_) => reason,
            None => format!("{reason}; the node's own addresses are not known"),
        };
        Self {
            address: Some(address),
            class,
            reason,
        }
    }
}

/// How pods are recognised, if they are.
pub(super) fn pods(detector: &LocalDetector) -> Option<String> {
    match detector {
        LocalDetector::None => None,
        LocalDetector::Source(range) => Some(format!("pods have addresses in `{range}`")),
        LocalDetector::Interface(name) => Some(format!("pods come in by interface `{name}`")),
        LocalDetector::InterfacePrefix(prefix) => {
            Some(format!("pods come in by interfaces named `{prefix}*`"))
        }
    }
}

/// Why pods are not recognised.
pub(super) fn undetected(family: Family) -> String {
    let version = match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    };
    format!("no {version} range of pods is known to tell them by")
}
