//! `v1` Endpoints: the older form of EndpointSlices, read as such.

use serde::Deserialize;
use smol_str::SmolStr;

use super::address::parse_address;
use super::endpoint_slice::{SlicePort, interpret_ports};
use super::object::{ApiObject, Content, Metadata};
use super::reason::{LeftOut, Quoted, Reason};
use crate::state::{Endpoint, EndpointSlice};
use crate::{Kind, NamespacedName};

/// Endpoints as the API writes them.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct EndpointsObject {
    #[serde(default)]
    metadata: Metadata,
    subsets: Option<Vec<Subset>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Subset {
    addresses: Option<Vec<SubsetAddress>>,
    not_ready_addresses: Option<Vec<SubsetAddress>>,
    ports: Option<Vec<SlicePort>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct SubsetAddress {
    ip: Option<SmolStr>,
    hostname: Option<SmolStr>,
    node_name: Option<SmolStr>,
}

impl ApiObject for EndpointsObject {
    const KIND: Kind = Kind::Endpoints;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Makes a slice of every subset and family, as the mirroring controller does.
    fn interpret(
        mut self,
        name: NamespacedName,
        left_out: &mut LeftOut,
    ) -> Result<Content, Reason> {
        let is_headless = self.metadata.labels().headless.0;
        let trigger_time = self.metadata.take_trigger_time();
        let mut slices = Vec::new();
        for (index, mut subset) in self.subsets.into_iter().flatten().enumerate() {
            let written_ports = subset.ports.take().unwrap_or_default();
            let ports =
                interpret_ports(&format!("subsets[{index}].ports"), written_ports, left_out)?;
            let (ipv4, ipv6): (Vec<_>, Vec<_>) = subset
                .endpoints(index, left_out)
                .into_iter()
                .partition(|endpoint| endpoint.address.is_ipv4());
            for (family, endpoints) in [("ipv4", ipv4), ("ipv6", ipv6)] {
                if endpoints.is_empty() {
                    continue;
                }
                slices.push(EndpointSlice {
                    name: NamespacedName {
                        namespace: name.namespace.clone(),
                        name: format!("{}-{index}-{family}", name.name).into(),
                    },
                    service: name.clone(),
                    is_headless,
                    ports: ports.clone(),
                    endpoints,
                    last_change_trigger_time: trigger_time.clone(),
                });
            }
        }
        Ok(Content::Endpoints {
            is_headless,
            slices,
        })
    }
}

impl Subset {
    fn endpoints(self, index: usize, left_out: &mut LeftOut) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        for (field, addresses, ready) in [
            ("addresses", self.addresses, true),
            ("notReadyAddresses", self.not_ready_addresses, false),
        ] {
            for (position, entry) in addresses.into_iter().flatten().enumerate() {
                let text = entry.ip.unwrap_or_default();
                match parse_address(&text) {
                    Some(address) => endpoints.push(Endpoint {
                        address,
                        hostname: entry.hostname.filter(|name| !name.is_empty()).map(Box::new),
                        node_name: entry.node_name.filter(|name| !name.is_empty()),
                        ready,
                        serving: ready,
                        terminating: false,
                        hints: None,
                    }),
                    None => left_out.push(format_args!(
                        "subsets[{index}].{field}[{position}].ip: {} is not an IP address",
                        Quoted(&text)
                    )),
                }
            }
        }
        endpoints
    }
}
