//! Derives the frontends of one Service.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use kpx_conntrack::Serving;
use kpx_nftables::{Family, Name, comment};
use smol_str::format_smolstr;

use super::FrontendSpec;
use super::spec::Route;
use crate::Protocol;
use crate::frontend::{Destination, FrontendKey, FrontendKind, Location, family_of};
use crate::layout::Member;
use crate::state::{EndpointSlice, Service, ServicePort, State, TrafficPolicy};
use crate::topology::{Backend, Selection, select_endpoints, serving_endpoints};
use crate::virtual_servers::{Balancing, IpvsNode};

/// Everything one Service wants of the node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceFrontends {
    /// The frontends, each key once.
    pub frontends: Vec<(FrontendKey, FrontendSpec)>,
    /// The elements of the sets shared by all Services, each once.
    pub members: Vec<Member>,
    /// How many distinct endpoints serve the ports, in both families.
    pub endpoints: usize,
}

impl ServiceFrontends {
    /// Derives what a Service wants from what is known of it and its endpoints.
    ///
    /// `ipvs` is what is known of the node where IPVS chooses the endpoints.
    pub fn derive(
        service: &Service,
        state: &State,
        node_name: &str,
        ipvs: Option<&IpvsNode>,
    ) -> Self {
        let mut derived = Self::default();
        let balancing = ipvs.map(|node| Balancing::of(service, node));
        let slices: Vec<&EndpointSlice> = state.slices(&service.name).collect();
        let zone = state.node().and_then(|node| node.zone.as_deref());
        for cluster_ip in &service.cluster_ips {
            derived.members.push(Member::ClusterIp(*cluster_ip));
            let family = family_of(*cluster_ip);
            for port in &service.ports {
                let slices = slices.iter().copied();
                let selection = select_endpoints(port, slices.clone(), family, node_name, zone);
                let serving: Option<Serving> = (port.protocol == Protocol::Udp)
                    .then(|| serving_endpoints(port, slices, family).into());
                let node_ip = state
                    .node()
                    .and_then(|node| node.addresses.iter().find(|ip| family_of(**ip) == family));
                derived.push_port(
                    service,
                    port,
                    *cluster_ip,
                    (&selection, serving.as_ref()),
                    node_ip.copied(),
                    balancing.as_ref(),
                );
            }
        }
        if let Some(node) = ipvs {
            derived.push_virtual_ips(node);
        }
        derived.members.sort_unstable();
        derived.members.dedup();
        derived
    }

    /// Adds the addresses that the node is to have, but for those it has anyhow.
    fn push_virtual_ips(&mut self, node: &IpvsNode) {
        let locations = self.frontends.iter().map(|(key, _)| key.location);
        let addresses = locations.filter_map(|location| match location {
            Location::Address(address) => Some(address),
            Location::NodePort(_) => None,
        });
        let missing = addresses.filter(|address| !node.has_address(*address));
        self.members.extend(missing.map(Member::VirtualIp));
    }

    fn push_port(
        &mut self,
        service: &Service,
        port: &ServicePort,
        cluster_ip: IpAddr,
        (selection, serving): (&Selection, Option<&Serving>),
        node_ip: Option<IpAddr>,
        balancing: Option<&Balancing>,
    ) {
        let family = family_of(cluster_ip);
        let in_family = |address: &&IpAddr| family_of(**address) == family;
        let owner = owner(service, port);
        let lists = Lists::new(selection);
        let internal = match service.internal_traffic_policy {
            TrafficPolicy::Cluster => Route::Cluster(lists.cluster.clone()),
            TrafficPolicy::Local => Route::Cluster(lists.local.clone()),
        };
        let external = match service.external_traffic_policy {
            TrafficPolicy::Cluster => Route::External(lists.cluster.clone()),
            TrafficPolicy::Local => Route::ExternalLocal {
                cluster: lists.cluster,
                local: lists.local,
            },
        };
        let spec = |kind, route: &Route| FrontendSpec {
            owner: owner.clone(),
            kind,
            route: route.clone(),
            any: selection.any,
            source_ranges: None,
            affinity: affinity(service),
            balancing: balancing.cloned(),
            serving: serving.cloned(),
        };
        let vip = |address: IpAddr| FrontendKey {
            location: Location::Address(address),
            protocol: port.protocol,
            port: port.port,
        };

        self.push(vip(cluster_ip), spec(FrontendKind::ClusterIp, &internal));
        for address in service.load_balancer_ips.iter().filter(in_family) {
            let mut spec = spec(FrontendKind::LoadBalancer, &external);
            spec.source_ranges = allowed_sources(service, family, node_ip);
            self.push(vip(*address), spec);
        }
        for address in service.external_ips.iter().filter(in_family) {
            self.push(vip(*address), spec(FrontendKind::ExternalIp, &external));
        }
        if let Some(port_number) = port.node_port {
            let location = Location::NodePort(family);
            let key = FrontendKey {
                location,
                protocol: port.protocol,
                port: port_number,
            };
            self.push(key, spec(FrontendKind::NodePort, &external));
        }

        let local = selection.cluster.iter().chain(&selection.local);
        let hairpins = local.filter(|backend| backend.is_local);
        self.members
            .extend(hairpins.map(|backend| Member::Hairpin(destination(backend), port.protocol)));
        self.endpoints += selection.cluster.len().max(selection.local.len());
    }

    /// Adds a frontend unless the Service has it already: an address can be given both as a load
    /// balancer's, which comes first, and as an external IP.
    fn push(&mut self, key: FrontendKey, spec: FrontendSpec) {
        if !self.frontends.iter().any(|(known, _)| *known == key) {
            self.frontends.push((key, spec));
        }
    }
}

/// The comment that says whose an element is. `nft` takes comments up to a length that a
/// namespace and a name always leave room for; the end of a port's name may be cut off.
fn owner(service: &Service, port: &ServicePort) -> Name {
    let owner = format_smolstr!("{}:{}", service.name, port.name);
    match owner.split_at_checked(comment::MAX_LENGTH) {
        Some((start, _)) => Name::new(start),
        None => owner,
    }
}

/// The endpoint lists of a port, shared by all its frontends.
struct Lists {
    cluster: Arc<[Destination]>,
    local: Arc<[Destination]>,
}

impl Lists {
    fn new(selection: &Selection) -> Self {
        let cluster: Arc<[_]> = selection.cluster.iter().map(destination).collect();
        let local = if selection.local == selection.cluster {
            cluster.clone()
        } else {
            selection.local.iter().map(destination).collect()
        };
        Self { cluster, local }
    }
}

fn destination(backend: &Backend) -> Destination {
    Destination {
        address: backend.address,
        port: backend.port,
    }
}

/// For how many seconds a client keeps to an endpoint. The API allows a day at most; a timeout of
/// 0 would keep clients forever.
fn affinity(service: &Service) -> Option<u32> {
    let timeout = service.session_affinity?.as_secs();
    u32::try_from(timeout).ok().filter(|seconds| *seconds > 0)
}

/// The sources that may use a load balancer's addresses, sorted and disjoint; `None` for all.
///
/// A range of length 0 allows all. Ranges given for the other family only leave this one open,
/// as in kube-proxy. A node whose own address is allowed reaches the load balancer from the load
/// balancer's address (the connection never leaves the node), so those addresses are allowed too.
fn allowed_sources(
    service: &Service,
    family: Family,
    node_ip: Option<IpAddr>,
) -> Option<Vec<IpNet>> {
    let in_family = |range: &IpNet| family_of(range.addr()) == family;
    let mut ranges: Vec<IpNet> = service
        .source_ranges
        .iter()
        .copied()
        .filter(in_family)
        .collect();
    if ranges.is_empty() || ranges.iter().any(|range| range.prefix_len() == 0) {
        return None;
    }
    if node_ip.is_some_and(|node_ip| ranges.iter().any(|range| range.contains(&node_ip))) {
        let own = service.load_balancer_ips.iter().copied().map(IpNet::from);
        ranges.extend(own.filter(in_family));
    }
    let mut ranges = IpNet::aggregate(&ranges);
    ranges.sort_unstable();
    Some(ranges)
}
