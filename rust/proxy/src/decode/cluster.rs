//! Kinds without a namespace: `v1` Node and Namespace, `networking.k8s.io/v1` ServiceCIDR.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use smol_str::SmolStr;

use super::address::{parse_address, parse_range};
use super::object::{ApiObject, Content, Metadata};
use super::reason::{LeftOut, Quoted, Reason};
use crate::state::Node;
use crate::{Kind, NamespacedName};

/// A Node as the API writes it.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct NodeObject {
    #[serde(default)]
    metadata: Metadata,
    spec: Option<NodeSpec>,
    status: Option<NodeStatus>,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct NodeSpec {
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<SmolStr>,
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Option<Vec<SmolStr>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct NodeStatus {
    addresses: Option<Vec<NodeAddress>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct NodeAddress {
    #[serde(rename = "type")]
    address_type: Option<SmolStr>,
    address: Option<SmolStr>,
}

impl ApiObject for NodeObject {
    const KIND: Kind = Kind::Node;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn interpret(self, _: NamespacedName, left_out: &mut LeftOut) -> Result<Content, Reason> {
        let zone = self.metadata.labels().zone.clone();
        let spec = self.spec.unwrap_or_default();
        let (field, ranges) = match (&spec.pod_cidrs, &spec.pod_cidr) {
            (Some(ranges), _) if !ranges.is_empty() => ("spec.podCIDRs", ranges.as_slice()),
            (_, Some(range)) if !range.is_empty() => ("spec.podCIDR", std::slice::from_ref(range)),
            _ => ("spec.podCIDRs", [].as_slice()),
        };
        Ok(Content::Node(Node {
            addresses: self
                .status
                .and_then(|status| status.addresses)
                .map(|addresses| own_addresses(&addresses, left_out))
                .unwrap_or_default(),
            zone: zone.filter(|zone| !zone.is_empty()),
            pod_cidrs: parse_ranges(field, ranges, left_out),
        }))
    }
}

/// The addresses of the node itself, internal ones first (`GetNodeHostIPs` of upstream).
fn own_addresses(written: &[NodeAddress], left_out: &mut LeftOut) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for wanted in ["InternalIP", "ExternalIP"] {
        for (index, entry) in written.iter().enumerate() {
            if entry.address_type.as_deref() != Some(wanted) {
                continue;
            }
            let text = entry.address.as_deref().unwrap_or_default();
            match parse_address(text) {
                Some(address) if !addresses.contains(&address) => addresses.push(address),
                Some(_) => {}
                None => left_out.push(format_args!(
                    "status.addresses[{index}].address: {} is not an IP address",
                    Quoted(text)
                )),
            }
        }
    }
    addresses
}

/// A ServiceCIDR as the API writes it.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct ServiceCidrObject {
    #[serde(default)]
    metadata: Metadata,
    spec: Option<ServiceCidrSpec>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct ServiceCidrSpec {
    cidrs: Option<Vec<SmolStr>>,
}

impl ApiObject for ServiceCidrObject {
    const KIND: Kind = Kind::ServiceCidr;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn interpret(self, _: NamespacedName, left_out: &mut LeftOut) -> Result<Content, Reason> {
        let ranges = self.spec.and_then(|spec| spec.cidrs).unwrap_or_default();
        let ranges = parse_ranges("spec.cidrs", &ranges, left_out);
        Ok(Content::ServiceCidr(ranges))
    }
}

fn parse_ranges(field: &str, texts: &[SmolStr], left_out: &mut LeftOut) -> Vec<IpNet> {
    let mut ranges = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match parse_range(text) {
            Some(range) => ranges.push(range),
            None => left_out.push(format_args!(
                "{field}[{index}]: {} is not a CIDR range",
                Quoted(text)
            )),
        }
    }
    ranges
}

/// A Namespace as the API writes it.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct NamespaceObject {
    #[serde(default)]
    metadata: Metadata,
}

impl ApiObject for NamespaceObject {
    const KIND: Kind = Kind::Namespace;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn interpret(self, _: NamespacedName, _: &mut LeftOut) -> Result<Content, Reason> {
        Ok(Content::Namespace)
    }
}
