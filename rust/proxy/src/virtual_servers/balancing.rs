//! How IPVS chooses among the endpoints of a Service.

use std::net::IpAddr;
use std::sync::Arc;

use kpx_ipvs::Scheduler;

use super::IpvsNode;
use crate::state::{Service, Weights};

/// How IPVS chooses among the endpoints of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balancing {
    /// The scheduler.
    pub scheduler: Scheduler,
    /// The weights of the endpoints; `None` if all have the same.
    pub weights: Option<Arc<Weights>>,
}

impl Balancing {
    /// How a Service wants it, or the node where it does not say. Weights mean nothing to round
    /// robin and to the fewest connections, so a Service that gives weights and no scheduler gets
    /// the form of these that regards them.
    pub fn of(service: &Service, node: &IpvsNode) -> Self {
        let default = || match (&node.scheduler, &service.weights) {
            (Scheduler::RoundRobin, Some(_)) => Scheduler::WeightedRoundRobin,
            (Scheduler::LeastConnection, Some(_)) => Scheduler::WeightedLeastConnection,
            (scheduler, _) => scheduler.clone(),
        };
        Self {
            scheduler: service.scheduler.clone().unwrap_or_else(default),
            weights: service.weights.clone(),
        }
    }

    /// The weight of an endpoint, at least 1.
    pub fn weight(&self, endpoint: IpAddr) -> u32 {
        self.weights
            .as_ref()
            .map_or(1, |weights| weights.of(endpoint))
    }
}
