//! What kube-proxy left in nftables: its own tables, and its chains among those of iptables; and
//! what it left in IPVS.
//!
//! Removed are the chains that kube-proxy's modes `iptables` and `ipvs` make (`pkg/proxy/iptables`
//! and `pkg/proxy/ipvs`, `CleanupLeftovers`) and the rules of built-in chains that lead to them. What
//! kubelet makes stays, and so does a chain that somebody else's rules lead to.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use kpx_ipvs::{Command, Service, ServiceKey};
use kpx_netlink::Transport;
use kpx_nftables::rule::Jumps;
use kpx_nftables::{
    Chain, Client, Family, Name, Object, ObserveError, Table, Transaction, TransactionError, Verb,
};

/// The table of kube-proxy's mode `nftables`, in either family.
const TABLE: &str = "kube-proxy";

/// The tables of iptables.
const IPTABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];

/// The chains that iptables itself has.
const BUILT_IN: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

const CHAINS: [&str; 13] = [
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-FORWARD",
    "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER",
    "KUBE-LOAD-BALANCER",
    "KUBE-MARK-MASQ",
    "KUBE-NODE-PORT",
    "KUBE-NODEPORTS",
    "KUBE-POSTROUTING",
    "KUBE-PROXY-CANARY",
    "KUBE-PROXY-FIREWALL",
    "KUBE-SERVICES",
    "KUBE-SOURCE-RANGES-FIREWALL",
];

/// How names of chains start that are for one Service or endpoint each.
const PREFIXES: [&str; 6] = [
    "KUBE-SVC-",
    "KUBE-SVL-",
    "KUBE-SEP-",
    "KUBE-EXT-",
    "KUBE-FW-",
    "KUBE-XLB-",
];

/// What kube-proxy left in nftables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Its own tables.
    pub tables: Vec<Table>,
    /// Its chains in the tables of iptables.
    pub chains: BTreeSet<(Table, Name)>,
    /// The rules of built-in chains that lead to these.
    pub rules: Vec<Jumps>,
    /// Chains of kube-proxy that stay because rules of somebody else lead to them.
    pub kept: BTreeSet<(Table, Name)>,
}

impl Leftovers {
    /// Looks at both families.
    pub fn observe<T: Transport>(client: &mut Client<T>) -> Result<Self, ObserveError> {
        let tables = client.tables()?;
        let mut chains = BTreeSet::new();
        let mut jumps = Vec::new();
        for family in Family::ALL {
            chains.extend(client.chains(family)?);
            jumps.extend(client.jumps(family)?);
        }
        Ok(Self::among(tables, &chains, &jumps))
    }

    /// Picks what is kube-proxy's.
    fn among(tables: Vec<Table>, chains: &BTreeSet<(Table, Name)>, jumps: &[Jumps]) -> Self {
        let tables = tables.into_iter().filter(|table| table.name == TABLE);
        let mut going: BTreeSet<_> = chains.iter().filter(|one| is_of_kube_proxy(one)).collect();
        let mut kept = BTreeSet::new();
        // What a chain that stays leads to stays too.
        loop {
            let others = jumps.iter().filter(|rule| {
                !is_built_in(&rule.chain)
                    && !going.contains(&(rule.table.clone(), rule.chain.clone()))
            });
            let needed: BTreeSet<_> = others.flat_map(Jumps::targets).collect();
            let stays: Vec<_> = going
                .iter()
                .filter(|one| needed.contains(**one))
                .copied()
                .collect();
            if stays.is_empty() {
                break;
            }
            for one in stays {
                going.remove(one);
                kept.insert(one.clone());
            }
        }
        let leads_there = |rule: &&Jumps| {
            is_built_in(&rule.chain) && rule.targets().any(|target| going.contains(&target))
        };
        Self {
            tables: tables.collect(),
            rules: jumps.iter().filter(leads_there).cloned().collect(),
            chains: going.into_iter().cloned().collect(),
            kept,
        }
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.chains.is_empty()
    }

    /// What is removed and what stays, a line each.
    pub fn describe(&self) -> Vec<String> {
        let tables = self.tables.iter().map(|table| {
            let family = table.family.keyword();
            format!("deleted table `{family} {}`", table.name)
        });
        let mut chains: BTreeMap<&Table, usize> = BTreeMap::new();
        for (table, _) in &self.chains {
            *chains.entry(table).or_default() += 1;
        }
        let chains = chains.into_iter().map(|(table, count)| {
            let (family, name) = (table.family.keyword(), &table.name);
            format!("deleted {count} chains of kube-proxy from iptables' table `{family} {name}`")
        });
        let kept = self.kept.iter().map(|(table, chain)| {
            let (family, name) = (table.family.keyword(), &table.name);
            format!("kept chain `{chain}` of `{family} {name}`: rules of others lead to it")
        });
        tables.chain(chains).chain(kept).collect()
    }

    /// Two transactions, one behind the other: before Linux 6.2 a chain stays in use until the
    /// transaction that dropped the last rule that leads to it is over.
    pub fn transactions(&self) -> Result<[Transaction; 2], TransactionError> {
        let (mut first, mut second) = (Transaction::new(), Transaction::new());
        for table in &self.tables {
            first.push(Verb::Delete, Object::Table(table.clone()))?;
        }
        for rule in &self.rules {
            first.push(Verb::Delete, Object::Jumps(rule.clone()))?;
        }
        for (verb, transaction) in [(Verb::Flush, &mut first), (Verb::Delete, &mut second)] {
            for (table, name) in &self.chains {
                let chain = Chain {
                    table: table.clone(),
                    name: name.clone(),
                    base: None,
                };
                transaction.push(verb, Object::Chain(chain))?;
            }
        }
        Ok([first, second])
    }
}

/// The commands that make kube-proxy's virtual servers ours: those that are wanted then stay, with
/// their connections, and the next plan deletes the others. `excluded` are the networks in which
/// virtual servers are not kube-proxy's (`excludeCIDRs` of its configuration); it makes none for
/// marked packets.
pub fn claims<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    excluded: &[IpNet],
) -> Vec<Command> {
    let is_left = |service: &&Service| match service.key {
        ServiceKey::Address { address, .. } => {
            !service.owned && !excluded.iter().any(|network| network.contains(&address))
        }
        ServiceKey::Mark { .. } => false,
    };
    let claim = |service: &Service| {
        Command::ChangeService(Service {
            owned: true,
            ..service.clone()
        })
    };
    services.into_iter().filter(is_left).map(claim).collect()
}

fn is_of_kube_proxy((table, chain): &(Table, Name)) -> bool {
    IPTABLES.contains(&table.name.as_str())
        && (CHAINS.contains(&chain.as_str())
            || PREFIXES.iter().any(|prefix| chain.starts_with(prefix)))
}

fn is_built_in(chain: &str) -> bool {
    BUILT_IN.contains(&chain)
}

#[cfg(test)]
mod tests {
    use kpx_ipvs::{Protocol, Scheduler};

    use super::*;

    fn nat() -> Table {
        Table {
            family: Family::Ipv4,
            name: "nat".into(),
        }
    }

    fn jump(chain: &str, target: &str) -> Jumps {
        Jumps {
            table: nat(),
            chain: chain.into(),
            handle: 7,
            chains: vec![target.into()],
        }
    }

    fn chains(names: &[&str]) -> BTreeSet<(Table, Name)> {
        names
            .iter()
            .map(|name| (nat(), Name::from(*name)))
            .collect()
    }

    #[test]
    fn what_others_lead_to_stays_with_all_it_leads_to() {
        let all = chains(&[
            "PREROUTING",
            "KUBE-SERVICES",
            "KUBE-SVC-A",
            "KUBE-MARK-MASQ",
            "KUBE-FW-B",
            "CNI-HOSTPORT",
        ]);
        let jumps = [
            jump("PREROUTING", "KUBE-SERVICES"),
            jump("PREROUTING", "CNI-HOSTPORT"),
            jump("KUBE-SERVICES", "KUBE-SVC-A"),
            jump("KUBE-SVC-A", "KUBE-MARK-MASQ"),
            jump("CNI-HOSTPORT", "KUBE-FW-B"),
            jump("KUBE-FW-B", "KUBE-MARK-MASQ"),
        ];
        let found = Leftovers::among(Vec::new(), &all, &jumps);
        assert_eq!(found.chains, chains(&["KUBE-SERVICES", "KUBE-SVC-A"]));
        assert_eq!(found.kept, chains(&["KUBE-FW-B", "KUBE-MARK-MASQ"]));
        assert_eq!(found.rules, [jump("PREROUTING", "KUBE-SERVICES")]);
    }

    #[test]
    fn virtual_servers_of_others_are_not_claimed() {
        let at = |address: [u8; 4]| ServiceKey::Address {
            protocol: Protocol::Tcp,
            address: address.into(),
            port: 80,
        };
        let marked = ServiceKey::Mark {
            family: kpx_ipvs::Family::Ipv4,
            mark: 7,
        };
        let scheduler = Scheduler::WeightedRoundRobin;
        let keys = [at([10, 96, 0, 1]), at([192, 0, 2, 1]), marked];
        let mut found = keys.map(|key| Service {
            owned: false,
            ..Service::new(key, scheduler.clone())
        });
        let claimed = Service::new(keys[0], scheduler.clone());
        let excluded = ["192.0.2.0/24".parse().unwrap()];
        let expected = [Command::ChangeService(claimed)];
        assert_eq!(claims(&found, &excluded), expected);
        found[0].owned = true;
        assert_eq!(claims(&found, &excluded), []);
    }

    #[test]
    fn chains_of_kubelet_and_of_other_tables_stay() {
        let all = chains(&["KUBE-FIREWALL", "KUBE-MARK-DROP", "KUBE-KUBELET-CANARY"]);
        let other = Table {
            family: Family::Ipv4,
            name: "mine".into(),
        };
        let all = all.into_iter().chain([(other, "KUBE-SERVICES".into())]);
        let found = Leftovers::among(Vec::new(), &all.collect(), &[]);
        assert!(found.is_empty(), "{found:?}");
    }
}
