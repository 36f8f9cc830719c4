//! What load balancers are told of this node.

use std::net::IpAddr;

use super::Proxier;
use crate::NamespacedName;
use crate::hash::HashSet;

/// What a load balancer asks this node about one Service (`spec.healthCheckNodePort`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HealthCheck {
    /// The Service.
    pub service: NamespacedName,
    /// The port the load balancer asks on.
    pub port: u16,
    /// How many distinct addresses of ready endpoints are on this node.
    pub local_endpoints: usize,
}

impl<D> Proxier<D> {
    /// The Services that load balancers ask about, by name.
    pub fn health_checks(&self) -> Vec<HealthCheck> {
        let mut checks: Vec<HealthCheck> = self
            .state
            .services()
            .filter_map(|service| {
                let port = service.health_check_node_port?;
                let endpoints = self.state.slices(&service.name);
                let local = endpoints
                    .flat_map(|slice| &slice.endpoints)
                    .filter(|endpoint| endpoint.ready && endpoint.is_on(&self.config.node_name));
                let addresses: HashSet<IpAddr> = local.map(|endpoint| endpoint.address).collect();
                Some(HealthCheck {
                    service: service.name.clone(),
                    port,
                    local_endpoints: addresses.len(),
                })
            })
            .collect();
        checks.sort_unstable();
        checks
    }
}
