//! The chains that choose an endpoint: one for each way of treating a connection and each number
//! of endpoints, shared by all frontends that are alike in both.

use std::time::Duration;

use kpx_nftables::{Chain, ChainContents, Family, Name, expression::FibAddress};
use smol_str::format_smolstr;

use super::rule::{Field, NODEPORT_KEY, RuleBuilder, SERVICE_KEY};
use super::sets::table;
use crate::config::LocalDetector;
use crate::names::set;

/// How a balancing chain treats connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// To any endpoint, source kept: cluster IPs, and pods that use an outside address.
    Cluster,
    /// To any endpoint, masqueraded: outside addresses.
    External,
    /// To endpoints of this node, source kept; pods and the node itself to any endpoint.
    ExternalLocal,
    /// As [`Role::Cluster`], for a node port.
    NodePortCluster,
    /// As [`Role::External`], for a node port.
    NodePort,
    /// As [`Role::ExternalLocal`], for a node port.
    NodePortLocal,
}

impl Role {
    /// All roles. Where one prefix starts another, the longer one comes first.
    const ALL: [Self; 6] = [
        Self::Cluster,
        Self::ExternalLocal,
        Self::External,
        Self::NodePortCluster,
        Self::NodePortLocal,
        Self::NodePort,
    ];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Cluster => "lb-",
            Self::External => "external-",
            Self::ExternalLocal => "external-local-",
            Self::NodePortCluster => "nodeport-lb-",
            Self::NodePort => "nodeport-",
            Self::NodePortLocal => "nodeport-local-",
        }
    }

    const fn is_node_port(self) -> bool {
        matches!(
            self,
            Self::NodePortCluster | Self::NodePort | Self::NodePortLocal
        )
    }
}

/// A balancing chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Balancer {
    /// How it treats connections.
    pub role: Role,
    /// The number of endpoints it chooses from; with 0 it chooses none, and leaves that to
    /// whatever comes next: a refusal, or IPVS.
    pub count: u32,
    /// For how many seconds a client keeps to an endpoint; `None` if it does not.
    pub affinity: Option<u32>,
}

/// What stands between the number of endpoints and the seconds of affinity in a chain's name.
const AFFINITY: &str = "-affinity-";

impl Balancer {
    /// The chain's name: the role, the number of endpoints and the seconds of affinity, if any.
    pub fn name(&self) -> Name {
        let Self {
            role,
            count,
            affinity,
        } = self;
        match affinity {
            None => format_smolstr!("{}{count}", role.prefix()),
            Some(seconds) => format_smolstr!("{}{count}{AFFINITY}{seconds}", role.prefix()),
        }
    }

    /// The balancer of that name, if it is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Role::ALL.into_iter().find_map(|role| {
            let numbers = name.strip_prefix(role.prefix())?;
            let (count, affinity) = match numbers.split_once(AFFINITY) {
                None => (numbers, None),
                Some((count, seconds)) => (count, Some(seconds.parse().ok()?)),
            };
            let balancer = Self {
                role,
                count: count.parse().ok()?,
                affinity,
            };
            (balancer.name() == name).then_some(balancer)
        })
    }

    /// The chain and its rules. `mark` asks for masquerading.
    pub fn chain(&self, family: Family, mark: u32, detector: &LocalDetector) -> ChainContents {
        let table = table(family);
        let name = self.name();
        let rule = || RuleBuilder::new(family);
        let keys = if self.role.is_node_port() {
            &NODE_PORT_MAPS
        } else {
            &ADDRESS_MAPS
        };
        let mut rules = Vec::new();
        match self.role {
            Role::Cluster | Role::NodePortCluster => {
                self.balance(&rule, &keys.all, &mut rules);
            }
            Role::External | Role::NodePort => {
                let marked = || rule().set_mark(mark);
                if self.count == 0 {
                    rules.push(marked());
                }
                self.balance(&marked, &keys.all, &mut rules);
            }
            Role::ExternalLocal | Role::NodePortLocal => {
                let short_circuit =
                    |rule: RuleBuilder| rule.verdict_from(keys.frontend, keys.short_circuit);
                rules.extend(rule().sent_by_pod(detector, true).map(short_circuit));
                let of_node = rule().of_this_host(FibAddress::Source).set_mark(mark);
                rules.push(short_circuit(of_node));
                self.balance(&rule, &keys.local, &mut rules);
            }
        }
        let rules = rules
            .into_iter()
            .map(|rule| rule.build(&table, &name))
            .collect();
        ChainContents {
            chain: Chain {
                table,
                name,
                base: None,
            },
            rules,
        }
    }

    /// Appends the choice of an endpoint to rules that begin as `rule` does.
    ///
    /// With affinity, the slot of a client crosses from one statement to the next in the packet's
    /// priority: `nft` has no other way to write it that lists back and needs no set per endpoint.
    /// Only the first packet of a connection comes here, and routing sets the priority anew where
    /// the packet is forwarded.
    fn balance(
        self,
        rule: &dyn Fn() -> RuleBuilder,
        maps: &EndpointMaps,
        rules: &mut Vec<RuleBuilder>,
    ) {
        if self.count == 0 {
            return;
        }
        let frontend = maps.frontend;
        let with = |field| frontend.iter().copied().chain([field]).collect::<Vec<_>>();
        let numbered = with(Field::Random(self.count));
        let Some(seconds) = self.affinity else {
            rules.push(rule().translate_to(&numbered, maps.endpoints));
            return;
        };
        let timeout = Duration::from_secs(seconds.into());
        let client: Vec<Field> = [Field::SourceAddress]
            .into_iter()
            .chain(frontend.iter().copied())
            .collect();
        let slotted = with(Field::Priority);
        // A known client, whose endpoint is still there.
        let known = rule().set_priority_from(&client, maps.clients);
        let known = known.remember(&client, maps.clients, timeout);
        rules.push(known.translate_to(&slotted, maps.sticky_endpoints));
        // A known client, whose endpoint is gone. Its slot is read because Linux 6.1 looks
        // nothing up in a map but for its value.
        let stale = rule().set_priority_from(&client, maps.clients);
        rules.push(stale.forget(&client, maps.clients));
        // A new client.
        let new = rule().set_priority_from(&numbered, maps.numbers);
        let new = new.remember(&client, maps.clients, timeout);
        rules.push(new.translate_to(&slotted, maps.sticky_endpoints));
        // A new client for which there is no room.
        rules.push(rule().translate_to(&slotted, maps.sticky_endpoints));
    }
}

/// The maps a balancing chain chooses from.
struct EndpointMaps {
    frontend: &'static [Field],
    endpoints: &'static str,
    clients: &'static str,
    numbers: &'static str,
    sticky_endpoints: &'static str,
}

/// The maps for frontends of a kind.
struct FrontendMaps {
    frontend: &'static [Field],
    short_circuit: &'static str,
    all: EndpointMaps,
    local: EndpointMaps,
}

const ADDRESS_MAPS: FrontendMaps = FrontendMaps {
    frontend: &SERVICE_KEY,
    short_circuit: set::SHORT_CIRCUIT_IPS,
    all: EndpointMaps {
        frontend: &SERVICE_KEY,
        endpoints: set::ENDPOINTS,
        clients: set::AFFINITY,
        numbers: set::AFFINITY_SLOTS,
        sticky_endpoints: set::AFFINITY_ENDPOINTS,
    },
    local: EndpointMaps {
        frontend: &SERVICE_KEY,
        endpoints: set::ENDPOINTS_LOCAL,
        clients: set::AFFINITY,
        numbers: set::AFFINITY_SLOTS_LOCAL,
        sticky_endpoints: set::AFFINITY_ENDPOINTS_LOCAL,
    },
};

const NODE_PORT_MAPS: FrontendMaps = FrontendMaps {
    frontend: &NODEPORT_KEY,
    short_circuit: set::SHORT_CIRCUIT_NODEPORTS,
    all: EndpointMaps {
        frontend: &NODEPORT_KEY,
        endpoints: set::NODEPORT_ENDPOINTS,
        clients: set::NODEPORT_AFFINITY,
        numbers: set::NODEPORT_AFFINITY_SLOTS,
        sticky_endpoints: set::NODEPORT_AFFINITY_ENDPOINTS,
    },
    local: EndpointMaps {
        frontend: &NODEPORT_KEY,
        endpoints: set::NODEPORT_ENDPOINTS_LOCAL,
        clients: set::NODEPORT_AFFINITY,
        numbers: set::NODEPORT_AFFINITY_SLOTS_LOCAL,
        sticky_endpoints: set::NODEPORT_AFFINITY_ENDPOINTS_LOCAL,
    },
};
