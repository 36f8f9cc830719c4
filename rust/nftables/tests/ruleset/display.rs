//! Rules and transactions as text, with `nft` as the judge: it must accept the text, make the same
//! expressions of it, and list them as expected.

use std::time::{Duration, Instant};

use kpx_nftables::expression::{DestinationNat, Lookup, LookupResult, Register};
use kpx_nftables::{
    Bytes, ChainKind, Data, Element, Elements, Expression, Family, Hook, Object, Verb, Verdict,
};

use crate::catalogue::*;
use crate::rules::{Case, rules};
use crate::{bytecode, oracle};

/// The table, chains and sets that the rules of kpx's layout need.
fn scaffold(family: Family) -> Vec<(Verb, Object)> {
    let chains = ["lb-2", "external", "services", "firewall-check"];
    let base_chains = [
        base_chain(
            family,
            "nat-prerouting",
            ChainKind::Nat,
            Hook::Prerouting,
            -100,
        ),
        base_chain(
            family,
            "nat-postrouting",
            ChainKind::Nat,
            Hook::Postrouting,
            100,
        ),
        base_chain(family, "filter-input", ChainKind::Filter, Hook::Input, 0),
        base_chain(
            family,
            "filter-output-pre-dnat",
            ChainKind::Filter,
            Hook::Output,
            -110,
        ),
    ];
    let chains = chains.map(|name| chain(family, name));
    std::iter::once(Object::Table(table(family)))
        .chain(chains.into_iter().chain(base_chains).map(Object::Chain))
        .chain(sets(family).into_iter().map(|set| Object::Set(set.into())))
        .map(|object| (Verb::Add, object))
        .collect()
}

#[test]
fn rules_print_as_expected() {
    for Case { rule, text, .. } in rules() {
        assert_eq!(rule.display_statements().to_string(), text);
        let whole = format!("ip kpx {} {text}", rule.chain);
        assert_eq!(rule.to_string(), whole);
    }
}

#[test]
fn nft_makes_the_same_expressions_of_the_text() {
    let cases = rules();
    let steps = cases
        .iter()
        .map(|case| (Verb::Add, Object::Rule(case.rule.clone())));
    let text = transaction(scaffold(Family::Ipv4).into_iter().chain(steps)).to_string();
    let nft = oracle::in_fresh_namespace(r#"printf %s "$1" | nft --debug=netlink -f -"#, &[&text]);
    assert!(nft.accepted, "{}\n{text}", nft.errors);
    let made = bytecode::parse(&nft.output);
    assert_eq!(made.len(), cases.len(), "{}", nft.output);
    for (case, made) in cases.iter().zip(made) {
        assert_eq!(bytecode::print(&case.rule), made, "{}", case.text);
    }
}

#[test]
fn nft_lists_the_rules_as_expected() {
    for Case { rule, listed, .. } in rules() {
        let steps = scaffold(Family::Ipv4)
            .into_iter()
            .chain([(Verb::Add, Object::Rule(rule))]);
        let text = transaction(steps).to_string();
        let nft = oracle::load(&text);
        assert!(nft.accepted, "{}\n{text}", nft.errors);
        let is_listed = nft.output.lines().any(|line| line.trim() == listed);
        assert!(is_listed, "`{listed}` is not in\n{}", nft.output);
    }
}

/// Forms that kpx may use and `nft` never makes: the text is what `nft` makes of the shorter form.
#[test]
fn other_forms_of_an_expression_print_alike() {
    let v4 = Family::Ipv4;
    let masked = vec![
        source_address(v4, 0),
        bitwise(&[255, 255, 0, 0], &[0; 4]),
        equal(&[10, 244, 0, 0]),
    ];
    let key_used_twice = [
        service(v4, 0),
        vec![
            lookup("firewall-ips", LookupResult::Member),
            source_address(v4, 3),
        ],
        vec![lookup("source-ranges", LookupResult::NotMember)],
    ];
    let learned = [
        client_and_service(v4),
        service(v4, 4),
        vec![random(3, 7)],
        vec![Expression::Lookup(Lookup {
            set: "endpoints".into(),
            source: Register(4),
            result: LookupResult::Value(Register(4)),
        })],
        vec![learn_affinity(4, None)],
        vec![Expression::DestinationNat(DestinationNat {
            family: v4,
            address: Register(4),
            port: Register(5),
        })],
    ];
    let constants = [
        vec![
            constant(0, &[10, 0, 0, 1]),
            constant(1, &80_u16.to_be_bytes()),
        ],
        vec![Expression::DestinationNat(DestinationNat {
            family: v4,
            address: Register(0),
            port: Register(1),
        })],
    ];
    let other = vec![Expression::Other {
        name: "limit".into(),
        attributes: Bytes::new(),
    }];
    for (parts, text) in [
        (vec![masked], "ip saddr 10.244.0.0/16"),
        (
            key_used_twice.to_vec(),
            "ip daddr . meta l4proto . th dport @firewall-ips \
             ip daddr . meta l4proto . th dport . ip saddr != @source-ranges",
        ),
        (
            learned.to_vec(),
            "update @affinity { ip saddr . ip daddr . meta l4proto . th dport : \
             ip daddr . meta l4proto . th dport . numgen random mod 3 map @endpoints } \
             dnat to ip daddr . meta l4proto . th dport . numgen random mod 3 map @endpoints",
        ),
        (constants.to_vec(), "dnat to 10.0.0.1:80"),
        (vec![other], "[ limit ]"),
    ] {
        assert_eq!(rule(v4, "c", parts).display_statements().to_string(), text);
    }
}

fn element(key: &[u8], data: Data) -> Element {
    Element::new(key.into(), data)
}

/// Elements of every kind of set, in both families.
fn populated(family: Family) -> Vec<(Verb, Object)> {
    let sets = sets(family);
    let set = |name: &str| {
        sets.iter()
            .find(|set| set.name == name)
            .expect("the set is known")
    };
    let address = |last: u8| match family {
        Family::Ipv4 => vec![10, 96, 0, last],
        Family::Ipv6 => vec![0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last],
    };
    let http = [6, 0, 0, 0, 0, 80, 0, 0];
    let dns = [17, 0, 0, 0, 0, 53, 0, 0];
    let lb = Data::Verdict(Verdict::Goto("lb-2".into()));
    let named = |element: Element| Element {
        comment: Some("default/web:http".into()),
        ..element
    };
    let endpoint = Data::Value(
        [address(1).as_slice(), &8080_u16.to_be_bytes(), &[0, 0]]
            .concat()
            .into(),
    );
    let service = |last| [address(last).as_slice(), &http].concat();
    let range = Element {
        key_end: Some([service(10).as_slice(), &address(9)].concat().into()),
        ..element(&[service(10).as_slice(), &address(5)].concat(), Data::None)
    };
    let slot = |slot: u32| [service(10).as_slice(), &slot.to_ne_bytes()].concat();
    [
        elements(
            set("service-ips"),
            [
                named(element(&service(10), lb.clone())),
                element(&service(11), Data::Verdict(Verdict::Drop)),
            ],
        ),
        elements(set("service-nodeports"), [element(&dns, lb)]),
        elements(set("cluster-ips"), [element(&address(10), Data::None)]),
        elements(set("source-ranges"), [range]),
        elements(
            set("endpoints"),
            [
                element(&slot(0), endpoint.clone()),
                element(&slot(1), endpoint.clone()),
            ],
        ),
        elements(
            set("affinity"),
            [Element {
                timeout: Some(Duration::from_secs(90)),
                ..element(&[address(7).as_slice(), &service(10)].concat(), endpoint)
            }],
        ),
    ]
    .map(|object| (Verb::Add, object))
    .to_vec()
}

#[test]
fn nft_accepts_whole_transactions() {
    for family in Family::ALL {
        let prefix = match family {
            Family::Ipv4 => vec![source_prefix(family, 2), equal(&[10, 244])],
            Family::Ipv6 => vec![source_prefix(family, 1), equal(&[0xfd])],
        };
        let rules = [
            rule(
                family,
                "lb-2",
                [
                    client_and_service(family),
                    destination_nat(family, "affinity"),
                ],
            ),
            rule(family, "lb-2", [balance(family, 2)]),
            rule(family, "services", [prefix, reject(family)]),
        ]
        .map(|rule| (Verb::Add, Object::Rule(rule)));
        let populated = populated(family);
        let deletions = populated
            .iter()
            .map(|(_, object)| (Verb::Delete, object.clone()));
        let last = [
            (Verb::Flush, Object::Chain(chain(family, "lb-2"))),
            (Verb::Flush, Object::Set(sets(family).remove(0).into())),
            (Verb::Delete, Object::Set(sets(family).remove(0).into())),
            (Verb::Delete, Object::Chain(chain(family, "lb-2"))),
            (Verb::Delete, Object::Table(table(family))),
        ];
        let steps = scaffold(family).into_iter().chain(rules);
        let kept = transaction(steps.chain(populated.clone()));
        let nft = oracle::load(&kept.to_string());
        assert!(nft.accepted, "{}\n{kept}", nft.errors);
        for (verb, object) in &populated {
            let Object::Elements(Elements { set, elements }) = object else {
                continue;
            };
            assert_eq!(*verb, Verb::Add);
            for element in elements {
                let text = set.display_element(element).to_string();
                let text = text
                    .split(" timeout")
                    .next()
                    .expect("a split is never empty");
                assert!(
                    nft.output.contains(text),
                    "`{text}` is not in\n{}",
                    nft.output
                );
            }
        }
        let undone = transaction(
            kept.operations()
                .iter()
                .map(|operation| (operation.verb, operation.object.clone()))
                .chain(deletions)
                .chain(last),
        );
        let nft = oracle::load(&undone.to_string());
        assert!(nft.accepted, "{}\n{undone}", nft.errors);
        assert_eq!(nft.output, "");
    }
}

#[test]
fn a_transaction_prints_a_command_a_line() {
    let populated = populated(Family::Ipv4);
    let steps = scaffold(Family::Ipv4)
        .into_iter()
        .take(6)
        .chain(populated.into_iter().take(2));
    let text = transaction(steps).to_string();
    let expected = "\
add table ip kpx
add chain ip kpx lb-2
add chain ip kpx external
add chain ip kpx services
add chain ip kpx firewall-check
add chain ip kpx nat-prerouting { type nat hook prerouting priority -100; policy accept; }
add element ip kpx service-ips {
\t10.96.0.10 . tcp . 80 comment \"default/web:http\" : goto lb-2,
\t10.96.0.11 . tcp . 80 : drop
}
add element ip kpx service-nodeports { udp . 53 : goto lb-2 }
";
    assert_eq!(text, expected);
}

#[test]
fn an_operation_on_no_elements_is_not_a_command() {
    let set = sets(Family::Ipv4).remove(0);
    let none = transaction([(Verb::Add, elements(&set, []))]);
    assert_eq!(none.to_string(), "");
}

#[test]
fn sets_print_with_what_nft_needs_to_know() {
    let text: Vec<_> = sets(Family::Ipv6).iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "ip6 kpx service-ips { type ipv6_addr . inet_proto . inet_service : verdict; }",
            "ip6 kpx service-nodeports { type inet_proto . inet_service : verdict; }",
            "ip6 kpx nodeport-ips { type ipv6_addr; }",
            "ip6 kpx cluster-ips { type ipv6_addr; }",
            "ip6 kpx firewall-ips { type ipv6_addr . inet_proto . inet_service; }",
            "ip6 kpx hairpin-connections { type ipv6_addr . ipv6_addr . inet_proto . inet_service; }",
            "ip6 kpx source-ranges { type ipv6_addr . inet_proto . inet_service . ipv6_addr; flags interval; }",
            "ip6 kpx endpoints { typeof ip6 daddr . meta l4proto . th dport . numgen random mod 2 : ip6 daddr . th dport; }",
            "ip6 kpx nodeport-endpoints { typeof meta l4proto . th dport . numgen random mod 2 : ip6 daddr . th dport; }",
            "ip6 kpx affinity { type ipv6_addr . ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; \
             size 65536; flags dynamic,timeout; timeout 3h; }",
        ]
    );
}

/// Twice the elements must take about twice the time.
#[test]
fn printing_takes_time_linear_in_elements() {
    let set = sets(Family::Ipv4).remove(0);
    let print = |count: u32| {
        let services = (0..count).map(|index| {
            let key = [index.to_be_bytes().as_slice(), &[6, 0, 0, 0, 0, 80, 0, 0]].concat();
            element(&key, Data::Verdict(Verdict::Goto("lb-2".into())))
        });
        let transaction = transaction([(Verb::Add, elements(&set, services))]);
        let times = (0..3).map(|_| {
            let start = Instant::now();
            assert_eq!(transaction.to_string().lines().count(), count as usize + 2);
            start.elapsed()
        });
        times.min().expect("there are three times")
    };
    let (small, large) = (print(10_000), print(80_000));
    assert!(
        large < small * 24,
        "10,000 elements took {small:?}, 80,000 took {large:?}"
    );
}
