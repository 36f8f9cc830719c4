//! API objects of hand-made worlds.

use kpx_nftables::Family;
use kpx_nftables::fake::FakeRuleset;
use kpx_proxy::{Config, Proxier};
use serde_json::{Value, json};

use crate::dataplane::SharedKernel;
use crate::universe::NODE;

/// A proxier on an empty fake kernel.
pub(crate) fn proxier(config: &Value) -> Proxier<SharedKernel<FakeRuleset>> {
    let config = Config::from_json(&config.to_string()).unwrap();
    Proxier::new(config, SharedKernel::new(FakeRuleset::new()))
}

/// The configuration of a node that knows its pods by their addresses.
pub(crate) fn config() -> Value {
    json!({"node_name": NODE, "cluster_cidrs": ["10.244.0.0/16", "fd00:244::/64"]})
}

/// The line of a watch that says that an object came or changed.
pub(crate) fn modified(object: &Value) -> Vec<u8> {
    event("MODIFIED", object)
}

/// The line of a watch that says that an object is gone.
pub(crate) fn deleted(object: &Value) -> Vec<u8> {
    event("DELETED", object)
}

fn event(event_type: &str, object: &Value) -> Vec<u8> {
    json!({"type": event_type, "object": object})
        .to_string()
        .into_bytes()
}

/// A Service of a name and a specification, with load-balancer addresses.
pub(crate) fn service(name: &str, spec: &Value, ingress: &[String]) -> Value {
    let ingress: Vec<_> = ingress
        .iter()
        .map(|address| json!({"ip": address}))
        .collect();
    json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": {"namespace": "default", "name": name},
        "spec": spec, "status": {"loadBalancer": {"ingress": ingress}},
    })
}

/// A ready endpoint on a node.
pub(crate) fn endpoint(address: &str, node: &str) -> Value {
    json!({"addresses": [address], "nodeName": node})
}

/// The slice of a Service's endpoints in a family, which listen on port 8080 whatever the name
/// and protocol of the port.
pub(crate) fn slice(service: &str, family: Family, ports: &Value, endpoints: &[Value]) -> Value {
    let address_type = match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    };
    let mut ports = ports.clone();
    for port in ports.as_array_mut().unwrap() {
        port["port"] = 8080.into();
    }
    json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "namespace": "default", "name": format!("{service}-{address_type}").to_lowercase(),
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": address_type, "endpoints": endpoints, "ports": ports,
    })
}
