//! A small world of API objects that get in each other's way: few addresses, few ports.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

/// The node of the proxier.
pub(crate) const NODE: &str = "node-a";

/// Which object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    Service(u8),
    Slice(u8),
    ServiceCidr(u8),
    Node,
}

/// What a version of an object is worth to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    Good,
    /// Valid, but not for the proxy.
    Irrelevant,
    /// Not valid.
    Bad,
}

/// A version of an object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) identity: Identity,
    pub(crate) worth: Worth,
    pub(crate) json: Value,
}

/// An object of the world, in any version.
pub(crate) fn object() -> impl Strategy<Value = Object> {
    prop_oneof![
        6 => (0..3u8).prop_flat_map(service),
        8 => (0..4u8).prop_flat_map(slice),
        1 => (0..2u8).prop_flat_map(service_cidr),
        1 => node(),
    ]
}

/// The identity of an object of the world.
pub(crate) fn identity() -> impl Strategy<Value = Identity> {
    prop_oneof![
        4 => (0..3u8).prop_map(Identity::Service),
        4 => (0..4u8).prop_map(Identity::Slice),
        1 => (0..2u8).prop_map(Identity::ServiceCidr),
        1 => Just(Identity::Node),
    ]
}

/// What makes a Service one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    ClusterIp,
    NodePort,
    LoadBalancer,
    Headless,
    ExternalName,
    AnotherProxy,
    Bad,
}

impl Form {
    const fn worth(self) -> Worth {
        match self {
            Self::ClusterIp | Self::NodePort | Self::LoadBalancer => Worth::Good,
            Self::Headless | Self::ExternalName | Self::AnotherProxy => Worth::Irrelevant,
            Self::Bad => Worth::Bad,
        }
    }
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![
        2 => Just(Form::ClusterIp),
        2 => Just(Form::NodePort),
        4 => Just(Form::LoadBalancer),
        1 => select(vec![Form::Headless, Form::ExternalName, Form::AnotherProxy]),
        2 => Just(Form::Bad),
    ]
}

/// Addresses outside the cluster that Services claim. One is a Service's cluster IP.
const VIPS: [&str; 5] = [
    "203.0.113.1",
    "203.0.113.2",
    "10.96.0.1",
    "2001:db8::1",
    "2001:db8::2",
];

/// Sources that Services allow. Some lie within others, one is the node.
const SOURCES: [&str; 6] = [
    "10.0.0.0/8",
    "10.128.0.0/9",
    "192.0.2.1/32",
    "0.0.0.0/0",
    "2001:db8:a::/48",
    "2001:db8:a:8000::/49",
];

fn policy() -> impl Strategy<Value = &'static str> {
    select(vec!["Cluster", "Local"])
}

/// Whether clients keep to an endpoint, and for how many seconds.
fn affinity() -> impl Strategy<Value = Value> {
    let client_ip = |seconds: u32| {
        json!({"sessionAffinity": "ClientIP",
               "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}}})
    };
    select(vec![
        json!({}),
        json!({"sessionAffinity": "None"}),
        client_ip(60),
        client_ip(10800),
    ])
}

fn ports() -> impl Strategy<Value = Vec<Value>> {
    let http = select(vec![0, 30080, 30081])
        .prop_map(|node| json!({"name": "http", "port": 80, "nodePort": node}));
    let dns = select(vec![0, 30080])
        .prop_map(|node| json!({"name": "dns", "protocol": "UDP", "port": 80, "nodePort": node}));
    let sctp = Just(json!({"name": "sctp", "protocol": "SCTP", "port": 132}));
    (http, dns, sctp).prop_flat_map(|(http, dns, sctp)| subsequence(vec![http, dns, sctp], 1..=3))
}

fn service(index: u8) -> impl Strategy<Value = Object> {
    let addresses = |number| [format!("10.96.0.{number}"), format!("fd00:96::{number}")];
    // A Service may come back with other addresses.
    let cluster_ips = select(vec![index + 1, index + 1, index + 11])
        .prop_flat_map(move |number| subsequence(addresses(number).to_vec(), 1..=2));
    let created = select(vec!["", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"]);
    let vips = || subsequence(VIPS.to_vec(), 0..=2);
    let sources = prop_oneof![
        2 => Just(Vec::new()),
        1 => subsequence(SOURCES.to_vec(), 1..=3),
    ];
    (
        (form(), cluster_ips, created, ports()),
        (vips(), vips(), sources, policy(), policy(), affinity()),
    )
        .prop_map(move |(who, how)| {
            let (form, cluster_ips, created, mut ports) = who;
            let (external, balanced, sources, external_policy, internal_policy, affinity) = how;
            let mut metadata = json!({"namespace": "default", "name": format!("s{index}")});
            if !created.is_empty() {
                metadata["creationTimestamp"] = created.into();
            }
            let (mut service_type, mut cluster_ips) = ("ClusterIP", json!(cluster_ips));
            match form {
                Form::ClusterIp => {}
                Form::NodePort => service_type = "NodePort",
                Form::LoadBalancer => service_type = "LoadBalancer",
                Form::Headless => cluster_ips = json!(["None"]),
                Form::ExternalName => service_type = "ExternalName",
                Form::AnotherProxy => {
                    metadata["labels"] = json!({"service.kubernetes.io/service-proxy-name": "x"});
                }
                Form::Bad => ports[0]["port"] = 70000.into(),
            }
            if !matches!(form, Form::NodePort | Form::LoadBalancer) {
                for port in &mut ports {
                    port["nodePort"] = 0.into();
                }
            }
            let mut ingress = Vec::new();
            if form == Form::LoadBalancer {
                ingress.extend(balanced.iter().map(|address| json!({"ip": address})));
            }
            let mut spec = json!({
                "type": service_type, "clusterIPs": cluster_ips, "ports": ports,
                "externalIPs": external, "loadBalancerSourceRanges": sources,
                "externalTrafficPolicy": external_policy,
                "internalTrafficPolicy": internal_policy,
            });
            for (field, value) in affinity.as_object().into_iter().flatten() {
                spec[field] = value.clone();
            }
            Object {
                identity: Identity::Service(index),
                worth: form.worth(),
                json: json!({
                    "kind": "Service", "apiVersion": "v1", "metadata": metadata,
                    "spec": spec,
                    "status": {"loadBalancer": {"ingress": ingress}},
                }),
            }
        })
}

fn endpoint(is_ipv4: bool) -> impl Strategy<Value = Value> {
    let conditions = select(vec![
        json!({"ready": true}),
        json!({"ready": true}),
        json!({"ready": false, "serving": false}),
        json!({"ready": false, "serving": true, "terminating": true}),
        json!({"ready": false, "serving": false, "terminating": true}),
    ]);
    let place = select(vec![json!(NODE), json!("node-b"), Value::Null]);
    let hints = select(vec![
        Value::Null,
        Value::Null,
        json!({"forZones": [{"name": "zone-a"}]}),
        json!({"forNodes": [{"name": NODE}]}),
    ]);
    (1..7u8, conditions, place, hints).prop_map(move |(last, conditions, place, hints)| {
        let address = if is_ipv4 {
            format!("10.244.0.{last}")
        } else {
            format!("fd00:244::{last}")
        };
        json!({"addresses": [address], "conditions": conditions, "nodeName": place,
               "hints": hints})
    })
}

fn slice(index: u8) -> impl Strategy<Value = Object> {
    let service = prop_oneof![8 => (0..3u8).prop_map(Some), 1 => Just(None)];
    let ports = select(vec![
        json!([{"name": "http", "port": 8080}, {"name": "dns", "protocol": "UDP", "port": 53},
               {"name": "sctp", "protocol": "SCTP", "port": 132}]),
        json!([{"name": "http", "port": 8080}]),
        json!([{"name": "http", "port": 9090}, {"name": "dns", "protocol": "UDP", "port": 8080}]),
    ]);
    let address_type = prop_oneof![4 => Just("IPv4"), 2 => Just("IPv6"), 1 => Just("IPv5")];
    (service, ports, address_type).prop_flat_map(move |(service, ports, address_type)| {
        let endpoints = proptest::collection::vec(endpoint(address_type != "IPv6"), 0..6);
        let (worth, labels) = match service {
            None => (Worth::Irrelevant, json!({})),
            Some(service) => {
                let labels = json!({"kubernetes.io/service-name": format!("s{service}")});
                let is_bad = address_type == "IPv5";
                (if is_bad { Worth::Bad } else { Worth::Good }, labels)
            }
        };
        endpoints.prop_map(move |endpoints| Object {
            identity: Identity::Slice(index),
            worth,
            json: json!({
                "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
                "metadata": {"namespace": "default", "name": format!("e{index}"),
                             "labels": labels},
                "addressType": address_type, "endpoints": endpoints, "ports": ports,
            }),
        })
    })
}

fn service_cidr(index: u8) -> impl Strategy<Value = Object> {
    let ranges = vec!["10.96.0.0/24", "10.97.0.0/16", "fd00:96::/112"];
    subsequence(ranges, 1..=2).prop_map(move |ranges| Object {
        identity: Identity::ServiceCidr(index),
        worth: Worth::Good,
        json: json!({
            "kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1",
            "metadata": {"name": format!("c{index}")}, "spec": {"cidrs": ranges},
        }),
    })
}

/// The addresses that the node may have.
pub(crate) const NODE_ADDRESSES: [&str; 3] = ["192.0.2.1", "192.0.2.2", "2001:db8:a::1"];

fn node() -> impl Strategy<Value = Object> {
    let addresses = subsequence(NODE_ADDRESSES.to_vec(), 1..=3).prop_shuffle();
    let zone = select(vec!["", "zone-a", "zone-b"]);
    let pod_ranges = select(vec!["10.244.0.0/24", "10.245.0.0/24", "fd00:244::/64"]);
    (addresses, zone, pod_ranges).prop_map(|(addresses, zone, pod_range)| {
        let addresses: Vec<_> = addresses
            .iter()
            .map(|address| json!({"type": "InternalIP", "address": address}))
            .collect();
        Object {
            identity: Identity::Node,
            worth: Worth::Good,
            json: json!({
                "kind": "Node", "apiVersion": "v1",
                "metadata": {"name": NODE, "labels": {"topology.kubernetes.io/zone": zone}},
                "spec": {"podCIDRs": [pod_range]}, "status": {"addresses": addresses},
            }),
        }
    })
}

/// A configuration that looks at all objects of the world.
pub(crate) fn config() -> impl Strategy<Value = Value> {
    let mode = select(vec!["ClusterCIDR", "NodeCIDR"]);
    let addresses = select(vec![
        json!(["primary"]),
        json!([]),
        json!(["192.0.2.0/25", "2001:db8:a::/64"]),
    ]);
    (mode, addresses, any::<bool>()).prop_map(|(mode, addresses, masquerade_all)| {
        json!({
            "node_name": NODE, "cluster_cidrs": ["10.244.0.0/16"], "detect_local_mode": mode,
            "nodeport_addresses": addresses, "masquerade_all": masquerade_all,
        })
    })
}

/// Some objects of the world, each once.
pub(crate) fn objects(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Object>> {
    proptest::collection::vec(object(), count).prop_map(|objects| {
        let mut seen = BTreeSet::new();
        let mut objects = objects;
        objects.retain(|object| seen.insert(object.identity));
        objects
    })
}
