//! Which flows are stale.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::{Flow, UDP};

/// The endpoints that still answer, sorted; shared by all frontends of a Service port.
pub type Serving = Arc<[SocketAddr]>;

/// A port on the node's own addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePort {
    /// The addresses of the node that are known, of the port's family.
    pub addresses: Vec<IpAddr>,
    /// Whether the port answers on others too. A flow to one of those counts only if its
    /// destination was translated: else it may be another host's that has the same port.
    pub others: bool,
    /// The endpoints that still answer.
    pub serving: Serving,
}

/// The UDP frontends whose flows are to be checked. A flow to one of them is stale if its answers
/// come from none of the endpoints that still answer there: the endpoint is gone, or the flow is
/// older than the frontend and was never translated.
///
/// Flows to anything else are never stale. Nor are those of TCP and SCTP, which end by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    addresses: HashMap<SocketAddr, Serving, foldhash::fast::RandomState>,
    /// By whether the family is IPv6, and port.
    node_ports: HashMap<(bool, u16), NodePort, foldhash::fast::RandomState>,
}

impl Filter {
    /// Adds a frontend on a virtual address.
    pub fn insert(&mut self, frontend: SocketAddr, serving: Serving) {
        self.addresses.insert(frontend, serving);
    }

    /// Adds a frontend on the node's addresses of a family.
    pub fn insert_node_port(&mut self, is_ipv6: bool, port: u16, node_port: NodePort) {
        self.node_ports.insert((is_ipv6, port), node_port);
    }

    /// Takes in a later filter, which knows better where both have a frontend.
    pub fn extend(&mut self, later: Self) {
        self.addresses.extend(later.addresses);
        self.node_ports.extend(later.node_ports);
    }

    /// How many frontends there are.
    pub fn len(&self) -> usize {
        self.addresses.len() + self.node_ports.len()
    }

    /// Whether there is none: no flow is stale.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are frontends of a family.
    pub fn has_family(&self, is_ipv6: bool) -> bool {
        self.addresses
            .keys()
            .any(|frontend| frontend.is_ipv6() == is_ipv6)
            || self.node_ports.keys().any(|(other, _)| *other == is_ipv6)
    }

    /// Whether a flow leads nowhere any more.
    pub fn is_stale(&self, flow: &Flow) -> bool {
        flow.original.protocol == UDP
            && self
                .serving(flow)
                .is_some_and(|serving| serving.binary_search(&flow.reply.source).is_err())
    }

    /// The endpoints behind a flow's destination, if that is one of the frontends.
    fn serving(&self, flow: &Flow) -> Option<&Serving> {
        let destination = flow.original.destination;
        if let Some(serving) = self.addresses.get(&destination) {
            return Some(serving);
        }
        let key = (destination.is_ipv6(), destination.port());
        let node_port = self.node_ports.get(&key)?;
        let is_its = node_port.addresses.contains(&destination.ip())
            || (node_port.others && flow.is_translated());
        is_its.then_some(&node_port.serving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tuple;

    fn flow(destination: &str, endpoint: &str) -> Flow {
        let client = "192.0.2.9:4000".parse().unwrap();
        let tuple = |source, destination| Tuple {
            source,
            destination,
            protocol: UDP,
            zone: None,
        };
        Flow {
            original: tuple(client, destination.parse().unwrap()),
            reply: tuple(endpoint.parse().unwrap(), client),
            zone: None,
            id: None,
        }
    }

    fn serving(endpoints: &[&str]) -> Serving {
        endpoints
            .iter()
            .map(|endpoint| endpoint.parse().unwrap())
            .collect()
    }

    #[test]
    fn only_flows_to_endpoints_that_are_gone_are_stale() {
        let mut filter = Filter::default();
        let frontend = "10.96.0.10:53".parse().unwrap();
        filter.insert(frontend, serving(&["10.0.0.1:53", "10.0.0.2:53"]));

        assert!(!filter.is_stale(&flow("10.96.0.10:53", "10.0.0.2:53")));
        assert!(filter.is_stale(&flow("10.96.0.10:53", "10.0.0.3:53")));
        assert!(filter.is_stale(&flow("10.96.0.10:53", "10.0.0.2:54")));
        // Older than the frontend: never translated.
        assert!(filter.is_stale(&flow("10.96.0.10:53", "10.96.0.10:53")));
        // Another port, another address, another protocol.
        assert!(!filter.is_stale(&flow("10.96.0.10:54", "10.0.0.3:53")));
        assert!(!filter.is_stale(&flow("10.96.0.11:53", "10.0.0.3:53")));
        let mut tcp = flow("10.96.0.10:53", "10.0.0.3:53");
        tcp.original.protocol = 6;
        assert!(!filter.is_stale(&tcp));
    }

    #[test]
    fn without_endpoints_every_flow_to_the_frontend_is_stale() {
        let mut filter = Filter::default();
        filter.insert("10.96.0.10:53".parse().unwrap(), serving(&[]));

        assert!(filter.is_stale(&flow("10.96.0.10:53", "10.0.0.1:53")));
    }

    #[test]
    fn a_node_port_is_the_nodes_alone() {
        let mut filter = Filter::default();
        let mut node_port = NodePort {
            addresses: vec!["192.0.2.1".parse().unwrap()],
            others: false,
            serving: serving(&["10.0.0.1:53"]),
        };
        filter.insert_node_port(false, 30053, node_port.clone());

        assert!(filter.is_stale(&flow("192.0.2.1:30053", "10.0.0.3:53")));
        assert!(filter.is_stale(&flow("192.0.2.1:30053", "192.0.2.1:30053")));
        assert!(!filter.is_stale(&flow("192.0.2.1:30053", "10.0.0.1:53")));
        assert!(!filter.is_stale(&flow("192.0.2.2:30053", "10.0.0.3:53")));

        node_port.others = true;
        filter.insert_node_port(false, 30053, node_port);

        assert!(filter.is_stale(&flow("192.0.2.2:30053", "10.0.0.3:53")));
        // A flow to another host that has the same port.
        assert!(!filter.is_stale(&flow("203.0.113.1:30053", "203.0.113.1:30053")));
    }

    #[test]
    fn the_later_filter_knows_better() {
        let frontend = "10.96.0.10:53".parse().unwrap();
        let mut filter = Filter::default();
        filter.insert(frontend, serving(&[]));
        let mut later = Filter::default();
        later.insert(frontend, serving(&["10.0.0.1:53"]));

        filter.extend(later);

        assert!(!filter.is_stale(&flow("10.96.0.10:53", "10.0.0.1:53")));
    }
}
