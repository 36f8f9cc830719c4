//! Services, reduced to what the node needs of them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use kpx_ipvs::Scheduler;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::Weights;
use crate::{NamespacedName, Protocol};

/// Which endpoints traffic of a kind may go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any endpoint of the cluster.
    #[default]
    Cluster,
    /// Only endpoints on this node.
    Local,
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The port's name, which joins it with the ports of EndpointSlices; empty if it has none.
    pub name: SmolStr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port clients connect to, 1 to 65535.
    pub port: u16,
    /// The port on the node's own addresses, if one is allocated.
    pub node_port: Option<u16>,
}

/// A Service. The node makes it work if it is [proxied](Self::is_proxied); the cluster's DNS names
/// every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The Service's name.
    pub name: NamespacedName,
    /// `metadata.creationTimestamp` as written (RFC 3339, UTC), so that older sorts first;
    /// empty if unknown. Of two Services that claim one address and port, the older one wins.
    pub created: SmolStr,
    /// Whether a proxy makes it work, and it is this one: false for headless and `ExternalName`
    /// Services, and for those that name another proxy.
    pub is_proxied: bool,
    /// `spec.externalName` of a Service of type `ExternalName`.
    pub external_name: Option<SmolStr>,
    /// The Service's cluster addresses, at most one of each family; none if it is headless.
    pub cluster_ips: SmallVec<[IpAddr; 2]>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// The addresses of `status.loadBalancer.ingress` whose `ipMode` is not `Proxy`.
    pub load_balancer_ips: Vec<IpAddr>,
    /// `spec.loadBalancerSourceRanges`, for load-balancer addresses only.
    pub source_ranges: Vec<IpNet>,
    /// `spec.externalTrafficPolicy`.
    pub external_traffic_policy: TrafficPolicy,
    /// `spec.internalTrafficPolicy`.
    pub internal_traffic_policy: TrafficPolicy,
    /// The timeout of `ClientIP` session affinity; `None` without affinity.
    pub session_affinity: Option<Duration>,
    /// `spec.healthCheckNodePort`, for load balancers with a `Local` external policy.
    pub health_check_node_port: Option<u16>,
    /// Whether the Service has a selector, so that a controller makes its endpoints from Pods.
    pub has_selector: bool,
    /// How IPVS chooses an endpoint, if the Service says (annotation `kpx.dev/ipvs-scheduler`).
    pub scheduler: Option<Scheduler>,
    /// How much each endpoint takes, if the Service says (annotation `kpx.dev/weight`).
    pub weights: Option<Arc<Weights>>,
    /// The ports.
    pub ports: Vec<ServicePort>,
}
