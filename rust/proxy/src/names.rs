//! The name of every table, chain and set that kpx makes.
//!
//! Names of base chains and of what has a counterpart in kube-proxy's nftables mode are
//! kube-proxy's, so that what people know of the one holds for the other.

/// The device that has the addresses of virtual servers, with the backend IPVS.
pub const DEVICE: &str = "kpx-ipvs0";

/// The same of kube-proxy's mode `ipvs` (`pkg/proxy/ipvs/proxier.go`).
pub const KUBE_PROXY_DEVICE: &str = "kube-ipvs0";

/// The table, in the families `ip` and `ip6`.
pub const TABLE: &str = "kpx";

/// Base chains: `type-hook`, with the reason behind it where a hook has two.
pub mod base {
    /// Source ranges, before the destination is translated.
    pub const FILTER_PREROUTING_PRE_DNAT: &str = "filter-prerouting-pre-dnat";
    /// Source ranges for what the node itself sends.
    pub const FILTER_OUTPUT_PRE_DNAT: &str = "filter-output-pre-dnat";
    /// Destination translation for what arrives.
    pub const NAT_PREROUTING: &str = "nat-prerouting";
    /// Destination translation for what the node itself sends.
    pub const NAT_OUTPUT: &str = "nat-output";
    /// Source translation.
    pub const NAT_POSTROUTING: &str = "nat-postrouting";
    /// Refusals for packets that stayed on the node.
    pub const FILTER_INPUT: &str = "filter-input";
    /// Refusals for what IPVS has left on the node.
    pub const FILTER_INPUT_POST_IPVS: &str = "filter-input-post-ipvs";
    /// Refusals for packets passing through.
    pub const FILTER_FORWARD: &str = "filter-forward";
    /// Refusals for what the node itself sends.
    pub const FILTER_OUTPUT: &str = "filter-output";
}

/// Chains that base chains call.
pub mod chain {
    /// Finds the frontend a packet is for.
    pub const SERVICES: &str = "services";
    /// Drops what a load balancer's source ranges do not allow.
    pub const FIREWALL_CHECK: &str = "firewall-check";
    /// Refuses packets to addresses of Services that have no usable endpoint.
    pub const SERVICE_ENDPOINTS_CHECK: &str = "service-endpoints-check";
    /// Refuses packets to node ports of Services that have no usable endpoint.
    pub const NODEPORT_ENDPOINTS_CHECK: &str = "nodeport-endpoints-check";
    /// Refuses packets to ports that a cluster IP does not have, and drops those to service
    /// addresses that nobody has.
    pub const CLUSTER_IPS_CHECK: &str = "cluster-ips-check";
    /// Refuses packets to addresses of virtual servers that no virtual server takes.
    pub const VIRTUAL_IPS_CHECK: &str = "virtual-ips-check";
    /// Rewrites the source of marked and of hairpin connections.
    pub const MASQUERADING: &str = "masquerading";
    /// Answers with an ICMP error.
    pub const REJECT: &str = "reject-chain";
}

/// Sets and maps.
pub mod set {
    /// Cluster IPs of all Services.
    pub const CLUSTER_IPS: &str = "cluster-ips";
    /// Addresses that the node has for virtual servers alone, with the backend IPVS.
    pub const VIRTUAL_IPS: &str = "virtual-ips";
    /// Addresses of the node on which node ports answer.
    pub const NODEPORT_IPS: &str = "nodeport-ips";
    /// `(endpoint, endpoint, protocol, port)` of endpoints on this node.
    pub const HAIRPIN_CONNECTIONS: &str = "hairpin-connections";
    /// Address, protocol, port -> the chain that balances.
    pub const SERVICE_IPS: &str = "service-ips";
    /// Protocol, node port -> the chain that balances.
    pub const SERVICE_NODEPORTS: &str = "service-nodeports";
    /// Address, protocol, port -> drop or reject.
    pub const NO_ENDPOINT_SERVICES: &str = "no-endpoint-services";
    /// Protocol, node port -> drop or reject.
    pub const NO_ENDPOINT_NODEPORTS: &str = "no-endpoint-nodeports";
    /// Address, protocol, port -> the chain for pods and the node under a `Local` policy.
    pub const SHORT_CIRCUIT_IPS: &str = "short-circuit-ips";
    /// Protocol, node port -> the same.
    pub const SHORT_CIRCUIT_NODEPORTS: &str = "short-circuit-nodeports";
    /// Address, protocol, port, slot -> endpoint.
    pub const ENDPOINTS: &str = "endpoints";
    /// Protocol, node port, slot -> endpoint.
    pub const NODEPORT_ENDPOINTS: &str = "nodeport-endpoints";
    /// Address, protocol, port, slot -> endpoint on this node.
    pub const ENDPOINTS_LOCAL: &str = "endpoints-local";
    /// Protocol, node port, slot -> endpoint on this node.
    pub const NODEPORT_ENDPOINTS_LOCAL: &str = "nodeport-endpoints-local";
    /// Source, address, protocol, port -> the slot the client keeps to. Packets fill it.
    pub const AFFINITY: &str = "affinity";
    /// Source, protocol, node port -> the same.
    pub const NODEPORT_AFFINITY: &str = "nodeport-affinity";
    /// Address, protocol, port, number -> slot: numbers have no gaps, slots never change hands
    /// while their endpoint is there.
    pub const AFFINITY_SLOTS: &str = "affinity-slots";
    /// Protocol, node port, number -> slot.
    pub const NODEPORT_AFFINITY_SLOTS: &str = "nodeport-affinity-slots";
    /// As [`AFFINITY_SLOTS`], of endpoints on this node.
    pub const AFFINITY_SLOTS_LOCAL: &str = "affinity-slots-local";
    /// As [`NODEPORT_AFFINITY_SLOTS`], of endpoints on this node.
    pub const NODEPORT_AFFINITY_SLOTS_LOCAL: &str = "nodeport-affinity-slots-local";
    /// Address, protocol, port, slot -> endpoint.
    pub const AFFINITY_ENDPOINTS: &str = "affinity-endpoints";
    /// Protocol, node port, slot -> endpoint.
    pub const NODEPORT_AFFINITY_ENDPOINTS: &str = "nodeport-affinity-endpoints";
    /// As [`AFFINITY_ENDPOINTS`], of endpoints on this node.
    pub const AFFINITY_ENDPOINTS_LOCAL: &str = "affinity-endpoints-local";
    /// As [`NODEPORT_AFFINITY_ENDPOINTS`], of endpoints on this node.
    pub const NODEPORT_AFFINITY_ENDPOINTS_LOCAL: &str = "nodeport-affinity-endpoints-local";
    /// Address, protocol, port of load balancers with source ranges.
    pub const FIREWALL_IPS: &str = "firewall-ips";
    /// Address, protocol, port, allowed sources.
    pub const SOURCE_RANGES: &str = "source-ranges";
}
