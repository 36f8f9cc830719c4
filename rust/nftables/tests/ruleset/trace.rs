//! Where packets go through a small ruleset of kpx's layout, and that the kernel runs the same
//! rules in the same order.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use kpx_nftables::expression::{FibAddress, LookupResult};
use kpx_nftables::fake::FakeRuleset;
use kpx_nftables::trace::{ConnectionState, Outcome, Packet, PacketFlow, TraceError};
use kpx_nftables::{
    Bytes, Chain, ChainKind, Data, Element, Expression, Family, Hook, Object, Rule, Ruleset, Set,
    SetKind, Verb, Verdict,
};

use crate::catalogue::*;
use crate::oracle;

const V4: Family = Family::Ipv4;
const NODE: [u8; 4] = [192, 0, 2, 1];

/// A base chain and the chain it calls, for packets that start a connection.
fn hooked(name: &str, kind: ChainKind, hook: Hook, priority: i32, called: &str) -> (Chain, Rule) {
    let call = match kind {
        ChainKind::Filter => rule(V4, name, [is_new(), jump(called)]),
        ChainKind::Nat => rule(V4, name, [jump(called)]),
    };
    (base_chain(V4, name, kind, hook, priority), call)
}

fn hooks() -> [(Chain, Rule); 8] {
    use ChainKind::{Filter, Nat};
    use Hook::{Forward, Input, Output, Postrouting, Prerouting};
    [
        hooked(
            "filter-prerouting-pre-dnat",
            Filter,
            Prerouting,
            -110,
            "firewall-check",
        ),
        hooked(
            "filter-output-pre-dnat",
            Filter,
            Output,
            -110,
            "firewall-check",
        ),
        hooked("nat-prerouting", Nat, Prerouting, -100, "services"),
        hooked("nat-output", Nat, Output, -100, "services"),
        hooked("filter-input", Filter, Input, 0, "endpoints-check"),
        hooked("filter-forward", Filter, Forward, 0, "endpoints-check"),
        hooked("filter-output", Filter, Output, 0, "endpoints-check"),
        hooked("nat-postrouting", Nat, Postrouting, 100, "masquerading"),
    ]
}

fn rules() -> Vec<Rule> {
    let not_pod = vec![source_prefix(V4, 2), not_equal(&[10, 244])];
    let is_in = |set| {
        vec![
            destination_address(V4, 0),
            lookup(set, LookupResult::Member),
        ]
    };
    let decide = |set| vec![lookup(set, LookupResult::Verdict)];
    let learned = [client_and_service(V4), destination_nat(V4, "affinity")];
    let learn = [
        client_and_service(V4),
        endpoint_constants(),
        vec![learn_affinity(4, None)],
    ];
    vec![
        rule(
            V4,
            "firewall-check",
            [
                service(V4, 0),
                vec![lookup("firewall-ips", LookupResult::Member)],
                service(V4, 0),
                vec![
                    source_address(V4, 3),
                    lookup("source-ranges", LookupResult::NotMember),
                ],
                verdict(Verdict::Drop),
            ],
        ),
        rule(V4, "services", [is_in("cluster-ips"), not_pod, set_mark()]),
        rule(V4, "services", [service(V4, 0), decide("service-ips")]),
        rule(
            V4,
            "services",
            [
                is_local(FibAddress::Destination),
                vec![destination_prefix(V4, 1), not_equal(&[127])],
                protocol_and_port(0),
                decide("service-nodeports"),
            ],
        ),
        rule(V4, "external-2", [set_mark(), goto("lb-2")]),
        rule(V4, "lb-2", [balance(V4, 2)]),
        rule(
            V4,
            "nodeport-2",
            [
                protocol_and_port(0),
                vec![random(2, 2)],
                destination_nat(V4, "nodeport-endpoints"),
            ],
        ),
        rule(V4, "sticky-2", learned),
        rule(V4, "sticky-2", learn),
        rule(V4, "sticky-2", [balance(V4, 2)]),
        rule(
            V4,
            "endpoints-check",
            [service(V4, 0), decide("no-endpoints")],
        ),
        rule(V4, "endpoints-check", [is_in("cluster-ips"), reject(V4)]),
        rule(V4, "reject-chain", [reject(V4)]),
        rule(
            V4,
            "masquerading",
            [is_marked(), clear_mark(), masquerade()],
        ),
        rule(
            V4,
            "masquerading",
            [
                client_and_service(V4),
                vec![lookup("hairpin-connections", LookupResult::Member)],
                masquerade(),
            ],
        ),
    ]
}

/// 10.244.0.6, port 8080, where [`learn_affinity`] takes them from.
fn endpoint_constants() -> Vec<Expression> {
    vec![
        constant(4, &[10, 244, 0, 6]),
        constant(5, &8080_u16.to_be_bytes()),
    ]
}

/// A concatenation of addresses, protocols, ports and slots, each padded to a register.
fn key(fields: &[&[u8]]) -> Bytes {
    let padded = fields.iter().map(|field| {
        let mut field = field.to_vec();
        field.resize(field.len().next_multiple_of(4), 0);
        field
    });
    padded.collect::<Vec<_>>().concat().into()
}

fn port(port: u16) -> [u8; 2] {
    port.to_be_bytes()
}

fn to(chain: &str) -> Data {
    Data::Verdict(Verdict::Goto(chain.into()))
}

/// What each set of the ruleset holds.
fn contents() -> Vec<(&'static str, Vec<Element>)> {
    let service_key = |address: [u8; 4]| key(&[&address, &[6], &port(80)]);
    let services = [
        ([10, 96, 0, 10], to("lb-2")),
        ([10, 96, 0, 11], to("sticky-2")),
        ([203, 0, 113, 10], to("external-2")),
    ];
    let balanced = services.iter().map(|(address, _)| *address);
    let endpoint = |last| Data::Value(key(&[&[10, 244, 0, last], &port(8080)]));
    let slots = |prefix: Bytes| {
        [0_u32, 1].map(|slot| {
            let key = [prefix.as_slice(), &slot.to_ne_bytes()].concat();
            Element::new(key.into(), endpoint(5 + u8::try_from(slot).unwrap()))
        })
    };
    let member = |address: [u8; 4]| Element::new(key(&[&address]), Data::None);
    let hairpin = |last| {
        let address = [10, 244, 0, last];
        Element::new(key(&[&address, &address, &[6], &port(8080)]), Data::None)
    };
    let allowed = Element {
        key_end: Some(key(&[
            &[203, 0, 113, 10],
            &[6],
            &port(80),
            &[10, 255, 255, 255],
        ])),
        ..Element::new(
            key(&[&[203, 0, 113, 10], &[6], &port(80), &[10, 0, 0, 0]]),
            Data::None,
        )
    };
    vec![
        (
            "cluster-ips",
            [10, 11, 12, 13]
                .map(|last| member([10, 96, 0, last]))
                .to_vec(),
        ),
        (
            "service-ips",
            services
                .iter()
                .map(|(ip, to)| Element::new(service_key(*ip), to.clone()))
                .collect(),
        ),
        (
            "service-nodeports",
            vec![Element::new(key(&[&[6], &port(30080)]), to("nodeport-2"))],
        ),
        (
            "endpoints",
            balanced.flat_map(|ip| slots(service_key(ip))).collect(),
        ),
        (
            "nodeport-endpoints",
            slots(key(&[&[6], &port(30080)])).to_vec(),
        ),
        (
            "firewall-ips",
            vec![Element::new(service_key([203, 0, 113, 10]), Data::None)],
        ),
        ("source-ranges", vec![allowed]),
        ("hairpin-connections", vec![hairpin(5), hairpin(6)]),
        (
            "no-endpoints",
            vec![
                Element::new(service_key([10, 96, 0, 12]), to("reject-chain")),
                Element::new(service_key([10, 96, 0, 13]), Data::Verdict(Verdict::Drop)),
            ],
        ),
    ]
}

/// Three services, one of them sticky and one from outside, a node port, and services without
/// endpoints.
fn layout() -> Vec<(Verb, Object)> {
    let mut sets: Vec<Set> = sets(V4);
    let service_ips = sets[0].clone();
    sets.push(Set {
        name: "no-endpoints".into(),
        kind: SetKind::VerdictMap,
        ..service_ips
    });
    let chains = [
        "endpoints-check",
        "external-2",
        "firewall-check",
        "lb-2",
        "masquerading",
        "nodeport-2",
        "reject-chain",
        "services",
        "sticky-2",
    ];
    let chains = chains.map(|name| chain(V4, name));
    let (base_chains, calls): (Vec<_>, Vec<_>) = hooks().into_iter().unzip();
    let elements = contents().into_iter().map(|(name, list)| {
        let set = sets
            .iter()
            .find(|set| set.name == name)
            .expect("the set is known");
        elements(set, list)
    });
    let elements: Vec<_> = elements.collect();
    let rules = calls.into_iter().chain(rules()).map(Object::Rule);
    std::iter::once(Object::Table(table(V4)))
        .chain(chains.into_iter().chain(base_chains).map(Object::Chain))
        .chain(sets.into_iter().map(|set| Object::Set(set.into())))
        .chain(rules)
        .chain(elements)
        .map(|object| (Verb::Add, object))
        .collect()
}

fn ruleset() -> Ruleset {
    let mut fake = FakeRuleset::new();
    fake.apply(&transaction(layout()))
        .expect("the layout is accepted");
    fake.ruleset().clone()
}

fn flow(ruleset: &Ruleset) -> PacketFlow<'_> {
    PacketFlow::new(ruleset, [IpAddr::from(NODE)])
}

/// A packet from an address, by an interface unless this host makes it.
fn packet(from: &str, destination: &str) -> Packet {
    let (source, interface) = match from {
        "node" => (Ipv4Addr::from(NODE), None),
        "pod" => (Ipv4Addr::new(10, 244, 1, 9), Some("veth0")),
        "endpoint" => (Ipv4Addr::new(10, 244, 0, 5), Some("veth1")),
        "outside" => (Ipv4Addr::new(198, 51, 100, 7), Some("eth0")),
        other => panic!("{other} is nowhere"),
    };
    let source = SocketAddr::from((source, 40000));
    let packet = Packet::new(source, destination.parse().expect("an address and a port"));
    match interface {
        Some(interface) => packet.arriving(interface),
        None => packet,
    }
}

/// All that may become of a packet, as `probability: outcome`.
fn outcomes(ruleset: &Ruleset, packet: &Packet) -> String {
    let outcomes = flow(ruleset)
        .outcomes(packet)
        .expect("the ruleset can be run");
    let texts = outcomes
        .iter()
        .map(|(outcome, probability)| format!("{probability}: {outcome}"));
    texts.collect::<Vec<_>>().join(" | ")
}

#[test]
fn packets_go_where_the_rules_say() {
    let ruleset = ruleset();
    let both = "0.5: 10.244.0.5:8080 | 0.5: 10.244.0.6:8080";
    let both_masqueraded = "0.5: 10.244.0.5:8080, masqueraded | 0.5: 10.244.0.6:8080, masqueraded";
    let hairpin = "0.5: 10.244.0.5:8080, masqueraded | 0.5: 10.244.0.6:8080";
    for (from, destination, expected) in [
        ("pod", "10.96.0.10:80", both),
        ("node", "10.96.0.10:80", both_masqueraded),
        ("outside", "10.96.0.10:80", both_masqueraded),
        ("endpoint", "10.96.0.10:80", hairpin),
        ("pod", "10.96.0.10:81", "1: rejected"),
        ("node", "10.96.0.10:81", "1: rejected"),
        ("pod", "203.0.113.10:80", both_masqueraded),
        ("outside", "203.0.113.10:80", "1: dropped"),
        ("node", "203.0.113.10:80", "1: dropped"),
        ("outside", "203.0.113.10:81", "1: 203.0.113.10:81"),
        ("pod", "10.96.0.12:80", "1: rejected"),
        ("node", "10.96.0.12:80", "1: rejected"),
        ("pod", "10.96.0.13:80", "1: dropped"),
        ("outside", "192.0.2.1:30080", both),
        ("pod", "192.0.2.1:30080", both),
        ("node", "192.0.2.1:30080", both),
        ("node", "127.0.0.1:30080", "1: 127.0.0.1:30080"),
        ("outside", "198.51.100.8:30080", "1: 198.51.100.8:30080"),
        ("outside", "192.0.2.1:22", "1: 192.0.2.1:22"),
        ("pod", "10.244.0.5:8080", "1: 10.244.0.5:8080"),
    ] {
        assert_eq!(
            outcomes(&ruleset, &packet(from, destination)),
            expected,
            "{from} to {destination}"
        );
    }
}

#[test]
fn other_protocols_and_later_packets_are_not_translated() {
    let ruleset = ruleset();
    let udp = Packet {
        protocol: 17,
        ..packet("outside", "192.0.2.1:30080")
    };
    assert_eq!(outcomes(&ruleset, &udp), "1: 192.0.2.1:30080");
    let later = Packet {
        state: ConnectionState::Established,
        ..packet("pod", "10.96.0.12:80")
    };
    assert_eq!(outcomes(&ruleset, &later), "1: 10.96.0.12:80");
}

#[test]
fn a_mark_asks_for_masquerading_and_only_its_bit_counts() {
    let ruleset = ruleset();
    for (mark, expected) in [
        (MARK, "1: 10.244.0.5:8080, masqueraded"),
        (MARK | 1, "1: 10.244.0.5:8080, masqueraded"),
        (!MARK, "1: 10.244.0.5:8080"),
    ] {
        let marked = Packet {
            mark,
            ..packet("pod", "10.244.0.5:8080")
        };
        assert_eq!(outcomes(&ruleset, &marked), expected, "{mark:#x}");
    }
}

#[test]
fn random_numbers_are_drawn_from_the_caller() {
    let ruleset = ruleset();
    let mut moduli = Vec::new();
    let outcome = flow(&ruleset)
        .send(&packet("pod", "10.96.0.10:80"), &mut |modulus| {
            moduli.push(modulus);
            1
        })
        .expect("the ruleset can be run");
    assert_eq!(outcome.to_string(), "10.244.0.6:8080");
    assert_eq!(moduli, [2]);
}

#[test]
fn a_client_comes_back_to_what_a_rule_learned() {
    let ruleset = ruleset();
    let mut flow = flow(&ruleset);
    let packet = packet("pod", "10.96.0.11:80");
    let mut send = || {
        let outcome = flow
            .send(&packet, &mut |_| 0)
            .expect("the ruleset can be run");
        (outcome.to_string(), outcome.path.len())
    };
    let (first, steps) = send();
    let (second, fewer_steps) = send();
    assert_eq!(first, "10.244.0.5:8080");
    // The rule learned another endpoint than the one that was drawn.
    assert_eq!(second, "10.244.0.6:8080");
    assert_eq!(fewer_steps + 1, steps);
}

#[test]
fn the_path_names_each_rule_that_applied() {
    let ruleset = ruleset();
    let mut flow = flow(&ruleset);
    let outcome = flow.send(&packet("pod", "203.0.113.10:80"), &mut |_| 0);
    let Outcome { path, .. } = outcome.expect("the ruleset can be run");
    assert_eq!(
        path,
        [
            "filter-prerouting-pre-dnat: ct state new jump firewall-check",
            "nat-prerouting: jump services",
            "services: ip daddr . meta l4proto . th dport vmap @service-ips => goto external-2",
            "external-2: meta mark set meta mark | 0x00004000 goto lb-2",
            "lb-2: dnat to ip daddr . meta l4proto . th dport . numgen random mod 2 \
             map @endpoints => 10.244.0.5:8080",
            "filter-forward: ct state new jump endpoints-check",
            "nat-postrouting: jump masquerading",
            "masquerading: meta mark & 0x00004000 != 0x00000000 \
             meta mark set meta mark ^ 0x00004000 masquerade fully-random",
        ]
    );
}

#[test]
fn a_ruleset_that_cannot_be_run_is_an_error() {
    let with = |rules: &[Rule]| {
        let mut ruleset = ruleset();
        let contents = ruleset
            .tables
            .get_mut(&table(V4))
            .expect("the table is there");
        for rule in rules {
            let chain = contents
                .chains
                .get_mut(&rule.chain)
                .expect("the chain is there");
            chain.rules.insert(0, rule.clone());
        }
        let result = flow(&ruleset).outcomes(&packet("pod", "10.96.0.10:80"));
        result.expect_err("the rule cannot be run")
    };
    let unknown = Expression::Other {
        name: "limit".into(),
        attributes: Bytes::new(),
    };
    let (chain, name) = ("services".into(), "limit".into());
    assert_eq!(
        with(&[rule(V4, "services", [vec![unknown]])]),
        TraceError::UnknownExpression { chain, name }
    );
    assert_eq!(
        with(&[rule(V4, "services", [goto("missing")])]),
        TraceError::MissingChain {
            name: "missing".into()
        }
    );
    assert_eq!(
        with(&[rule(
            V4,
            "services",
            [vec![lookup("missing", LookupResult::Member)]]
        )]),
        TraceError::MissingSet {
            name: "missing".into()
        }
    );
    assert_eq!(
        with(&[rule(V4, "services", [vec![constant(15, &[0; 8])]])]),
        TraceError::Registers {
            chain: "services".into()
        }
    );
    let circle = [
        rule(V4, "services", [goto("lb-2")]),
        rule(V4, "lb-2", [goto("services")]),
    ];
    assert!(matches!(with(&circle), TraceError::Endless { .. }));
    let mixed = Packet {
        source: "[::1]:1".parse().unwrap(),
        ..packet("pod", "10.96.0.10:80")
    };
    assert_eq!(flow(&ruleset()).outcomes(&mixed), Err(TraceError::Families));
}

/// The rules that the kernel ran for each packet, as `chain: rule`.
fn traced(listing: &str) -> Vec<Vec<String>> {
    let rule = |line: &str| {
        let (_, line) = line.split_once(" ip kpx ")?;
        let (chain, line) = line.split_once(" rule ")?;
        let (rule, _) = line.rsplit_once(" (verdict ")?;
        Some(format!(
            "{chain}: {}",
            rule.replace("dnat ip to", "dnat to")
        ))
    };
    // The first packet only woke the monitor.
    let packets = listing.split_terminator("----\n").skip(1);
    packets
        .map(|packet| packet.lines().filter_map(rule).collect())
        .collect()
}

#[test]
fn the_kernel_runs_the_same_rules() {
    let ruleset = ruleset();
    let text = transaction(layout()).to_string();
    let packets = [
        ("node", "10.96.0.10:80"),
        ("pod", "10.96.0.10:80"),
        ("pod", "203.0.113.10:80"),
        ("node", "203.0.113.10:80"),
        ("pod", "10.96.0.12:80"),
        ("node", "10.96.0.13:80"),
        ("pod", "10.96.0.10:81"),
        ("pod", "192.0.2.1:30080"),
        ("node", "192.0.2.1:30080"),
        ("pod", "192.0.2.1:22"),
        ("pod", "198.51.100.7:80"),
    ];
    for endpoints in ["here", "there"] {
        let mut arguments = vec![text.clone(), endpoints.to_owned()];
        arguments.extend(
            packets.map(|(from, destination)| format!("{from} {}", destination.replace(':', " "))),
        );
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let kernel = oracle::in_fresh_namespace(include_str!("packets.sh"), &arguments);
        assert!(kernel.accepted, "{}", kernel.errors);
        let traced = traced(&kernel.output);
        assert_eq!(traced.len(), packets.len(), "{}", kernel.output);

        let here = if endpoints == "here" {
            [5, 6].as_slice()
        } else {
            &[]
        };
        let here = here.iter().map(|last| IpAddr::from([10, 244, 0, *last]));
        let local = here.chain([IpAddr::from(NODE), IpAddr::from([10, 244, 1, 1])]);
        let mut flow = PacketFlow::new(&ruleset, local);
        for ((from, destination), traced) in packets.into_iter().zip(traced) {
            let outcome = flow.send(&packet(from, destination), &mut |_| 0);
            let path = outcome.expect("the ruleset can be run").path;
            let rules = path
                .iter()
                .map(|step| step.split(" => ").next().unwrap_or(step));
            let rules: Vec<_> = rules.collect();
            assert_eq!(
                rules, traced,
                "{from} to {destination}, endpoints {endpoints}"
            );
        }
    }
}
