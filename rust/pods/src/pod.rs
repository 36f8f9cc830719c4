//! A Pod, as far as EndpointSlices are made from it.

use std::net::IpAddr;
use std::sync::Arc;

use smol_str::SmolStr;

/// A named port of a container. Others lead no Service anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContainerPort {
    /// The name a Service may give as its `targetPort`.
    pub name: SmolStr,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: SmolStr,
    /// The number of the port.
    pub number: u16,
}

/// A Pod. What many Pods have in common, they share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The namespace.
    pub namespace: SmolStr,
    /// The name.
    pub name: SmolStr,
    /// The UID; empty in a manifest.
    pub uid: SmolStr,
    /// The labels, by name.
    pub labels: Arc<[(SmolStr, SmolStr)]>,
    /// `status.podIPs`, or `status.podIP` where that is all there is, without what is no address.
    pub addresses: Box<[IpAddr]>,
    /// Whether the phase is `Succeeded` or `Failed`.
    pub is_terminal: bool,
    /// Whether the condition `Ready` is `True`.
    pub is_ready: bool,
    /// Whether a deletion timestamp is set.
    pub is_deleted: bool,
    /// The Node it runs on; empty before it is scheduled.
    pub node_name: SmolStr,
    /// `spec.hostname`.
    pub hostname: SmolStr,
    /// `spec.subdomain`.
    pub subdomain: SmolStr,
    /// When the condition `Ready` last changed, RFC 3339; empty if it is not known.
    pub ready_since: SmolStr,
    /// The ports of the containers, then those of sidecars (init containers that always restart).
    pub ports: Arc<[ContainerPort]>,
}

impl Pod {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&SmolStr> {
        let found = self
            .labels
            .binary_search_by(|(known, _)| known.as_str().cmp(name));
        found.ok().map(|at| &self.labels[at].1)
    }

    /// The number of the first port of that name and protocol (`FindPort` upstream).
    pub fn port(&self, name: &str, protocol: &str) -> Option<u16> {
        let mut ports = self.ports.iter();
        let found = ports.find(|port| port.name == name && port.protocol == protocol);
        found.map(|port| port.number)
    }
}
