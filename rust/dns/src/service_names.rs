//! The names of one Service, computed when it or its endpoints change.

use std::net::IpAddr;

use kpx_proxy::Protocol;
use kpx_proxy::state::{EndpointPort, EndpointSlice, Service};
use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};

use crate::Name;
use crate::name::is_label;

/// The names of one Service.
#[derive(Debug)]
pub(crate) struct ServiceNames {
    /// What the name of the Service itself stands for.
    pub(crate) target: Target,
    /// The ready endpoints, sorted by label, then address; one in two slices is here twice.
    pub(crate) endpoints: Vec<EndpointName>,
    /// The endpoints by address, as indices.
    pub(crate) by_address: Vec<u32>,
    /// The ports of every slice, sorted.
    pub(crate) slice_ports: Vec<Vec<EndpointPort>>,
}

/// What the name of a Service stands for.
#[derive(Debug)]
pub(crate) enum Target {
    /// The Service's own addresses and ports.
    ClusterIps {
        /// Its addresses.
        addresses: SmallVec<[IpAddr; 2]>,
        /// Its ports, with the numbers that clients connect to.
        ports: Vec<EndpointPort>,
    },
    /// The endpoints.
    Endpoints,
    /// Another name.
    ExternalName(Name),
}

/// The name of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointName {
    /// The label left of the Service's name: the host name, or the address with dashes.
    pub(crate) label: SmolStr,
    /// The address.
    pub(crate) address: IpAddr,
    /// Which slice it is in.
    pub(crate) slice: u32,
}

impl ServiceNames {
    /// The names of a Service; `None` if it has none: a headless Service without a ready
    /// endpoint (specification, 2.4.1), an external name that is none.
    pub(crate) fn derive<'a>(
        service: &Service,
        slices: impl Iterator<Item = &'a EndpointSlice>,
    ) -> Option<Self> {
        if !is_label(&service.name.name) || !is_label(&service.name.namespace) {
            return None;
        }
        let target = match &service.external_name {
            Some(name) => Target::ExternalName(external_name(name)?),
            None if service.cluster_ips.is_empty() => Target::Endpoints,
            None => Target::ClusterIps {
                addresses: service.cluster_ips.clone(),
                ports: service_ports(service),
            },
        };
        let mut names = Self {
            target,
            endpoints: Vec::new(),
            by_address: Vec::new(),
            slice_ports: Vec::new(),
        };
        if !matches!(names.target, Target::ExternalName(_)) {
            for (slice, number) in slices.zip(0..) {
                names.slice_ports.push(slice.ports.clone());
                let ready = slice.endpoints.iter().filter(|endpoint| endpoint.ready);
                names.endpoints.extend(ready.map(|endpoint| EndpointName {
                    label: endpoint_label(
                        endpoint.hostname.as_deref().map(SmolStr::as_str),
                        endpoint.address,
                    ),
                    address: endpoint.address,
                    slice: number,
                }));
            }
            names.sort();
        }
        let is_nameless = names.endpoints.is_empty() && matches!(names.target, Target::Endpoints);
        (!is_nameless).then_some(names)
    }

    fn sort(&mut self) {
        self.endpoints.sort_unstable();
        self.endpoints.dedup();
        self.endpoints.shrink_to_fit();
        let endpoints = &self.endpoints;
        self.by_address = (0..).take(endpoints.len()).collect();
        self.by_address.sort_by_key(|index| {
            let index = usize::try_from(*index).unwrap_or_default();
            endpoints.get(index).map(|endpoint| endpoint.address)
        });
    }

    /// The endpoints in the order of their addresses; several may have one address.
    pub(crate) fn by_address(&self) -> impl Iterator<Item = &EndpointName> {
        let index = |index: &u32| usize::try_from(*index).unwrap_or_default();
        self.by_address
            .iter()
            .filter_map(move |number| self.endpoints.get(index(number)))
    }

    /// The distinct addresses of endpoints, sorted.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<_> = self.by_address().map(|endpoint| endpoint.address).collect();
        addresses.dedup();
        addresses
    }

    /// The endpoints of a label.
    pub(crate) fn of_label(&self, label: &[u8]) -> &[EndpointName] {
        let first = self
            .endpoints
            .partition_point(|endpoint| endpoint.label.as_bytes() < label);
        let rest = &self.endpoints[first..];
        let count = rest.partition_point(|endpoint| endpoint.label.as_bytes() == label);
        &rest[..count]
    }

    /// The ports of the slice that an endpoint is in.
    pub(crate) fn ports_of(&self, endpoint: &EndpointName) -> &[EndpointPort] {
        let slice = usize::try_from(endpoint.slice).unwrap_or_default();
        self.slice_ports.get(slice).map_or(&[], Vec::as_slice)
    }

    /// The named ports that have names of their own, as `(port, protocol)`.
    pub(crate) fn named_ports(&self) -> Vec<(SmolStr, Protocol)> {
        let mut names: Vec<(SmolStr, Protocol)> = match &self.target {
            Target::ClusterIps { ports, .. } => ports.iter().map(port_key).collect(),
            Target::Endpoints => {
                let used = self.endpoints.iter().flat_map(|name| self.ports_of(name));
                used.map(port_key).collect()
            }
            Target::ExternalName(_) => Vec::new(),
        };
        names.retain(|(name, _)| is_label(name) && name.len() < 63);
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn port_key(port: &EndpointPort) -> (SmolStr, Protocol) {
    (port.name.clone(), port.protocol)
}

fn service_ports(service: &Service) -> Vec<EndpointPort> {
    let mut ports: Vec<_> = service
        .ports
        .iter()
        .map(|port| EndpointPort {
            name: port.name.clone(),
            protocol: port.protocol,
            port: port.port,
        })
        .collect();
    ports.sort_unstable();
    ports
}

/// An external name; an IP address is none, as upstream has it (coredns#2324).
pub(crate) fn external_name(text: &str) -> Option<Name> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.parse::<IpAddr>().is_ok() {
        return None;
    }
    Name::parse(name).ok()
}

/// The label of an endpoint: its host name, or its address with dashes. A label must not begin or
/// end with a dash, so `::` there gets a zero.
fn endpoint_label(hostname: Option<&str>, address: IpAddr) -> SmolStr {
    if let Some(hostname) = hostname.filter(|hostname| is_label(hostname)) {
        return hostname.to_ascii_lowercase().into();
    }
    let dashed = address.to_string().replace(['.', ':'], "-");
    let before = if dashed.starts_with('-') { "0" } else { "" };
    let after = if dashed.ends_with('-') { "0" } else { "" };
    format_smolstr!("{before}{dashed}{after}")
}
