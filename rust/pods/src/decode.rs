//! The fields of a Pod that are used, and the record made of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use smol_str::SmolStr;

use crate::interner::Interner;
use crate::pod::{ContainerPort, Pod};

const DEFAULT_NAMESPACE: SmolStr = SmolStr::new_static("default");
const DEFAULT_PROTOCOL: SmolStr = SmolStr::new_static("TCP");

/// An object of which it is not known yet whether it is a Pod.
#[derive(Debug, Default, Deserialize)]
#[serde(expecting = "an object")]
pub(crate) struct Written {
    pub(crate) kind: Option<SmolStr>,
    pub(crate) metadata: Option<Metadata>,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(crate) struct Metadata {
    namespace: Option<SmolStr>,
    name: Option<SmolStr>,
    uid: Option<SmolStr>,
    pub(crate) resource_version: Option<SmolStr>,
    deletion_timestamp: Option<SmolStr>,
    labels: Option<BTreeMap<SmolStr, SmolStr>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Spec {
    node_name: Option<SmolStr>,
    hostname: Option<SmolStr>,
    subdomain: Option<SmolStr>,
    containers: Option<Vec<Container>>,
    init_containers: Option<Vec<Container>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Container {
    restart_policy: Option<SmolStr>,
    ports: Option<Vec<WrittenPort>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct WrittenPort {
    name: Option<SmolStr>,
    protocol: Option<SmolStr>,
    container_port: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Status {
    phase: Option<SmolStr>,
    #[serde(rename = "podIP")]
    pod_ip: Option<SmolStr>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<PodIp>>,
    conditions: Option<Vec<Condition>>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct PodIp {
    ip: Option<SmolStr>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Condition {
    #[serde(rename = "type")]
    kind: Option<SmolStr>,
    status: Option<SmolStr>,
    last_transition_time: Option<SmolStr>,
}

/// What records have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    labels: Interner<(SmolStr, SmolStr)>,
    ports: Interner<ContainerPort>,
}

impl Written {
    /// The record of a Pod; `None` if it has no name.
    pub(crate) fn into_pod(self, shared: &mut Shared) -> Option<Pod> {
        let metadata = self.metadata.unwrap_or_default();
        let (namespace, name) = key(metadata.namespace, metadata.name)?;
        let spec = self.spec.unwrap_or_default();
        let status = self.status.unwrap_or_default();
        let ready = status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.kind.as_deref() == Some("Ready"));
        let labels = metadata.labels.unwrap_or_default();
        Some(Pod {
            namespace,
            name,
            uid: metadata.uid.unwrap_or_default(),
            labels: shared.labels.intern(labels.into_iter().collect()),
            is_terminal: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
            is_ready: ready.is_some_and(|ready| ready.status.as_deref() == Some("True")),
            is_deleted: metadata
                .deletion_timestamp
                .is_some_and(|time| !time.is_empty()),
            ready_since: ready
                .and_then(|ready| ready.last_transition_time.clone())
                .unwrap_or_default(),
            addresses: addresses(status.pod_ips.as_deref(), status.pod_ip.as_deref()),
            node_name: spec.node_name.clone().unwrap_or_default(),
            hostname: spec.hostname.clone().unwrap_or_default(),
            subdomain: spec.subdomain.clone().unwrap_or_default(),
            ports: shared.ports.intern(spec.ports()),
        })
    }
}

/// The namespace and the name of a Pod.
pub(crate) type Key = (SmolStr, SmolStr);

/// What a Pod is found by; `None` without a name.
pub(crate) fn key(namespace: Option<SmolStr>, name: Option<SmolStr>) -> Option<Key> {
    let name = name.filter(|name| !name.is_empty())?;
    let namespace = namespace.filter(|name| !name.is_empty());
    Some((namespace.unwrap_or(DEFAULT_NAMESPACE), name))
}

impl Spec {
    fn ports(self) -> Vec<ContainerPort> {
        let sidecars = self.init_containers.into_iter().flatten();
        let sidecars =
            sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
        let containers = self.containers.into_iter().flatten().chain(sidecars);
        let ports = containers.flat_map(|container| container.ports.into_iter().flatten());
        ports
            .filter_map(|port| {
                Some(ContainerPort {
                    name: port.name.filter(|name| !name.is_empty())?,
                    protocol: port.protocol.unwrap_or(DEFAULT_PROTOCOL),
                    number: port.container_port.unwrap_or_default(),
                })
            })
            .collect()
    }
}

fn addresses(all: Option<&[PodIp]>, first: Option<&str>) -> Box<[IpAddr]> {
    let all = all.unwrap_or_default();
    if all.is_empty() {
        return first.and_then(parse_address).into_iter().collect();
    }
    let texts = all.iter().filter_map(|address| address.ip.as_deref());
    texts.filter_map(parse_address).collect()
}

/// Reads an address as Go's `ParseIPSloppy` does: leading zeros of IPv4 are decimal.
fn parse_address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 32 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = part.trim_start_matches('0');
        *octet = if digits.is_empty() {
            0
        } else {
            digits.parse().ok()?
        };
    }
    parts
        .next()
        .is_none()
        .then(|| Ipv4Addr::from(octets).into())
}
