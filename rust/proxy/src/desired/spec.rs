//! What one frontend should do.

use std::sync::Arc;

use ipnet::IpNet;
use kpx_conntrack::Serving;
use kpx_nftables::Name;

use crate::NamespacedName;
use crate::frontend::{Destination, FrontendKey, FrontendKind};
use crate::layout::{Balancer, Role};
use crate::programmed::{EndpointSlots, FrontendElements, Refusal};
use crate::virtual_servers::Balancing;

/// Where the connections of a frontend go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To these endpoints, source kept (masquerading is decided by where they come from).
    Cluster(Arc<[Destination]>),
    /// To these endpoints, masqueraded.
    External(Arc<[Destination]>),
    /// Those of pods and of the node itself to `cluster`, all others to `local`, source kept.
    ExternalLocal {
        /// The endpoints for clients within.
        cluster: Arc<[Destination]>,
        /// The endpoints for clients outside: those on this node.
        local: Arc<[Destination]>,
    },
}

/// What one frontend should do, before its endpoints have slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendSpec {
    /// Whose it is, as [`FrontendElements::owner`].
    pub owner: Name,
    /// Why the Service has it.
    pub kind: FrontendKind,
    /// Where connections go.
    pub route: Route,
    /// Whether there is any endpoint that could serve, here or elsewhere.
    pub any: bool,
    /// The only sources allowed, sorted and disjoint; `None` for all.
    pub source_ranges: Option<Vec<IpNet>>,
    /// For how many seconds a client keeps to an endpoint; `None` if it does not.
    pub affinity: Option<u32>,
    /// How IPVS chooses among the endpoints; `None` if nftables does.
    pub balancing: Option<Balancing>,
    /// The endpoints that answer at all, whose flows go on: for UDP alone, whose flows have no end of
    /// their own.
    pub serving: Option<Serving>,
}

impl FrontendSpec {
    /// The Service it belongs to: the start of [`Self::owner`], which is never cut off.
    pub fn service(&self) -> NamespacedName {
        let (service, _port) = self.owner.rsplit_once(':').unwrap_or((&self.owner, ""));
        NamespacedName::parse(service)
    }

    /// The endpoints that clients from outside the cluster and its nodes come to, and all clients
    /// where there is only one list.
    pub fn endpoints(&self) -> &[Destination] {
        match &self.route {
            Route::Cluster(endpoints) | Route::External(endpoints) => endpoints,
            Route::ExternalLocal { local, .. } => local,
        }
    }

    /// What happens to connections that no endpoint takes; `None` if all are taken.
    pub fn refusal(&self) -> Option<Refusal> {
        let is_served = match &self.route {
            Route::Cluster(endpoints) | Route::External(endpoints) => !endpoints.is_empty(),
            Route::ExternalLocal { local, .. } => !local.is_empty(),
        };
        let refusal = if self.any {
            Refusal::Drop
        } else {
            Refusal::Reject
        };
        (!is_served).then_some(refusal)
    }

    /// What the maps should hold, keeping endpoints in the slots they have.
    pub fn settle(&self, key: &FrontendKey, before: Option<&FrontendElements>) -> FrontendElements {
        let node_port = key.is_node_port();
        let cluster_role = if node_port {
            Role::NodePortCluster
        } else {
            Role::Cluster
        };
        let none = EndpointSlots::default();
        let sticky = self.affinity.is_some();
        let (slots, local_slots) = before.map_or((&none, &none), |before| {
            (&before.endpoints, &before.local_endpoints)
        });
        let mut elements = FrontendElements {
            owner: self.owner.clone(),
            firewalled: self.source_ranges.is_some(),
            source_ranges: self.source_ranges.clone().unwrap_or_default(),
            ..FrontendElements::default()
        };
        // What IPVS chooses from is not in the maps.
        let none_of = |endpoints| {
            if self.balancing.is_some() {
                &[][..]
            } else {
                endpoints
            }
        };
        elements.refusal = self.refusal();
        match &self.route {
            Route::Cluster(endpoints) => {
                elements.endpoints = slots.settle(none_of(endpoints), sticky);
                elements.dispatch = self.balancer(cluster_role, endpoints);
            }
            Route::External(endpoints) => {
                let role = if node_port {
                    Role::NodePort
                } else {
                    Role::External
                };
                elements.endpoints = slots.settle(none_of(endpoints), sticky);
                elements.dispatch = self.balancer(role, endpoints);
            }
            Route::ExternalLocal { cluster, local } => {
                let role = if node_port {
                    Role::NodePortLocal
                } else {
                    Role::ExternalLocal
                };
                elements.endpoints = slots.settle(cluster, sticky);
                elements.local_endpoints = local_slots.settle(none_of(local), sticky);
                elements.short_circuit =
                    (!cluster.is_empty()).then(|| self.choosing_balancer(cluster_role, cluster));
                // The chain is needed without local endpoints too: it leads pods and the node to
                // the others. All else falls through to the refusal.
                let used = !cluster.is_empty() || !local.is_empty();
                elements.dispatch = used.then(|| self.balancer_of(role, local));
            }
        }
        elements
    }

    /// The chain for these endpoints, if there are any.
    fn balancer(&self, role: Role, endpoints: &[Destination]) -> Option<Balancer> {
        (!endpoints.is_empty()).then(|| self.balancer_of(role, endpoints))
    }

    /// The chain that treats connections to these endpoints as a role says, and chooses one of them
    /// unless IPVS does.
    fn balancer_of(&self, role: Role, endpoints: &[Destination]) -> Balancer {
        if self.balancing.is_none() {
            return self.choosing_balancer(role, endpoints);
        }
        Balancer {
            role,
            count: 0,
            affinity: None,
        }
    }

    fn choosing_balancer(&self, role: Role, endpoints: &[Destination]) -> Balancer {
        Balancer {
            role,
            count: count(endpoints),
            affinity: self.affinity,
        }
    }
}

/// The number of endpoints. There are fewer than the numbers of a slot: each has a port of an
/// address, and memory ends long before.
fn count(endpoints: &[Destination]) -> u32 {
    u32::try_from(endpoints.len()).unwrap_or(u32::MAX)
}
