//! The rules of kpx's layout, each with its text.

use std::time::Duration;

use kpx_nftables::expression::{FibAddress, LookupResult, MetaKey};
use kpx_nftables::{Expression, Family, Rule, Verdict};

use crate::catalogue::*;

/// A rule, the text it prints as, and how `nft list` shows it where that differs.
pub(crate) struct Case {
    pub(crate) rule: Rule,
    pub(crate) text: &'static str,
    pub(crate) listed: &'static str,
}

fn case(chain: &str, parts: impl IntoIterator<Item = Vec<Expression>>, text: &'static str) -> Case {
    Case {
        rule: rule(Family::Ipv4, chain, parts),
        text,
        listed: text,
    }
}

impl Case {
    fn listed_as(self, listed: &'static str) -> Self {
        Self { listed, ..self }
    }
}

/// The rules of kpx's layout, made of the expressions that `nft` makes of their text.
pub(crate) fn rules() -> Vec<Case> {
    let groups = [
        service_rules(),
        balancing_rules(),
        source_rules(),
        masquerade_rules(),
        filter_rules(),
    ];
    groups.into_iter().flatten().collect()
}

fn service_rules() -> Vec<Case> {
    let v4 = Family::Ipv4;
    let nodeports = || {
        [
            protocol_and_port(0),
            vec![lookup("service-nodeports", LookupResult::Verdict)],
        ]
        .concat()
    };
    vec![
        case(
            "services",
            [
                service(v4, 0),
                vec![lookup("service-ips", LookupResult::Verdict)],
            ],
            "ip daddr . meta l4proto . th dport vmap @service-ips",
        ),
        case(
            "services",
            [
                vec![
                    destination_address(v4, 0),
                    lookup("nodeport-ips", LookupResult::Member),
                ],
                nodeports(),
            ],
            "ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports",
        ),
        case(
            "services",
            [
                is_local(FibAddress::Destination),
                vec![destination_prefix(v4, 1), not_equal(&[127])],
                nodeports(),
            ],
            "fib daddr type local ip daddr != 127.0.0.0/8 \
             meta l4proto . th dport vmap @service-nodeports",
        ),
    ]
}

fn balancing_rules() -> Vec<Case> {
    let v4 = Family::Ipv4;
    vec![
        case(
            "lb-2",
            [balance(v4, 2)],
            "dnat to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints",
        )
        .listed_as(
            "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints",
        ),
        case(
            "lb-2",
            [
                protocol_and_port(0),
                vec![random(2, 2)],
                destination_nat(v4, "nodeport-endpoints"),
            ],
            "dnat to meta l4proto . th dport . numgen random mod 2 map @nodeport-endpoints",
        )
        .listed_as(
            "dnat ip to meta l4proto . th dport . numgen random mod 2 map @nodeport-endpoints",
        ),
        case(
            "lb-2",
            [client_and_service(v4), destination_nat(v4, "affinity")],
            "dnat to ip saddr . ip daddr . meta l4proto . th dport map @affinity",
        )
        .listed_as("dnat ip to ip saddr . ip daddr . meta l4proto . th dport map @affinity"),
        case(
            "external",
            [
                client_and_service(v4),
                vec![
                    constant(4, &[10, 0, 0, 1]),
                    constant(5, &80_u16.to_be_bytes()),
                ],
                vec![learn_affinity(4, Some(Duration::from_secs(7200)))],
            ],
            "update @affinity { ip saddr . ip daddr . meta l4proto . th dport timeout 2h : 10.0.0.1 . 80 }",
        ),
    ]
}

fn source_rules() -> Vec<Case> {
    let v4 = Family::Ipv4;
    let masked = |mask: [u8; 4], value: [u8; 4]| {
        vec![
            source_address(v4, 0),
            bitwise(&mask, &[0; 4]),
            equal(&value),
        ]
    };
    let interface_name = || load_meta(MetaKey::InputInterfaceName, 0);
    let to_balance = |condition, text| case("external", [condition, goto("lb-2")], text);
    vec![
        to_balance(
            vec![source_prefix(v4, 2), equal(&[10, 244])],
            "ip saddr 10.244.0.0/16 goto lb-2",
        ),
        to_balance(
            vec![source_prefix(v4, 2), not_equal(&[10, 244])],
            "ip saddr != 10.244.0.0/16 goto lb-2",
        ),
        to_balance(
            masked([255, 255, 128, 0], [10, 244, 0, 0]),
            "ip saddr 10.244.0.0/17 goto lb-2",
        ),
        to_balance(
            masked([255, 0, 255, 0], [10, 0, 1, 0]),
            "ip saddr & 255.0.255.0 == 10.0.1.0 goto lb-2",
        ),
        to_balance(
            vec![source_address(v4, 0), equal(&[10, 244, 0, 1])],
            "ip saddr 10.244.0.1 goto lb-2",
        ),
        to_balance(
            vec![interface_name(), equal(b"veth")],
            r#"iifname "veth*" goto lb-2"#,
        ),
        to_balance(
            vec![interface_name(), not_equal(&interface("br0"))],
            r#"iifname != "br0" goto lb-2"#,
        ),
    ]
}

fn masquerade_rules() -> Vec<Case> {
    let hairpin = lookup("hairpin-connections", LookupResult::Member);
    vec![
        case(
            "external",
            [set_mark(), goto("lb-2")],
            "meta mark set meta mark | 0x00004000 goto lb-2",
        ),
        case(
            "external",
            [
                is_local(FibAddress::Source),
                set_mark(),
                counter(),
                verdict(Verdict::Return),
            ],
            "fib saddr type local meta mark set meta mark | 0x00004000 counter return",
        )
        .listed_as(
            "fib saddr type local meta mark set meta mark | 0x00004000 \
             counter packets 0 bytes 0 return",
        ),
        case(
            "nat-postrouting",
            [is_marked(), clear_mark(), masquerade()],
            "meta mark & 0x00004000 != 0x00000000 meta mark set meta mark ^ 0x00004000 \
             masquerade fully-random",
        ),
        case(
            "nat-postrouting",
            [
                client_and_service(Family::Ipv4),
                vec![hairpin],
                masquerade(),
            ],
            "ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections \
             masquerade fully-random",
        ),
    ]
}

fn filter_rules() -> Vec<Case> {
    let v4 = Family::Ipv4;
    let is_cluster_ip = vec![
        destination_address(v4, 0),
        lookup("cluster-ips", LookupResult::Member),
    ];
    let mut refused = case(
        "filter-input",
        [is_cluster_ip, reject(v4)],
        r#"ip daddr @cluster-ips reject comment "no port here""#,
    );
    refused.rule.comment = Some("no port here".into());
    vec![
        refused,
        case(
            "filter-input",
            [is_new(), jump("firewall-check")],
            "ct state new jump firewall-check",
        ),
        case(
            "filter-input",
            [
                vec![
                    destination_address(v4, 0),
                    bitwise(&[255, 240, 0, 0], &[0; 4]),
                ],
                vec![equal(&[10, 96, 0, 0])],
                verdict(Verdict::Drop),
            ],
            "ip daddr 10.96.0.0/12 drop",
        ),
        case(
            "filter-input",
            [
                service(v4, 0),
                vec![lookup("firewall-ips", LookupResult::Member)],
                service(v4, 0),
                vec![
                    source_address(v4, 3),
                    lookup("source-ranges", LookupResult::NotMember),
                ],
                verdict(Verdict::Drop),
            ],
            "ip daddr . meta l4proto . th dport @firewall-ips \
             ip daddr . meta l4proto . th dport . ip saddr != @source-ranges drop",
        ),
        case(
            "filter-input",
            [
                vec![load_meta(MetaKey::TransportProtocol, 0), equal(&[132])],
                verdict(Verdict::Accept),
            ],
            "meta l4proto sctp accept",
        ),
    ]
}
