//! The chains and sets every node has, whatever Services there are.

use std::collections::BTreeMap;

use ipnet::IpNet;
use kpx_nftables::expression::{CompareOperator, FibAddress};
use kpx_nftables::{BaseChain, Chain, ChainContents, ChainKind, Family, Hook, Name, Table};

use super::rule::{Field, NODEPORT_KEY, RuleBuilder, SERVICE_KEY};
use super::sets::table;
use crate::config::{LocalDetector, NodePortAddresses};
use crate::frontend::family_of;
use crate::names::{base, chain, set};

/// `NF_IP_PRI_NAT_DST` (`uapi/linux/netfilter_ipv4.h`), `nft`'s `dstnat`.
const DSTNAT: i32 = -100;
/// `NF_IP_PRI_NAT_SRC`, `nft`'s `srcnat`.
const SRCNAT: i32 = 100;
/// `NF_IP_PRI_FILTER`, `nft`'s `filter`.
const FILTER: i32 = 0;

/// Behind IPVS, which takes what is for a virtual server just before `srcnat`
/// (`net/netfilter/ipvs/ip_vs_core.c`: `NF_IP_PRI_NAT_SRC` - 2 and - 1).
const POST_IPVS: i32 = SRCNAT + 10;

/// A base chain and the chains it calls, each for new connections only or for every packet.
struct Base {
    name: &'static str,
    kind: ChainKind,
    hook: Hook,
    priority: i32,
    calls: &'static [&'static str],
}

/// Where kpx attaches to the kernel's packet path. Chains of type `nat` see only the first packet
/// of a connection; chains of type `filter` see all, and call on for new connections only.
const BASES: [Base; 9] = [
    Base {
        name: base::FILTER_PREROUTING_PRE_DNAT,
        kind: ChainKind::Filter,
        hook: Hook::Prerouting,
        priority: DSTNAT - 10,
        calls: &[chain::FIREWALL_CHECK],
    },
    Base {
        name: base::FILTER_OUTPUT_PRE_DNAT,
        kind: ChainKind::Filter,
        hook: Hook::Output,
        priority: DSTNAT - 10,
        calls: &[chain::FIREWALL_CHECK],
    },
    Base {
        name: base::NAT_PREROUTING,
        kind: ChainKind::Nat,
        hook: Hook::Prerouting,
        priority: DSTNAT,
        calls: &[chain::SERVICES],
    },
    Base {
        name: base::NAT_OUTPUT,
        kind: ChainKind::Nat,
        hook: Hook::Output,
        priority: DSTNAT,
        calls: &[chain::SERVICES],
    },
    Base {
        name: base::NAT_POSTROUTING,
        kind: ChainKind::Nat,
        hook: Hook::Postrouting,
        priority: SRCNAT,
        calls: &[chain::MASQUERADING],
    },
    Base {
        name: base::FILTER_INPUT,
        kind: ChainKind::Filter,
        hook: Hook::Input,
        priority: FILTER,
        calls: &[
            chain::NODEPORT_ENDPOINTS_CHECK,
            chain::SERVICE_ENDPOINTS_CHECK,
        ],
    },
    Base {
        name: base::FILTER_INPUT_POST_IPVS,
        kind: ChainKind::Filter,
        hook: Hook::Input,
        priority: POST_IPVS,
        calls: &[chain::VIRTUAL_IPS_CHECK],
    },
    Base {
        name: base::FILTER_FORWARD,
        kind: ChainKind::Filter,
        hook: Hook::Forward,
        priority: FILTER,
        calls: &[chain::SERVICE_ENDPOINTS_CHECK, chain::CLUSTER_IPS_CHECK],
    },
    Base {
        name: base::FILTER_OUTPUT,
        kind: ChainKind::Filter,
        hook: Hook::Output,
        priority: FILTER,
        calls: &[chain::SERVICE_ENDPOINTS_CHECK, chain::CLUSTER_IPS_CHECK],
    },
];

/// What decides the fixed chains of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skeleton {
    /// The family.
    pub family: Family,
    /// The mark that asks for masquerading.
    pub mark: u32,
    /// Whether every connection to a cluster IP is masqueraded.
    pub masquerade_all: bool,
    /// How packets from pods of this node are recognised.
    pub detector: LocalDetector,
    /// On which of the node's addresses node ports answer.
    pub nodeport_addresses: NodePortAddresses,
    /// Whether IPVS chooses the endpoints, so that the node has the Services' addresses itself.
    pub has_virtual_servers: bool,
    /// The ranges Services get their cluster IPs from, of both families.
    pub service_cidrs: Vec<IpNet>,
}

impl Skeleton {
    /// The table.
    pub fn table(&self) -> Table {
        table(self.family)
    }

    /// The chains with their rules, by name.
    pub fn chains(&self) -> BTreeMap<Name, ChainContents> {
        let regular = [
            (chain::FIREWALL_CHECK, self.firewall_check()),
            (chain::SERVICES, self.services()),
            (
                chain::SERVICE_ENDPOINTS_CHECK,
                self.service_endpoints_check(),
            ),
            (
                chain::NODEPORT_ENDPOINTS_CHECK,
                self.nodeport_endpoints_check(),
            ),
            (chain::CLUSTER_IPS_CHECK, self.cluster_ips_check()),
            (chain::VIRTUAL_IPS_CHECK, self.virtual_ips_check()),
            (chain::MASQUERADING, self.masquerading()),
            (chain::REJECT, vec![self.rule().reject()]),
        ];
        let regular = regular
            .into_iter()
            .filter(|(name, _)| *name != chain::VIRTUAL_IPS_CHECK || self.has_virtual_servers)
            .map(|(name, rules)| (name, None, rules));
        let bases = BASES
            .iter()
            .filter(|base| base.name != base::FILTER_INPUT_POST_IPVS || self.has_virtual_servers);
        let bases = bases.map(|base| {
            let Base {
                name,
                kind,
                hook,
                priority,
                calls,
            } = *base;
            let call = |chain: &&'static str| match kind {
                ChainKind::Filter => self.rule().new_connection().jump(chain),
                ChainKind::Nat => self.rule().jump(chain),
            };
            let mut rules: Vec<RuleBuilder> = calls.iter().map(call).collect();
            if name == base::FILTER_OUTPUT && self.has_virtual_servers {
                rules.push(self.no_redirects());
            }
            (
                name,
                Some(BaseChain {
                    kind,
                    hook,
                    priority,
                }),
                rules,
            )
        });
        regular
            .chain(bases)
            .map(|(name, base, rules)| self.contents(name, base, rules))
            .collect()
    }

    fn contents(
        &self,
        name: &'static str,
        base: Option<BaseChain>,
        rules: Vec<RuleBuilder>,
    ) -> (Name, ChainContents) {
        let (table, name) = (self.table(), Name::new_static(name));
        let rules = rules
            .into_iter()
            .map(|rule| rule.build(&table, &name))
            .collect();
        (
            name.clone(),
            ChainContents {
                chain: Chain { table, name, base },
                rules,
            },
        )
    }

    fn rule(&self) -> RuleBuilder {
        RuleBuilder::new(self.family)
    }

    fn firewall_check(&self) -> Vec<RuleBuilder> {
        let [address, protocol, port] = SERVICE_KEY;
        let with_source = [address, protocol, port, Field::SourceAddress];
        vec![
            self.rule()
                .member_of(&SERVICE_KEY, set::FIREWALL_IPS)
                .not_member_of(&with_source, set::SOURCE_RANGES)
                .drop(),
        ]
    }

    fn services(&self) -> Vec<RuleBuilder> {
        let to_cluster_ip = self
            .rule()
            .member_of(&[Field::DestinationAddress], set::CLUSTER_IPS);
        let not_from_pod = if self.masquerade_all {
            Some(to_cluster_ip)
        } else {
            to_cluster_ip.sent_by_pod(&self.detector, false)
        };
        let mark = not_from_pod.map(|rule| rule.set_mark(self.mark));
        // To an address that the node has itself, it sends from that same address.
        let from_virtual_ip = self.has_virtual_servers.then(|| {
            self.rule()
                .member_of(&[Field::SourceAddress], set::VIRTUAL_IPS)
                .set_mark(self.mark)
        });
        let mark = mark.into_iter().chain(from_virtual_ip);
        let service = self.rule().verdict_from(&SERVICE_KEY, set::SERVICE_IPS);
        let node_port = self
            .to_node()
            .into_iter()
            .map(|rule| rule.verdict_from(&NODEPORT_KEY, set::SERVICE_NODEPORTS));
        mark.chain([service]).chain(node_port).collect()
    }

    fn service_endpoints_check(&self) -> Vec<RuleBuilder> {
        vec![
            self.rule()
                .verdict_from(&SERVICE_KEY, set::NO_ENDPOINT_SERVICES),
        ]
    }

    fn nodeport_endpoints_check(&self) -> Vec<RuleBuilder> {
        self.to_node()
            .into_iter()
            .map(|rule| rule.verdict_from(&NODEPORT_KEY, set::NO_ENDPOINT_NODEPORTS))
            .collect()
    }

    /// Starts of rules that match packets to an address on which node ports answer: one of them
    /// matches.
    fn to_node(&self) -> Vec<RuleBuilder> {
        let local = || {
            let rule = self.rule();
            let rule = if self.has_virtual_servers {
                rule.not_member_of(&[Field::DestinationAddress], set::VIRTUAL_IPS)
            } else {
                rule
            };
            rule.of_this_host(FibAddress::Destination)
        };
        match &self.nodeport_addresses {
            NodePortAddresses::All => vec![self.not_loopback(local())],
            NodePortAddresses::These(_) => {
                vec![
                    self.rule()
                        .member_of(&[Field::DestinationAddress], set::NODEPORT_IPS),
                ]
            }
            NodePortAddresses::Within(ranges) => ranges
                .iter()
                .map(|range| {
                    self.not_loopback(local().destination_within(*range, CompareOperator::Equal))
                })
                .collect(),
        }
    }

    /// Leaves loopback out: the kernel would drop the translated packet as a martian, and a node
    /// port must not open what listens on loopback only.
    fn not_loopback(&self, rule: RuleBuilder) -> RuleBuilder {
        let loopback = match self.family {
            Family::Ipv4 => IpNet::new_assert([127, 0, 0, 0].into(), 8),
            Family::Ipv6 => IpNet::new_assert(std::net::Ipv6Addr::LOCALHOST.into(), 128),
        };
        rule.destination_within(loopback, CompareOperator::NotEqual)
    }

    fn cluster_ips_check(&self) -> Vec<RuleBuilder> {
        let bad_port = self
            .rule()
            .member_of(&[Field::DestinationAddress], set::CLUSTER_IPS)
            .reject()
            .comment("a port that the cluster IP does not have");
        let unallocated = self
            .service_cidrs
            .iter()
            .filter(|range| family_of(range.addr()) == self.family)
            .map(|range| {
                self.rule()
                    .destination_within(*range, CompareOperator::Equal)
                    .drop()
                    .comment("a service address that nobody has")
            });
        [bad_port].into_iter().chain(unallocated).collect()
    }

    /// What the node listens on is not to be reached by addresses that it has for virtual servers
    /// alone.
    fn virtual_ips_check(&self) -> Vec<RuleBuilder> {
        vec![
            self.rule()
                .member_of(&[Field::DestinationAddress], set::VIRTUAL_IPS)
                .reject()
                .comment("a port that no virtual server has"),
        ]
    }

    /// The node must not tell an endpoint that there is a shorter way to a client on the same link:
    /// answers would pass by IPVS. What the kernel translates itself it does not redirect
    /// (`nf_nat_icmpv6_reply_translation`), but what IPVS translates it does.
    fn no_redirects(&self) -> RuleBuilder {
        self.rule()
            .redirect()
            .drop()
            .comment("answers have to come back to IPVS")
    }

    fn masquerading(&self) -> Vec<RuleBuilder> {
        let hairpin = [
            Field::SourceAddress,
            Field::DestinationAddress,
            Field::Protocol,
            Field::DestinationPort,
        ];
        vec![
            // The bit is cleared, so that no later chain or encapsulation acts on it again.
            self.rule()
                .marked(self.mark)
                .flip_mark(self.mark)
                .masquerade(),
            self.rule()
                .member_of(&hairpin, set::HAIRPIN_CONNECTIONS)
                .masquerade(),
        ]
    }
}
