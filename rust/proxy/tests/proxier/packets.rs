//! Where packets go, row by row of `packets.txt`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use kpx_nftables::Family;
use kpx_nftables::trace::{Fate, Outcome, Packet, PacketFlow};
use kpx_proxy::Protocol;
use serde_json::{Value, json};

use crate::manifest::{self, endpoint, service, slice};
use crate::universe::NODE;

/// The port of all Services.
const PORT: u16 = 80;

/// The Services: what is special about each, and which endpoints it has.
fn scenarios() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let external_local = json!({"externalTrafficPolicy": "Local"});
    let internal_local = json!({"internalTrafficPolicy": "Local"});
    let ranges = |policy: &str, own: &[&str]| {
        let all = [&["198.51.100.0/25", "2001:db8:c::/64"], own].concat();
        json!({"loadBalancerSourceRanges": all, "externalTrafficPolicy": policy})
    };
    let sticky =
        |policy: &str| json!({"sessionAffinity": "ClientIP", "externalTrafficPolicy": policy});
    let everything = json!({"loadBalancerSourceRanges": ["192.0.2.0/31", "0.0.0.0/0", "::/0"]});
    vec![
        ("plain", json!({}), &["local", "remote"]),
        (
            "external-local",
            external_local.clone(),
            &["local", "remote"],
        ),
        ("external-remote", external_local.clone(), &["remote"]),
        (
            "internal-local",
            internal_local.clone(),
            &["local", "remote"],
        ),
        ("internal-remote", internal_local, &["remote"]),
        (
            "draining",
            external_local.clone(),
            &["terminating", "remote"],
        ),
        ("all-draining", json!({}), &["terminating"]),
        ("none", json!({}), &[]),
        ("none-local", external_local, &[]),
        ("unready", json!({}), &["unready"]),
        ("ranges", ranges("Cluster", &[]), &["local", "remote"]),
        ("ranges-local", ranges("Local", &[]), &["local", "remote"]),
        ("ranges-none", ranges("Cluster", &[]), &[]),
        (
            "ranges-node",
            ranges("Cluster", &["192.0.2.0/24", "2001:db8:a::/64"]),
            &["local", "remote"],
        ),
        ("ranges-all", everything, &["local", "remote"]),
        ("sticky", sticky("Cluster"), &["local", "remote"]),
        ("sticky-local", sticky("Local"), &["local", "remote"]),
    ]
}

fn address(family: Family, ipv4: [u8; 4], ipv6: &str, last: u16) -> IpAddr {
    match family {
        Family::Ipv4 => ipv4.into(),
        Family::Ipv6 => format!("{ipv6}::{last:x}").parse().unwrap(),
    }
}

/// The endpoints of a kind.
fn endpoints(family: Family, kind: &str) -> Vec<IpAddr> {
    let [first, second] = match kind {
        "local" => [1, 2],
        "remote" => [11, 12],
        "terminating" => [21, 22],
        "unready" => [31, 32],
        _ => panic!("no endpoints are `{kind}`"),
    };
    [first, second]
        .map(|last| address(family, [10, 244, 0, last], "fd00:244", last.into()))
        .to_vec()
}

/// Which address of the Service, by the Service's number.
fn destination(family: Family, name: &str, number: u8) -> SocketAddr {
    let node = address(family, [192, 0, 2, 1], "2001:db8:a", 1);
    let node_port = 30000 + u16::from(number);
    let vip = |third, port| {
        let last = u16::from(number) + 0x100 * u16::from(third);
        let address = address(family, [203, 0, third, number], "2001:db8:b", last);
        SocketAddr::new(address, port)
    };
    let cluster_ip = |last: u8| address(family, [10, 96, 0, last], "fd00:96", u16::from(last));
    match name {
        "cluster-ip" => SocketAddr::new(cluster_ip(number), PORT),
        "other-port" => SocketAddr::new(cluster_ip(number), PORT + 1),
        "unallocated" => SocketAddr::new(cluster_ip(250), PORT),
        "load-balancer" => vip(113, PORT),
        "other-lb-port" => vip(113, PORT + 1),
        "external-ip" => vip(114, PORT),
        "node-port" => SocketAddr::new(node, node_port),
        "second-address" => {
            SocketAddr::new(address(family, [192, 0, 2, 2], "2001:db8:a", 2), node_port)
        }
        "other-host" => {
            SocketAddr::new(address(family, [192, 0, 2, 9], "2001:db8:a", 9), node_port)
        }
        "loopback" => {
            let loopback = match family {
                Family::Ipv4 => IpAddr::from([127, 0, 0, 1]),
                Family::Ipv6 => std::net::Ipv6Addr::LOCALHOST.into(),
            };
            SocketAddr::new(loopback, node_port)
        }
        _ => panic!("there is no destination `{name}`"),
    }
}

fn source(family: Family, name: &str) -> IpAddr {
    match name {
        "pod" => address(family, [10, 244, 0, 99], "fd00:244", 99),
        "endpoint" => endpoints(family, "local")[0],
        "remote-pod" => address(family, [10, 244, 9, 9], "fd00:244", 0x909),
        "node" => address(family, [192, 0, 2, 1], "2001:db8:a", 1),
        "outside" => address(family, [198, 51, 100, 1], "2001:db8:c", 1),
        "stranger" => address(family, [198, 51, 100, 200], "2001:db8:d", 1),
        _ => panic!("there is no source `{name}`"),
    }
}

/// Everything of the API server.
pub(crate) fn world() -> Vec<Value> {
    let mut objects = vec![
        json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": NODE},
            "status": {"addresses": [
                {"type": "InternalIP", "address": "192.0.2.1"},
                {"type": "InternalIP", "address": "2001:db8:a::1"}]}}),
        json!({"kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1",
            "metadata": {"name": "kubernetes"},
            "spec": {"cidrs": ["10.96.0.0/24", "fd00:96::/112"]}}),
    ];
    for (number, (name, policies, kinds)) in (1..).zip(scenarios()) {
        let ports = json!(["TCP", "UDP", "SCTP"].map(|protocol| json!({
            "name": protocol.to_lowercase(), "protocol": protocol, "port": PORT,
            "nodePort": 30000 + u16::from(number)})));
        let addresses =
            |kind| Family::ALL.map(|family| destination(family, kind, number).ip().to_string());
        let mut spec = json!({
            "type": "LoadBalancer", "ports": ports, "clusterIPs": addresses("cluster-ip"),
            "externalIPs": addresses("external-ip"),
        });
        let fields = policies.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(fields);
        objects.push(service(name, &spec, &addresses("load-balancer")));
        for family in Family::ALL {
            let of_kind = |kind: &&str| {
                let node = if *kind == "remote" { "node-b" } else { NODE };
                let conditions = match *kind {
                    "terminating" => json!({"ready": false, "serving": true, "terminating": true}),
                    "unready" => json!({"ready": false, "serving": false}),
                    _ => json!({"ready": true}),
                };
                endpoints(family, kind).into_iter().map(move |address| {
                    let mut endpoint = endpoint(&address.to_string(), node);
                    endpoint["conditions"] = conditions.clone();
                    endpoint
                })
            };
            let endpoints: Vec<_> = kinds.iter().flat_map(of_kind).collect();
            objects.push(slice(name, family, &ports, &endpoints));
        }
    }
    objects
}

/// A line of the table.
struct Row<'a> {
    text: &'a str,
    number: u8,
    source: &'a str,
    destination: &'a str,
    expectation: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn parse(text: &'a str) -> Self {
        let words: Vec<_> = text.split_whitespace().collect();
        let [scenario, source, destination, expectation @ ..] = words.as_slice() else {
            panic!("`{text}` is no row");
        };
        let scenarios = scenarios();
        let position = scenarios.iter().position(|(name, ..)| name == scenario);
        let position = position.unwrap_or_else(|| panic!("there is no scenario `{scenario}`"));
        Self {
            text,
            number: u8::try_from(position).unwrap() + 1,
            source,
            destination,
            expectation: expectation.to_vec(),
        }
    }

    /// Compares with what becomes of the packet; says what is wrong.
    fn check(&self, flow: &PacketFlow<'_>, family: Family, protocol: Protocol) -> Option<String> {
        let source = source(family, self.source);
        let destination = destination(family, self.destination, self.number);
        let mut packet = Packet {
            protocol: protocol as u8,
            ..Packet::new(SocketAddr::new(source, 40000), destination)
        };
        packet = match self.source {
            "node" => packet,
            "pod" | "endpoint" => packet.arriving("cni0"),
            _ => packet.arriving("eth0"),
        };
        let found = tally(flow.outcomes(&packet).unwrap());
        let expected = self.expected(family, source, destination);
        let is_right = found.len() == expected.len()
            && found.iter().all(|(end, probability)| {
                expected
                    .get(end)
                    .is_some_and(|expected| (probability - expected).abs() < 1e-9)
            });
        let text = self.text;
        (!is_right).then(|| {
            format!(
                "{text} ({family:?}, {protocol}):\n  expected {expected:?}\n  found    {found:?}"
            )
        })
    }

    /// How it should end, and how likely.
    fn expected(
        &self,
        family: Family,
        source: IpAddr,
        destination: SocketAddr,
    ) -> BTreeMap<String, f64> {
        let (kind, masquerade) = match self.expectation.as_slice() {
            [kind] => (*kind, ""),
            [kind, masquerade @ ("masqueraded" | "hairpin")] => (*kind, *masquerade),
            _ => panic!("`{}` expects something unknown", self.text),
        };
        let reached = match kind {
            "dropped" | "rejected" => return BTreeMap::from([(kind.to_owned(), 1.0)]),
            "untouched" => return BTreeMap::from([(destination.to_string(), 1.0)]),
            "all" => [endpoints(family, "local"), endpoints(family, "remote")].concat(),
            kind => endpoints(family, kind),
        };
        let share = 1.0 / f64::from(u32::try_from(reached.len()).unwrap());
        let ends = reached.iter().map(|address| {
            let end = SocketAddr::new(*address, 8080);
            let is_masqueraded =
                masquerade == "masqueraded" || masquerade == "hairpin" && *address == source;
            if is_masqueraded {
                (format!("{end}, masqueraded"), share)
            } else {
                (end.to_string(), share)
            }
        });
        ends.collect()
    }
}

/// How likely each end is.
fn tally(outcomes: Vec<(Outcome, f64)>) -> BTreeMap<String, f64> {
    let mut ends = BTreeMap::new();
    for (outcome, probability) in outcomes {
        assert!(!(outcome.masqueraded && outcome.verdict != Fate::Accepted));
        *ends.entry(outcome.to_string()).or_default() += probability;
    }
    ends
}

fn config(group: &str) -> Value {
    let mut config = manifest::config();
    match group {
        "with a detector of pods" => {}
        "without a detector of pods" => config["cluster_cidrs"] = json!([]),
        "masquerading all" => config["masquerade_all"] = true.into(),
        "node ports on all addresses" => config["nodeport_addresses"] = json!([]),
        _ => panic!("there is no group `{group}`"),
    }
    config
}

#[test]
fn packets_go_where_the_table_says() {
    let table = include_str!("packets.txt").split("\n[").skip(1);
    let node_addresses = ["192.0.2.1", "192.0.2.2", "2001:db8:a::1", "2001:db8:a::2"];
    let node_addresses = node_addresses.map(|address| address.parse::<IpAddr>().unwrap());
    let mut wrong = Vec::new();
    let mut rows = 0;
    for group in table {
        let (name, lines) = group.split_once("]\n").unwrap();
        let mut proxier = manifest::proxier(&config(name));
        for object in world() {
            let report = proxier.feed(object.to_string().as_bytes()).unwrap();
            assert!(report.rejected.is_empty(), "{object}");
        }
        let plan = proxier.plan().unwrap();
        proxier.apply(&plan).unwrap();
        let ruleset = proxier.dataplane().read();
        let flow = PacketFlow::new(&ruleset, node_addresses);
        let lines = lines.lines();
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let row = Row::parse(line);
            rows += 1;
            for family in Family::ALL {
                for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
                    let fault = row.check(&flow, family, protocol);
                    wrong.extend(fault.map(|fault| format!("[{name}] {fault}")));
                }
            }
        }
    }
    assert!(rows > 100, "{rows} rows");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
