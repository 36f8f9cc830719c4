//! The packet-flow matrix, `tests/netns/matrix.txt`, walked through the rules in memory: what is
//! shown on a real kernel must also be what [`PacketFlow`] says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use kpx_nftables::fake::FakeRuleset;
use kpx_nftables::trace::{Fate, Outcome, Packet, PacketFlow};
use kpx_nftables::{Operation, Ruleset, TransactionError};
use kpx_proxy::{CommitFailure, Config, Dataplane, Proxier};
use serde_json::Value;
use thiserror::Error;

const MATRIX: &str = include_str!("../../../tests/netns/matrix.txt");
const OBJECTS: &str = include_str!("../../../tests/netns/matrix.json");

// What `tests/netns/cluster.py` builds around the node.
const NODE_NAME: &str = "node-a";
const POD_CIDRS: &str = r#""cluster_cidrs": ["10.244.0.0/16", "fd00:10:244::/48"]"#;
const BRIDGE: [&str; 2] = ["10.244.1.1", "fd00:10:244:1::1"];
const UPLINK: [&str; 2] = ["198.51.100.1", "2001:db8:3::1"];
const UNALLOCATED: [&str; 2] = ["10.96.200.200", "fd00:10:96::c8c8"];
const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

const SERVICE_PORT: u16 = 80;
const TARGET_PORT: u16 = 8080;
const CLIENT_PORT: u16 = 40_000;
/// TCP, UDP and SCTP.
const PROTOCOLS: [u8; 3] = [6, 17, 132];

/// What a line of the matrix says, for both families.
struct Row<'a> {
    line: &'a str,
    service: &'a str,
    source: &'a str,
    cells: Vec<(&'a str, &'a str)>,
}

/// Rows judged under the same options.
struct Group<'a> {
    name: &'a str,
    options: Vec<&'a str>,
    rows: Vec<Row<'a>>,
}

/// Where packets come from.
struct Source {
    addresses: [IpAddr; 2],
    interface: Option<&'static str>,
}

#[derive(Default)]
struct Matrix {
    sources: BTreeMap<&'static str, Source>,
    groups: Vec<Group<'static>>,
}

impl Matrix {
    fn read() -> Self {
        let mut matrix = Self::default();
        let mut destinations = Vec::new();
        for line in MATRIX.lines() {
            let text = line.split('#').next().unwrap_or_default();
            match *text.split_whitespace().collect::<Vec<_>>() {
                [] => {}
                ["source", name, ipv4, ipv6, interface] => {
                    let source = Source {
                        addresses: [ipv4, ipv6].map(address),
                        interface: (interface != "-").then_some(interface),
                    };
                    matrix.sources.insert(name, source);
                }
                ["group", name, ref options @ ..] => {
                    matrix.groups.push(Group {
                        name: name.trim_end_matches(':'),
                        options: options.to_vec(),
                        rows: Vec::new(),
                    });
                }
                ["to", ref names @ ..] => destinations = names.to_vec(),
                [service, source, ref cells @ ..] if cells.len() == destinations.len() => {
                    let cells = destinations.iter().copied().zip(cells.iter().copied());
                    matrix.groups.last_mut().unwrap().rows.push(Row {
                        line,
                        service,
                        source,
                        cells: cells.collect(),
                    });
                }
                _ => panic!("`{line}` is no line of the matrix"),
            }
        }
        matrix
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The objects, as far as the destinations and the endpoints are concerned.
struct Objects(Vec<Value>);

impl Objects {
    fn read() -> Self {
        let list: Value = serde_json::from_str(OBJECTS).unwrap();
        Self(list["items"].as_array().unwrap().clone())
    }

    /// The address and port of a destination of a Service.
    fn destination(&self, service: &str, name: &str, family: usize) -> SocketAddr {
        let of_kind = |object: &&Value| object["kind"] == "Service";
        let mut services = self.0.iter().filter(of_kind);
        let service = services
            .find(|object| object["metadata"]["name"] == service)
            .unwrap();
        let spec = &service["spec"];
        let ingress = &service["status"]["loadBalancer"]["ingress"][family]["ip"];
        let node = self.0.iter().find(|object| object["kind"] == "Node");
        let node = &node.unwrap()["status"]["addresses"][family]["address"];
        let node_port = spec["ports"][0]["nodePort"].as_u64().unwrap();
        let node_port = u16::try_from(node_port).unwrap();
        let (text, port) = match name {
            "cluster-ip" => (spec["clusterIPs"][family].as_str(), SERVICE_PORT),
            "external-ip" => (spec["externalIPs"][family].as_str(), SERVICE_PORT),
            "load-balancer" => (ingress.as_str(), SERVICE_PORT),
            "node-port" => (node.as_str(), node_port),
            "other-port" => (spec["clusterIPs"][family].as_str(), SERVICE_PORT + 1),
            "unallocated" => (Some(UNALLOCATED[family]), SERVICE_PORT),
            "other-node-port" => (Some(UPLINK[family]), node_port),
            "loopback-node-port" => (Some(LOOPBACK[family]), node_port),
            _ => panic!("there is no destination `{name}`"),
        };
        (address(text.unwrap()), port).into()
    }

    /// The endpoints of a Service, all or those on the node.
    fn endpoints(&self, service: &str, is_local: bool, family: usize) -> BTreeSet<SocketAddr> {
        let slices = self.0.iter().filter(|object| {
            object["metadata"]["labels"]["kubernetes.io/service-name"] == service
                && object["addressType"] == ["IPv4", "IPv6"][family]
        });
        slices
            .flat_map(|slice| slice["endpoints"].as_array().unwrap())
            .filter(|endpoint| !is_local || endpoint["nodeName"] == NODE_NAME)
            .map(|endpoint| {
                (
                    address(endpoint["addresses"][0].as_str().unwrap()),
                    TARGET_PORT,
                )
            })
            .map(SocketAddr::from)
            .collect()
    }
}

/// A kernel in memory.
#[derive(Default)]
struct Fake(FakeRuleset);

/// No transaction of the matrix may be refused, so none is ever reported.
#[derive(Debug, Error)]
enum Never {}

impl Dataplane for Fake {
    type ObserveError = Infallible;
    type CommitError = Never;

    fn observe(&mut self) -> Result<Ruleset, Infallible> {
        Ok(self.0.ruleset().clone())
    }

    fn generation(&mut self) -> Result<u32, Self::ObserveError> {
        self.observe().map(|ruleset| ruleset.generation)
    }

    fn commit(
        &mut self,
        operations: impl Iterator<Item = Result<Operation, TransactionError>>,
        _generation: Option<u32>,
    ) -> Result<u32, Never> {
        let transaction = operations.collect::<Result<_, _>>().unwrap();
        self.0.apply(&transaction).unwrap();
        Ok(self.0.ruleset().generation)
    }
}

impl CommitFailure for Never {
    fn position(&self) -> Option<(usize, Option<usize>)> {
        match *self {}
    }

    fn is_refusal(&self) -> bool {
        match *self {}
    }

    fn is_uncertain(&self) -> bool {
        match *self {}
    }

    fn is_busy(&self) -> bool {
        match *self {}
    }
}

/// The rules that all Services of the matrix get with these options.
fn ruleset(options: &[&str]) -> Ruleset {
    let fields = options.iter().map(|option| match *option {
        "cluster-cidr" => POD_CIDRS,
        "masquerade-all" => r#""masquerade_all": true"#,
        _ => panic!("there is no option `{option}`"),
    });
    let name = format!(r#""node_name": "{NODE_NAME}""#);
    let fields: Vec<&str> = fields.chain([name.as_str()]).collect();
    let config = Config::from_json(&format!("{{{}}}", fields.join(", "))).unwrap();

    let mut proxier = Proxier::new(config, Fake::default());
    proxier.feed(OBJECTS.as_bytes()).unwrap();
    let plan = proxier.plan().unwrap();
    assert_eq!(proxier.rejections(), []);
    proxier.apply(&plan).unwrap();
    proxier.dataplane().0.ruleset().clone()
}

/// What a cell says of the packets of one family.
enum Expected {
    Fate(Fate),
    /// Goes where it was sent, unchanged.
    Untouched,
    /// Each of these is reached, with the same probability.
    Spread(BTreeSet<SocketAddr>, bool),
    /// One of these is reached, again and again.
    Sticky(BTreeSet<SocketAddr>, bool),
}

impl Expected {
    fn read(cell: &str, service: &str, family: usize, objects: &Objects) -> Self {
        let cell = cell.split('|').cycle().nth(family).unwrap_or_default();
        let (reached, seen) = cell.split_once(':').unwrap_or((cell, ""));
        let endpoints = |is_local| objects.endpoints(service, is_local, family);
        let masqueraded = match seen {
            "node" => true,
            "kept" | "" => false,
            _ => panic!("no endpoint sees `{seen}`"),
        };
        match reached {
            "dropped" => Self::Fate(Fate::Dropped),
            "refused" => Self::Fate(Fate::Rejected),
            "untouched" => Self::Untouched,
            "all" => Self::Spread(endpoints(false), masqueraded),
            "local" => Self::Spread(endpoints(true), masqueraded),
            "one" => Self::Sticky(endpoints(false), masqueraded),
            "one-local" => Self::Sticky(endpoints(true), masqueraded),
            _ => panic!("nothing reaches `{reached}`"),
        }
    }

    fn holds(&self, flow: &mut PacketFlow<'_>, packet: &Packet) -> bool {
        let outcomes = flow.outcomes(packet).unwrap();
        let only = |holds: &dyn Fn(&Outcome) -> bool| {
            let mut outcomes = outcomes.iter();
            outcomes.all(|(outcome, _)| holds(outcome))
        };
        match self {
            Self::Fate(fate) => only(&|outcome| outcome.verdict == *fate),
            Self::Untouched => only(&|outcome| {
                outcome.verdict == Fate::Accepted
                    && outcome.destination == packet.destination
                    && !outcome.masqueraded
            }),
            Self::Spread(endpoints, masqueraded) => {
                let mut chances: BTreeMap<SocketAddr, f64> = BTreeMap::new();
                for (outcome, probability) in &outcomes {
                    *chances.entry(outcome.destination).or_default() += probability;
                }
                let total: f64 = chances.values().sum();
                let share = total / f64::from(u32::try_from(chances.len()).unwrap());
                only(&|outcome| reaches(outcome, endpoints, *masqueraded))
                    && chances.keys().eq(endpoints)
                    && chances.values().all(|chance| (chance - share).abs() < 1e-9)
            }
            Self::Sticky(endpoints, masqueraded) => {
                let mut draw = 0;
                let mut sent = || {
                    flow.send(packet, &mut |modulus| {
                        draw += 1;
                        draw % modulus
                    })
                };
                let reached: Vec<Outcome> = (0..8).map(|_| sent().unwrap()).collect();
                let (first, later) = reached.split_first().unwrap();
                reaches(first, endpoints, *masqueraded)
                    && later
                        .iter()
                        .all(|again| again.destination == first.destination)
            }
        }
    }
}

fn reaches(outcome: &Outcome, endpoints: &BTreeSet<SocketAddr>, masqueraded: bool) -> bool {
    outcome.verdict == Fate::Accepted
        && endpoints.contains(&outcome.destination)
        && outcome.masqueraded == masqueraded
}

/// The cells of a group that do not hold, each with what happens instead.
fn disagreements(matrix: &Matrix, group: &Group<'_>, objects: &Objects) -> Vec<String> {
    let ruleset = ruleset(&group.options);
    let own = [BRIDGE, UPLINK].concat().into_iter().map(address);
    let own: Vec<IpAddr> = own.chain(matrix.sources["node"].addresses).collect();
    let mut disagreements = Vec::new();
    for row in &group.rows {
        let source = &matrix.sources[row.source];
        for (destination, cell) in row.cells.iter().filter(|(_, cell)| *cell != "-") {
            for (family, protocol) in [0, 1]
                .into_iter()
                .flat_map(|family| PROTOCOLS.map(|protocol| (family, protocol)))
            {
                let target = objects.destination(row.service, destination, family);
                let from = if target.ip().is_loopback() {
                    target.ip()
                } else {
                    source.addresses[family]
                };
                let packet = Packet {
                    protocol,
                    input_interface: source.interface.map(Into::into),
                    ..Packet::new((from, CLIENT_PORT).into(), target)
                };
                let mut flow = PacketFlow::new(&ruleset, own.iter().copied());
                let expected = Expected::read(cell, row.service, family, objects);
                if !expected.holds(&mut flow, &packet) {
                    let outcomes = flow.outcomes(&packet).unwrap();
                    let outcomes: Vec<String> = outcomes
                        .iter()
                        .map(|(outcome, _)| outcome.to_string())
                        .collect();
                    disagreements.push(format!(
                        "{}\n  {destination} {target}, protocol {protocol}: {}",
                        row.line,
                        outcomes.join("; ")
                    ));
                }
            }
        }
    }
    disagreements
}

#[test]
fn packets_in_memory_go_as_they_go_in_the_kernel() {
    let (matrix, objects) = (Matrix::read(), Objects::read());
    for group in &matrix.groups {
        assert!(!group.rows.is_empty());
        let disagreements = disagreements(&matrix, group, &objects);
        let report = disagreements.join("\n");
        assert!(
            disagreements.is_empty(),
            "under `{}`:\n{report}",
            group.name
        );
    }
}
