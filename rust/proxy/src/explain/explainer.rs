//! Explains what a target stands for.

use std::net::IpAddr;

use kpx_nftables::Family;

use super::find::{Asked, has_frontend};
use super::frontend::Follower;
use super::kernel::Concern;
use super::{
    EndpointVerdict, ExplainError, ExplainedEndpoint, ExplainedFrontend, ExplainedPort,
    Explanation, Kernel, OtherFrontend, SessionAffinity, Source, Target, reason,
};
use crate::desired::{Conflict, Desired, FrontendSpec, ServiceFrontends};
use crate::frontend::{Destination, FrontendKey, Location, family_of};
use crate::layout::Skeleton;
use crate::plan::Plan;
use crate::programmed::Programmed;
use crate::state::{Service, State};
use crate::topology::explain_endpoints;
use crate::virtual_servers::{IpvsNode, VirtualServer, server_key};

/// What an explanation is drawn from.
pub(crate) struct Explainer<'a> {
    /// What the API server said.
    pub(crate) state: &'a State,
    /// What follows from it.
    pub(crate) desired: &'a Desired,
    /// The fixed chains of each family.
    pub(crate) skeletons: &'a [Skeleton; 2],
    /// What is known of the node where IPVS chooses the endpoints.
    pub(crate) ipvs: Option<&'a IpvsNode>,
    /// The addresses of each family on which node ports are virtual servers.
    pub(crate) node_port_addresses: &'a [Vec<IpAddr>; 2],
    /// What the kernel holds and all that would make it as desired, or why it cannot be read.
    pub(crate) kernel: Result<(&'a Programmed, &'a Plan), String>,
}

impl<'a> Explainer<'a> {
    /// Explains a target, for packets from one address or from each class of sources.
    pub(crate) fn explain(
        &self,
        target: &str,
        source: Option<&str>,
    ) -> Result<Explanation, ExplainError> {
        let parsed: Target = target.parse()?;
        let source = source.map(Source::parse).transpose()?;
        let mut found = match &parsed {
            Target::Address {
                address,
                port,
                protocol,
            } => self.find_address(*address, *port, *protocol),
            Target::NodePort { port, protocol } => self.find_node_port(*port, *protocol),
            Target::Service {
                name,
                port,
                protocol,
            } => self.find_service(name, port.as_deref(), *protocol)?,
        };
        if let Some(source) = source {
            let family = family_of(source);
            found.asked.retain(|asked| asked.family == family);
            found.keys.retain(|key| key.family() == family);
            if found.asked.is_empty() && found.keys.is_empty() {
                return Err(ExplainError::Family(source));
            }
        }
        let conflicts = self.desired.conflicts();
        let explain = |asked: &Asked<'_>| self.explain_port(asked, source, &conflicts);
        let ports: Vec<ExplainedPort> = found.asked.iter().map(explain).collect();
        Ok(Explanation {
            target: target.to_owned(),
            node: self.state.node_name().into(),
            kernel: self.explain_kernel(found.keys, &ports),
            ports,
            unserved: found.unserved,
        })
    }

    fn explain_port(
        &self,
        asked: &Asked<'_>,
        source: Option<IpAddr>,
        conflicts: &[Conflict],
    ) -> ExplainedPort {
        let Asked {
            service,
            port,
            family,
            frontend,
        } = asked;
        let node_name = self.state.node_name();
        let zone = self.state.node().and_then(|node| node.zone.as_deref());
        let slices = self.state.slices(&service.name);
        let explained = explain_endpoints(port, slices, *family, node_name, zone);
        let endpoints = explained
            .endpoints
            .iter()
            .map(|endpoint| ExplainedEndpoint {
                endpoint: Destination {
                    address: endpoint.backend.address,
                    port: endpoint.backend.port,
                },
                is_local: endpoint.backend.is_local,
                cluster: EndpointVerdict(endpoint.cluster),
                local: EndpointVerdict(endpoint.local),
            });
        let wanted = ServiceFrontends::derive(service, self.state, node_name, self.ipvs).frontends;
        let own = wanted
            .iter()
            .filter(|(key, _)| key.family() == *family && has_frontend(port, key));
        let (meant, others): (Vec<_>, Vec<_>) =
            own.partition(|(key, _)| frontend.is_none_or(|frontend| frontend == *key));
        let session_affinity = service.session_affinity.map(|timeout| SessionAffinity {
            timeout_seconds: timeout.as_secs(),
        });
        let frontends = meant.into_iter().map(|(key, spec)| {
            let sources = Source::all(source, self.skeleton(*family), self.state.node());
            self.explain_frontend(service, *key, spec, sources, conflicts)
        });
        let others = others.into_iter().map(|(key, spec)| OtherFrontend {
            frontend: *key,
            kind: spec.kind,
        });
        ExplainedPort {
            service: service.name.clone(),
            port_name: port.name.clone(),
            protocol: port.protocol,
            port: port.port,
            internal_traffic_policy: service.internal_traffic_policy,
            external_traffic_policy: service.external_traffic_policy,
            session_affinity,
            hints: reason::of_topology(explained.topology, node_name, zone),
            endpoints: endpoints.collect(),
            frontends: frontends.collect(),
            other_frontends: others.collect(),
        }
    }

    fn explain_frontend(
        &self,
        service: &Service,
        key: FrontendKey,
        spec: &FrontendSpec,
        sources: Vec<Source>,
        conflicts: &[Conflict],
    ) -> ExplainedFrontend {
        let contested = conflicts.iter().filter(|conflict| conflict.key == key);
        let mut lost = contested
            .clone()
            .filter(|conflict| conflict.loser == service.name);
        let lost_to = lost.next().map(|conflict| conflict.winner.clone());
        let refused_to = contested.filter(|conflict| conflict.winner == service.name);
        let skeleton = self.skeleton(key.family());
        let follower = Follower {
            service,
            key: &key,
            spec,
            skeleton,
            desired: self.desired,
        };
        let sources = sources.into_iter().filter(|_| lost_to.is_none());
        ExplainedFrontend {
            frontend: key,
            kind: spec.kind,
            refused_to: refused_to.map(|conflict| conflict.loser.clone()).collect(),
            answers_on: key
                .is_node_port()
                .then(|| reason::of_nodeport_addresses(&skeleton.nodeport_addresses)),
            virtual_servers: self.virtual_servers(&key, spec),
            source_ranges: spec.source_ranges.clone(),
            paths: sources.map(|source| follower.follow(source)).collect(),
            lost_to,
        }
    }

    /// The virtual servers of a frontend, as text.
    fn virtual_servers(&self, key: &FrontendKey, spec: &FrontendSpec) -> Vec<String> {
        let [ipv4, ipv6] = self.node_port_addresses;
        let addresses = match key.location {
            Location::Address(address) => vec![address],
            Location::NodePort(Family::Ipv4) => ipv4.clone(),
            Location::NodePort(Family::Ipv6) => ipv6.clone(),
        };
        let servers = addresses.into_iter().filter_map(|address| {
            let key = server_key(address, key.protocol, key.port);
            VirtualServer::wanted(key, spec)
        });
        servers.map(|server| server.service.to_string()).collect()
    }

    fn explain_kernel(&self, keys: Vec<FrontendKey>, ports: &[ExplainedPort]) -> Kernel {
        let (_, plan) = match &self.kernel {
            Ok(kernel) => kernel,
            Err(error) => {
                return Kernel::Unreadable {
                    error: error.clone(),
                };
            }
        };
        let mut concern = Concern::default();
        concern.frontends.extend(keys);
        for port in ports {
            let frontends = port.frontends.iter().map(|frontend| frontend.frontend);
            concern.frontends.extend(frontends);
            let endpoints = port.endpoints.iter().map(|endpoint| endpoint.endpoint);
            concern.endpoints.extend(endpoints);
        }
        for key in &concern.frontends {
            if let Some(spec) = self.desired.frontend(key) {
                let elements = spec.settle(key, None);
                let balancers = elements.balancers();
                let balancers = balancers.map(|balancer| (key.family(), balancer));
                concern.balancers.extend(balancers);
            }
        }
        Kernel::Read {
            differences: concern.differences(plan),
        }
    }

    pub(super) fn skeleton(&self, family: Family) -> &'a Skeleton {
        let [ipv4, ipv6] = self.skeletons;
        match family {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        }
    }
}
