//! Finds what a target stands for.

use std::net::IpAddr;

use kpx_nftables::Family;
use smol_str::format_smolstr;

use super::unserved::{Unclaimed, answers_on, port_text};
use super::{ExplainError, Explainer, Unserved};
use crate::frontend::{FrontendKey, Location, family_of};
use crate::state::{Service, ServicePort};
use crate::{NamespacedName, Protocol};

/// A port of a Service in one family.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) service: &'a Service,
    pub(super) port: &'a ServicePort,
    pub(super) family: Family,
    /// The frontend asked about; `None` for all.
    pub(super) frontend: Option<FrontendKey>,
}

/// What a target stands for.
#[derive(Default)]
pub(super) struct Found<'a> {
    pub(super) asked: Vec<Asked<'a>>,
    /// The frontends looked for, whether a Service has them or not.
    pub(super) keys: Vec<FrontendKey>,
    pub(super) unserved: Option<Unserved>,
}

impl<'a> Explainer<'a> {
    /// Finds who has a port of an address. The address of a Service comes before the node's own.
    pub(super) fn find_address(
        &self,
        address: IpAddr,
        port: u16,
        protocol: Option<Protocol>,
    ) -> Found<'a> {
        let family = family_of(address);
        let skeleton = self.skeleton(family);
        let mut found = Found::default();
        let mut node_port_owner = None;
        for protocol in protocols(protocol) {
            let key = |location| FrontendKey {
                location,
                protocol,
                port,
            };
            let (service_key, node_key) = (
                key(Location::Address(address)),
                key(Location::NodePort(family)),
            );
            let node_port = self.owner_of(node_key);
            found.keys.push(service_key);
            if let Some(asked) = self.owner_of(service_key) {
                found.asked.push(asked);
            } else if answers_on(skeleton, self.state, address) {
                found.keys.push(node_key);
                found.asked.extend(node_port);
            } else {
                node_port_owner = node_port_owner.or(node_port);
            }
        }
        if found.asked.is_empty() {
            let unclaimed = Unclaimed {
                state: self.state,
                desired: self.desired,
                skeleton,
            };
            let owner = node_port_owner.map(|asked| &asked.service.name);
            let port = port_text(port, protocol);
            found.unserved = self
                .kept(&found.keys)
                .or_else(|| Some(unclaimed.explain(address, &port, owner)));
        }
        found
    }

    /// Finds who has a node port.
    pub(super) fn find_node_port(&self, port: u16, protocol: Option<Protocol>) -> Found<'a> {
        let mut found = Found::default();
        for family in Family::ALL {
            let location = Location::NodePort(family);
            found
                .keys
                .extend(protocols(protocol).map(|protocol| FrontendKey {
                    location,
                    protocol,
                    port,
                }));
        }
        let owners = found.keys.iter().filter_map(|key| self.owner_of(*key));
        found.asked = owners.collect();
        if found.asked.is_empty() {
            found.unserved = self
                .kept(&found.keys)
                .or_else(|| Some(Unserved::node_port(&port_text(port, protocol))));
        }
        found
    }

    /// Finds the ports of a Service; `port` is a name or a number.
    pub(super) fn find_service(
        &self,
        name: &NamespacedName,
        port: Option<&str>,
        protocol: Option<Protocol>,
    ) -> Result<Found<'a>, ExplainError> {
        let service = self
            .state
            .service(name)
            .ok_or_else(|| self.unknown_service(name))?;
        let is_meant = |candidate: &&ServicePort| {
            port.is_none_or(|port| {
                candidate.name == port || format_smolstr!("{}", candidate.port) == port
            }) && protocol.is_none_or(|protocol| candidate.protocol == protocol)
        };
        let ports: Vec<&ServicePort> = service.ports.iter().filter(is_meant).collect();
        if ports.is_empty() {
            let ports: Vec<String> = service.ports.iter().map(named_port).collect();
            return Err(ExplainError::UnknownPort {
                service: name.clone(),
                port: match (port, protocol) {
                    (port, Some(protocol)) => {
                        format_smolstr!("{}/{protocol}", port.unwrap_or_default())
                    }
                    (port, None) => port.unwrap_or_default().into(),
                },
                ports: ports.join(", "),
            });
        }
        let families = service
            .cluster_ips
            .iter()
            .map(|address| family_of(*address));
        let asked = families.flat_map(|family| {
            ports.iter().map(move |port| Asked {
                service,
                port,
                family,
                frontend: None,
            })
        });
        Ok(Found {
            asked: asked.collect(),
            ..Found::default()
        })
    }

    fn unknown_service(&self, name: &NamespacedName) -> ExplainError {
        let rejections = self.state.rejections();
        let rejection = rejections.into_iter().find(|rejection| {
            rejection.kind == "Service" && rejection.name == format_smolstr!("{name}")
        });
        match rejection {
            Some(rejection) => ExplainError::RejectedService {
                name: name.clone(),
                reason: rejection.reason.clone(),
            },
            None => ExplainError::UnknownService(name.clone()),
        }
    }

    /// The Service port that has a frontend.
    fn owner_of(&self, key: FrontendKey) -> Option<Asked<'a>> {
        let owner = self.desired.frontend(&key)?.service();
        let service = self.state.service(&owner)?;
        let port = service.ports.iter().find(|port| has_frontend(port, &key))?;
        Some(Asked {
            service,
            port,
            family: key.family(),
            frontend: Some(key),
        })
    }

    /// Explains the first of some frontends that the kernel keeps for a Service of which only an
    /// invalid version is known.
    fn kept(&self, keys: &[FrontendKey]) -> Option<Unserved> {
        let (programmed, _) = self.kernel.as_ref().ok()?;
        let held = self.state.held();
        let is_held = |service: &str| held.iter().any(|name| format_smolstr!("{name}") == service);
        let mut elements = keys.iter().filter_map(|key| programmed.frontends.get(key));
        let elements = elements.find(|elements| is_held(elements.service()))?;
        Some(Unserved::kept(elements))
    }
}

/// The protocols meant: the one given, or all.
fn protocols(protocol: Option<Protocol>) -> impl Iterator<Item = Protocol> {
    let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter();
    all.filter(move |candidate| protocol.is_none_or(|protocol| protocol == *candidate))
}

/// Whether a frontend of a port's Service is the port's.
pub(super) fn has_frontend(port: &ServicePort, key: &FrontendKey) -> bool {
    let number = if key.is_node_port() {
        port.node_port
    } else {
        Some(port.port)
    };
    port.protocol == key.protocol && number == Some(key.port)
}

/// A port as it can be asked for.
fn named_port(port: &ServicePort) -> String {
    let ServicePort {
        name,
        protocol,
        port,
        ..
    } = port;
    if name.is_empty() {
        format!("`{port}/{protocol}`")
    } else {
        format!("`{name}` (`{port}/{protocol}`)")
    }
}
