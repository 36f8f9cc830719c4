//! `v1` Service.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use kpx_frames::Shortened;
use serde::Deserialize;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::address::{parse_address, parse_range};
use super::identity::is_dns_name;
use super::object::{ApiObject, Content, HasEntries, Metadata, parse_protocol};
use super::reason::{LeftOut, PORTS, Quoted, Reason, bounded_ports, required_number};
use crate::state::{Service, ServicePort, TrafficPolicy};
use crate::{Kind, NamespacedName};

/// The timeout of session affinity where none is given
/// (`DefaultClientIPServiceAffinitySeconds` of `k8s.io/api/core/v1`).
const DEFAULT_AFFINITY_SECONDS: u64 = 10_800;

/// The longest timeout of session affinity (`MaxClientIPServiceAffinitySeconds` of the API's
/// validation).
const MAX_AFFINITY_SECONDS: u64 = 86_400;

/// A Service as the API writes it.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct ServiceObject {
    #[serde(default)]
    metadata: Metadata,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Spec {
    #[serde(rename = "type")]
    service_type: Option<SmolStr>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<SmolStr>,
    external_name: Option<SmolStr>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Option<Vec<SmolStr>>,
    #[serde(rename = "externalIPs")]
    external_ips: Option<Vec<SmolStr>>,
    load_balancer_source_ranges: Option<Vec<SmolStr>>,
    external_traffic_policy: Option<SmolStr>,
    internal_traffic_policy: Option<SmolStr>,
    session_affinity: Option<SmolStr>,
    session_affinity_config: Option<SessionAffinityConfig>,
    health_check_node_port: Option<i64>,
    selector: Option<HasEntries>,
    ports: Option<Vec<WrittenPort>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct SessionAffinityConfig {
    #[serde(rename = "clientIP")]
    client_ip: Option<ClientIpConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct ClientIpConfig {
    timeout_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct WrittenPort {
    name: Option<SmolStr>,
    protocol: Option<SmolStr>,
    port: Option<i64>,
    node_port: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Status {
    load_balancer: Option<LoadBalancerStatus>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct LoadBalancerStatus {
    ingress: Option<Vec<Ingress>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Ingress {
    ip: Option<SmolStr>,
    ip_mode: Option<SmolStr>,
}

impl ApiObject for ServiceObject {
    const KIND: Kind = Kind::Service;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn interpret(self, name: NamespacedName, left_out: &mut LeftOut) -> Result<Content, Reason> {
        let spec = self.spec.unwrap_or_default();
        let is_external_name = spec.service_type.as_deref() == Some("ExternalName");
        let is_for_another_proxy = self.metadata.labels().service_proxy_name.0;
        let has_no_address = is_external_name || spec.is_headless();
        let external_traffic_policy = spec.external_traffic_policy();
        let annotations = self.metadata.annotations();
        let scheduler = annotations.and_then(|annotations| annotations.ipvs_scheduler.as_deref());
        let weights = annotations.and_then(|annotations| annotations.weight.as_deref());
        let service = Service {
            name,
            scheduler: parse_annotation("kpx.dev/ipvs-scheduler", scheduler, left_out),
            weights: parse_annotation("kpx.dev/weight", weights, left_out).map(Arc::new),
            created: self.metadata.creation_timestamp.unwrap_or_default(),
            is_proxied: !is_for_another_proxy && !has_no_address,
            external_name: spec.external_name.clone().filter(|_| is_external_name),
            cluster_ips: if has_no_address {
                SmallVec::new()
            } else {
                spec.cluster_ips()?
            },
            external_ips: spec.external_ips(left_out),
            load_balancer_ips: self
                .status
                .map(|status| status.load_balancer_ips(left_out))
                .unwrap_or_default(),
            source_ranges: spec.source_ranges()?,
            external_traffic_policy,
            internal_traffic_policy: traffic_policy(spec.internal_traffic_policy.as_deref()),
            session_affinity: spec.session_affinity()?,
            health_check_node_port: spec.health_check_node_port(external_traffic_policy)?,
            has_selector: spec.selector.is_some_and(|selector| selector.0),
            ports: spec.ports()?,
        };
        Ok(Content::Service(Box::new(service)))
    }
}

/// Reads an annotation of ours; one that is not valid is left out, and the Service works without.
fn parse_annotation<T>(name: &str, text: Option<&str>, left_out: &mut LeftOut) -> Option<T>
where
    T: FromStr<Err: fmt::Display>,
{
    let parsed = text?.trim().parse();
    let refuse = |error| {
        let field = format_args!("metadata.annotations[{name}]");
        left_out.push(format_args!("{field}: {}", Shortened(&format!("{error}"))));
    };
    parsed.map_err(refuse).ok()
}

impl Spec {
    /// The cluster addresses as written. `clusterIPs` repeats `clusterIP` as its first; in a
    /// manifest, one may stand without the other.
    fn written_cluster_ips(&self) -> (&'static str, &[SmolStr]) {
        match (&self.cluster_ips, &self.cluster_ip) {
            (Some(addresses), _) if !addresses.is_empty() => ("spec.clusterIPs", addresses),
            (_, Some(address)) => ("spec.clusterIP", std::slice::from_ref(address)),
            _ => ("spec.clusterIP", &[]),
        }
    }

    fn is_headless(&self) -> bool {
        let first = match self.cluster_ip.as_deref() {
            Some(address) if !address.is_empty() => Some(address),
            _ => self.written_cluster_ips().1.first().map(SmolStr::as_str),
        };
        matches!(first, None | Some("" | "None"))
    }

    fn cluster_ips(&self) -> Result<SmallVec<[IpAddr; 2]>, Reason> {
        let (field, written) = self.written_cluster_ips();
        let mut addresses = SmallVec::<[IpAddr; 2]>::new();
        for text in written {
            let address = parse_address(text)
                .ok_or_else(|| format!("{field}: {} is not an IP address", Quoted(text)))?;
            if addresses
                .iter()
                .any(|other| other.is_ipv4() == address.is_ipv4())
            {
                let text = Quoted(text);
                return Err(format!("{field}: {text} is a second address of its family"));
            }
            addresses.push(address);
        }
        Ok(addresses)
    }

    fn external_ips(&self, left_out: &mut LeftOut) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for (index, text) in self.external_ips.iter().flatten().enumerate() {
            match parse_address(text) {
                Some(address) => addresses.push(address),
                None => left_out.push(format_args!(
                    "spec.externalIPs[{index}]: {} is not an IP address",
                    Quoted(text)
                )),
            }
        }
        sorted_set(addresses)
    }

    /// The source ranges. One that cannot be read rejects the Service: left out, it would let in
    /// fewer clients than meant, and all of them if it were the only one.
    fn source_ranges(&self) -> Result<Vec<IpNet>, Reason> {
        let texts = self.load_balancer_source_ranges.iter().flatten();
        let ranges = texts.enumerate().map(|(index, text)| {
            parse_range(text.trim()).ok_or_else(|| {
                let field = "spec.loadBalancerSourceRanges";
                format!("{field}[{index}]: {} is not a CIDR range", Quoted(text))
            })
        });
        Ok(sorted_set(ranges.collect::<Result<_, _>>()?))
    }

    /// The policy counts only where the type has anything external
    /// (`ExternallyAccessible` of `pkg/api/v1/service`).
    fn external_traffic_policy(&self) -> TrafficPolicy {
        let is_external = match self.service_type.as_deref() {
            Some("NodePort" | "LoadBalancer") => true,
            _ => self.external_ips.iter().flatten().next().is_some(),
        };
        if is_external {
            traffic_policy(self.external_traffic_policy.as_deref())
        } else {
            TrafficPolicy::Cluster
        }
    }

    fn session_affinity(&self) -> Result<Option<Duration>, Reason> {
        if self.session_affinity.as_deref() != Some("ClientIP") {
            return Ok(None);
        }
        let config = self.session_affinity_config.as_ref();
        let written = config
            .and_then(|config| config.client_ip.as_ref())
            .and_then(|client_ip| client_ip.timeout_seconds);
        let seconds = match written {
            None => DEFAULT_AFFINITY_SECONDS,
            seconds => required_number(
                seconds,
                1..=MAX_AFFINITY_SECONDS,
                format_args!("spec.sessionAffinityConfig.clientIP.timeoutSeconds"),
            )?,
        };
        Ok(Some(Duration::from_secs(seconds)))
    }

    fn health_check_node_port(&self, external: TrafficPolicy) -> Result<Option<u16>, Reason> {
        let is_load_balancer = self.service_type.as_deref() == Some("LoadBalancer");
        if !is_load_balancer || external != TrafficPolicy::Local {
            return Ok(None);
        }
        optional_port(
            self.health_check_node_port,
            format_args!("spec.healthCheckNodePort"),
        )
    }

    fn ports(&self) -> Result<Vec<ServicePort>, Reason> {
        let written = self.ports.as_deref().unwrap_or_default();
        bounded_ports(written.len(), "spec.ports")?;
        let ports: Vec<_> = written
            .iter()
            .enumerate()
            .map(|(index, port)| port.interpret(index))
            .collect::<Result<_, _>>()?;
        reject_duplicates("name", &ports, |port| {
            Some((port.protocol, port.name.clone()))
        })?;
        reject_duplicates("port", &ports, |port| Some((port.protocol, port.port)))?;
        reject_duplicates("nodePort", &ports, |port| {
            Some((port.protocol, port.node_port?))
        })?;
        Ok(ports)
    }
}

impl WrittenPort {
    fn interpret(&self, index: usize) -> Result<ServicePort, Reason> {
        let name = self.name.clone().unwrap_or_default();
        if !name.is_empty() && !is_dns_name(&name) {
            let name = Quoted(&name);
            return Err(format!(
                "spec.ports[{index}].name: {name} is not a DNS name"
            ));
        }
        Ok(ServicePort {
            name,
            protocol: parse_protocol(
                self.protocol.as_deref(),
                format_args!("spec.ports[{index}].protocol"),
            )?,
            port: required_number(self.port, PORTS, format_args!("spec.ports[{index}].port"))?,
            node_port: optional_port(self.node_port, format_args!("spec.ports[{index}].nodePort"))?,
        })
    }
}

impl Status {
    /// The addresses that the node answers for. With any `ipMode` but `VIP`, traffic is to reach
    /// the load balancer itself (KEP-1860).
    fn load_balancer_ips(self, left_out: &mut LeftOut) -> Vec<IpAddr> {
        let ingress = self.load_balancer.and_then(|status| status.ingress);
        let mut addresses = Vec::new();
        for (index, entry) in ingress.into_iter().flatten().enumerate() {
            let is_vip = matches!(entry.ip_mode.as_deref(), None | Some("VIP"));
            let text = entry.ip.unwrap_or_default();
            if !is_vip || text.is_empty() {
                continue;
            }
            match parse_address(&text) {
                Some(address) => addresses.push(address),
                None => left_out.push(format_args!(
                    "status.loadBalancer.ingress[{index}].ip: {} is not an IP address",
                    Quoted(&text)
                )),
            }
        }
        sorted_set(addresses)
    }
}

fn traffic_policy(text: Option<&str>) -> TrafficPolicy {
    match text {
        Some("Local") => TrafficPolicy::Local,
        _ => TrafficPolicy::Cluster,
    }
}

/// Reads a port of which 0 means that there is none.
fn optional_port(
    value: Option<i64>,
    field: std::fmt::Arguments<'_>,
) -> Result<Option<u16>, Reason> {
    match value {
        None | Some(0) => Ok(None),
        value => required_number(value, PORTS, field).map(Some),
    }
}

/// Fails if two ports have the same key, which would make them one and the same to the node.
fn reject_duplicates<K: Ord>(
    field: &str,
    ports: &[ServicePort],
    key: impl Fn(&ServicePort) -> Option<K>,
) -> Result<(), Reason> {
    let mut keys: Vec<_> = ports
        .iter()
        .enumerate()
        .filter_map(|(index, port)| Some((key(port)?, index)))
        .collect();
    keys.sort_unstable();
    let duplicate = keys.windows(2).find(|pair| pair[0].0 == pair[1].0);
    duplicate.map_or(Ok(()), |pair| {
        let (first, second) = (pair[0].1, pair[1].1);
        let protocol = ports[second].protocol;
        Err(format!(
            "spec.ports[{second}].{field}: the same as that of spec.ports[{first}], for {protocol}"
        ))
    })
}

fn sorted_set<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values.dedup();
    values.shrink_to_fit();
    values
}
