//! `discovery.k8s.io/v1` EndpointSlice.

use serde::Deserialize;
use smol_str::SmolStr;

use super::address::parse_address;
use super::object::{ApiObject, Content, First, Metadata, parse_protocol};
use super::reason::{LeftOut, PORTS, Quoted, Reason, bounded_ports, required_number};
use crate::state::{Endpoint, EndpointPort, EndpointSlice, Hints};
use crate::{Kind, NamespacedName};

/// An EndpointSlice as the API writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct EndpointSliceObject {
    #[serde(default)]
    metadata: Metadata,
    address_type: Option<SmolStr>,
    endpoints: Option<Vec<SliceEndpoint>>,
    ports: Option<Vec<SlicePort>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct SliceEndpoint {
    addresses: Option<First<SmolStr>>,
    conditions: Option<Conditions>,
    hostname: Option<SmolStr>,
    node_name: Option<SmolStr>,
    hints: Option<EndpointHints>,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct EndpointHints {
    for_zones: Option<Vec<Hint>>,
    for_nodes: Option<Vec<Hint>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Hint {
    name: SmolStr,
}

/// A port as the API writes it.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct SlicePort {
    name: Option<SmolStr>,
    protocol: Option<SmolStr>,
    port: Option<i64>,
}

impl ApiObject for EndpointSliceObject {
    const KIND: Kind = Kind::EndpointSlice;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn interpret(
        mut self,
        name: NamespacedName,
        left_out: &mut LeftOut,
    ) -> Result<Content, Reason> {
        let labels = self.metadata.labels();
        let service_name = labels.service_name.clone().unwrap_or_default();
        let is_headless = labels.headless.0;
        if service_name.is_empty() {
            return Ok(Content::Irrelevant);
        }
        let is_ipv4 = match self.address_type.as_deref() {
            Some("IPv4") => true,
            Some("IPv6") => false,
            Some("FQDN") => return Ok(Content::Irrelevant),
            Some(other) => {
                let other = Quoted(other);
                return Err(format!(
                    "addressType: {other} is not `IPv4`, `IPv6` or `FQDN`"
                ));
            }
            None => return Err("addressType: missing".to_owned()),
        };
        let slice = EndpointSlice {
            service: NamespacedName {
                namespace: name.namespace.clone(),
                name: service_name,
            },
            name,
            is_headless,
            ports: interpret_ports("ports", self.ports.unwrap_or_default(), left_out)?,
            endpoints: interpret_endpoints(self.endpoints.unwrap_or_default(), is_ipv4, left_out),
            last_change_trigger_time: self.metadata.take_trigger_time(),
        };
        Ok(Content::EndpointSlice(Box::new(slice)))
    }
}

/// Reads ports, sorted so that they can be searched by name and protocol. One without a number is
/// left out, as upstream does. One without a name has the empty name, which the API server writes
/// in its place (`SetDefaults_EndpointPort`, pkg/apis/discovery/v1/defaults.go); manifests that no
/// server has seen mean the same.
pub(super) fn interpret_ports(
    field: &str,
    ports: Vec<SlicePort>,
    left_out: &mut LeftOut,
) -> Result<Vec<EndpointPort>, Reason> {
    bounded_ports(ports.len(), field)?;
    let mut interpreted = Vec::with_capacity(ports.len());
    for (index, port) in ports.into_iter().enumerate() {
        if matches!(port.port, None | Some(0)) {
            left_out.push(format_args!("{field}[{index}].port: missing"));
            continue;
        }
        interpreted.push(EndpointPort {
            name: port.name.unwrap_or_default(),
            protocol: parse_protocol(
                port.protocol.as_deref(),
                format_args!("{field}[{index}].protocol"),
            )?,
            port: required_number(port.port, PORTS, format_args!("{field}[{index}].port"))?,
        });
    }
    interpreted.sort_unstable();
    interpreted.dedup();
    interpreted.shrink_to_fit();
    Ok(interpreted)
}

fn interpret_endpoints(
    endpoints: Vec<SliceEndpoint>,
    is_ipv4: bool,
    left_out: &mut LeftOut,
) -> Vec<Endpoint> {
    let mut interpreted = Vec::with_capacity(endpoints.len());
    for (index, endpoint) in endpoints.into_iter().enumerate() {
        let text = endpoint.addresses.and_then(|addresses| addresses.0);
        let Some(text) = text else {
            left_out.push(format_args!("endpoints[{index}].addresses: empty"));
            continue;
        };
        let address = parse_address(&text).filter(|address| address.is_ipv4() == is_ipv4);
        let Some(address) = address else {
            let family = if is_ipv4 { "IPv4" } else { "IPv6" };
            left_out.push(format_args!(
                "endpoints[{index}].addresses[0]: {} is not an {family} address",
                Quoted(&text)
            ));
            continue;
        };
        let conditions = endpoint.conditions.unwrap_or_default();
        interpreted.push(Endpoint {
            address,
            hostname: endpoint
                .hostname
                .filter(|name| !name.is_empty())
                .map(Box::new),
            node_name: endpoint.node_name.filter(|name| !name.is_empty()),
            ready: conditions.ready.unwrap_or(true),
            serving: conditions.serving.unwrap_or(true),
            terminating: conditions.terminating.unwrap_or(false),
            hints: endpoint.hints.and_then(interpret_hints),
        });
    }
    interpreted.shrink_to_fit();
    interpreted
}

fn interpret_hints(hints: EndpointHints) -> Option<Box<Hints>> {
    let hints = Hints {
        zones: names(hints.for_zones),
        nodes: names(hints.for_nodes),
    };
    (hints != Hints::default()).then(|| Box::new(hints))
}

fn names(hints: Option<Vec<Hint>>) -> Vec<SmolStr> {
    let hints = hints.unwrap_or_default();
    let mut names = Vec::with_capacity(hints.len());
    names.extend(hints.into_iter().map(|hint| hint.name));
    names
}
