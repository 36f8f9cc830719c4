//! Rows 26 to 34 of the feature table, and upstream's `TestCategorizeEndpoints` by meaning.

use super::*;
use crate::state::{EndpointPort, Hints};
use crate::{NamespacedName, Protocol};

const NODE: &str = "node-a";
const ZONE: &str = "zone-a";

fn name(name: &str) -> NamespacedName {
    NamespacedName {
        namespace: "default".into(),
        name: name.into(),
    }
}

fn port(name: &str, protocol: Protocol) -> ServicePort {
    ServicePort {
        name: name.into(),
        protocol,
        port: 80,
        node_port: None,
    }
}

fn slice(ports: &[(&str, Protocol, u16)], endpoints: Vec<Endpoint>) -> EndpointSlice {
    let mut ports: Vec<_> = ports
        .iter()
        .map(|&(name, protocol, port)| EndpointPort {
            name: name.into(),
            protocol,
            port,
        })
        .collect();
    ports.sort();
    EndpointSlice {
        name: name("web-1"),
        service: name("web"),
        ports,
        is_headless: false,
        endpoints,
        last_change_trigger_time: None,
    }
}

/// An endpoint `10.0.0.<last>`, as flags say: `l` on this node, `r` ready, `s` serving, `t`
/// terminating, `n` and `N` hinted to this node and another, `z` and `Z` to this zone and another.
fn endpoint(last: u8, flags: &str) -> Endpoint {
    let has = |flag| flags.contains(flag);
    let hints = |here, this: &str, elsewhere, other: &str| {
        let hints = [(here, this), (elsewhere, other)];
        let given = hints.iter().filter(|(flag, _)| has(*flag));
        given.map(|(_, name)| (*name).into()).collect()
    };
    Endpoint {
        address: [10, 0, 0, last].into(),
        hostname: None,
        node_name: Some(if has('l') { NODE } else { "node-b" }.into()),
        ready: has('r'),
        serving: has('s'),
        terminating: has('t'),
        hints: Some(Box::new(Hints {
            nodes: hints('n', NODE, 'N', "node-b"),
            zones: hints('z', ZONE, 'Z', "zone-b"),
        })),
    }
}

fn endpoints(flags: &[&str]) -> Vec<EndpointSlice> {
    let numbered = flags.iter().zip(1..);
    let endpoints = numbered.map(|(flags, last)| endpoint(last, flags));
    vec![slice(&[("", Protocol::Tcp, 8080)], endpoints.collect())]
}

fn select(slices: &[EndpointSlice], zone: Option<&str>) -> Selection {
    let port = port("", Protocol::Tcp);
    let selection = select_endpoints(&port, slices, Family::Ipv4, NODE, zone);
    let explanation = explain_endpoints(&port, slices, Family::Ipv4, NODE, zone);
    let used = |verdict: fn(&ExplainedEndpoint) -> Verdict| {
        let endpoints = explanation.endpoints.iter();
        let used = endpoints.filter(|endpoint| verdict(endpoint).is_used());
        used.map(|endpoint| endpoint.backend).collect::<Vec<_>>()
    };
    assert_eq!(selection.cluster, used(|endpoint| endpoint.cluster));
    assert_eq!(selection.local, used(|endpoint| endpoint.local));
    assert_eq!(selection.any, explanation.any);
    selection
}

/// The last numbers of the addresses.
fn last_numbers(backends: &[Backend]) -> Vec<u8> {
    let numbers = backends.iter().map(|backend| match backend.address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    });
    numbers.collect()
}

/// Endpoints; those of the cluster list, those of the local list, and whether any could serve.
type Case = (&'static [&'static str], &'static [u8], &'static [u8], bool);

#[test]
fn endpoints_are_chosen_by_condition_and_hint() {
    let cases: &[Case] = &[
        // Rows 30 to 32: readiness and the terminating fallback.
        (&[], &[], &[], false),
        (&["rs", "lrs"], &[1, 2], &[2], true),
        (&["rs"], &[1], &[], true),
        (&["", "l"], &[], &[], false),
        (&["s", "ls"], &[], &[], false),
        (&["t", "lt"], &[], &[], false),
        (&["st", "lst"], &[1, 2], &[2], true),
        (&["st", "lt"], &[1], &[], true),
        (&["rs", "st"], &[1], &[], true),
        // A node may use its terminating endpoint while others are ready elsewhere.
        (&["rs", "lst"], &[1], &[2], true),
        (&["lrs", "lst"], &[1], &[1], true),
        (&["lrs", "st"], &[1], &[1], true),
        // With `publishNotReadyAddresses`, ready counts whatever the rest.
        (&["rt", "lrst"], &[1, 2], &[2], true),
        // Row 26: zone hints count if every ready endpoint has one, and one is for here.
        (&["rsz", "rsZ", "lrsZ"], &[1], &[3], true),
        (&["rsz", "rs"], &[1, 2], &[], true),
        (&["rsZ", "rsZ"], &[1, 2], &[], true),
        (&["rszZ", "rsZ"], &[1], &[], true),
        // Endpoints that are not ready need no hint, and give none.
        (&["rsz", "s", "st", "rsZ"], &[1], &[], true),
        (&["sz", "rsZ"], &[2], &[], true),
        // Node hints come first, then zone hints.
        (&["lrsn", "rsN"], &[1], &[1], true),
        (&["rsn", "lrsN"], &[1], &[2], true),
        (&["rsN", "rsN"], &[1, 2], &[], true),
        (&["rsnz", "rsNz", "rsNZ"], &[1], &[], true),
        (&["rsNz", "rsNZ"], &[1], &[], true),
        (&["rsnz", "rsZ"], &[1], &[], true),
        (&["rsz", "rsnZ"], &[1], &[], true),
        (&["rsnz", "rsn", "rsN"], &[1, 2], &[], true),
        // Without a ready endpoint, hints are not asked.
        (&["stz", "stZ"], &[1, 2], &[], true),
        (&["stn", "lstN"], &[1, 2], &[2], true),
    ];
    for (flags, cluster, local, any) in cases {
        let selection = select(&endpoints(flags), Some(ZONE));
        assert_eq!(last_numbers(&selection.cluster), *cluster, "{flags:?}");
        assert_eq!(last_numbers(&selection.local), *local, "{flags:?}");
        assert_eq!(selection.any, *any, "{flags:?}");
    }
}

#[test]
fn zone_hints_are_ignored_where_the_zone_is_not_known() {
    let slices = endpoints(&["rsz", "rsZ"]);
    assert_eq!(last_numbers(&select(&slices, None).cluster), [1, 2]);
    assert_eq!(
        last_numbers(&select(&slices, Some("zone-c")).cluster),
        [1, 2]
    );
}

#[test]
fn ports_are_joined_by_name_and_protocol() {
    let slices = [
        slice(
            &[
                ("dns", Protocol::Udp, 53),
                ("dns", Protocol::Tcp, 5353),
                ("web", Protocol::Tcp, 80),
            ],
            vec![endpoint(1, "rs")],
        ),
        // A named target port may be another number elsewhere.
        slice(&[("web", Protocol::Tcp, 8080)], vec![endpoint(2, "rs")]),
    ];
    for (name, protocol, expected) in [
        ("dns", Protocol::Udp, &[("10.0.0.1", 53)][..]),
        ("dns", Protocol::Tcp, &[("10.0.0.1", 5353)]),
        (
            "web",
            Protocol::Tcp,
            &[("10.0.0.1", 80), ("10.0.0.2", 8080)],
        ),
        ("web", Protocol::Sctp, &[]),
        ("", Protocol::Tcp, &[]),
    ] {
        let port = port(name, protocol);
        let selection = select_endpoints(&port, &slices, Family::Ipv4, NODE, None);
        let found = selection.cluster.iter();
        let found: Vec<_> = found
            .map(|one| (one.address.to_string(), one.port))
            .collect();
        let expected = expected
            .iter()
            .map(|&(address, port)| (address.into(), port));
        assert_eq!(found, expected.collect::<Vec<_>>(), "{name} {protocol}");
    }
}

#[test]
fn an_endpoint_in_several_slices_counts_once() {
    let ports = &[("", Protocol::Tcp, 8080)];
    // Each: what the same address is in two slices, and the lists that come of it.
    for (one, other, cluster, local) in [
        ("rs", "rs", 1, 0),
        ("st", "rs", 1, 0),
        ("lst", "lrs", 1, 1),
        ("s", "rs", 1, 0),
        ("rs", "lrs", 1, 1),
        // The Pod that took the address over is not ready yet: the old one does not stand in.
        ("st", "s", 0, 0),
    ] {
        for pair in [[one, other], [other, one]] {
            let slices = pair.map(|flags| slice(ports, vec![endpoint(1, flags)]));
            let selection = select(&slices, Some(ZONE));
            assert_eq!(selection.cluster.len(), cluster, "{pair:?}");
            assert_eq!(selection.local.len(), local, "{pair:?}");
        }
    }
}

#[test]
fn families_are_apart() {
    let mut ipv6 = endpoint(1, "rs");
    ipv6.address = "fd00::1".parse().unwrap();
    let ports = &[("", Protocol::Tcp, 8080)];
    let slices = [
        slice(ports, vec![ipv6]),
        slice(ports, vec![endpoint(2, "rs")]),
    ];
    let port = port("", Protocol::Tcp);
    for (family, expected) in [(Family::Ipv4, [2]), (Family::Ipv6, [1])] {
        let selection = select_endpoints(&port, &slices, family, NODE, None);
        assert_eq!(last_numbers(&selection.cluster), expected);
    }
}

#[test]
fn backends_are_sorted_whatever_the_order_of_slices() {
    let ports = &[("", Protocol::Tcp, 8080)];
    let mut slices = [3, 1, 2].map(|last| slice(ports, vec![endpoint(last, "rs")]));
    let first = select(&slices, None);
    slices.reverse();
    assert_eq!(last_numbers(&first.cluster), [1, 2, 3]);
    assert_eq!(select(&slices, None), first);
}

#[test]
fn every_endpoint_gets_its_reason() {
    use Verdict::{
        HintedToOtherNodes, HintedToOtherZones, NotReady, OnAnotherNode, Terminating, Used,
        UsedWhileTerminating,
    };
    let cases: &[(&[&str], &[Verdict], &[Verdict])] = &[
        (
            &["lrs", "ls", "lst", "rs"],
            &[Used, NotReady, Terminating, Used],
            &[Used, NotReady, Terminating, OnAnotherNode],
        ),
        (
            &["st", "lst", "lt", "l"],
            &[
                UsedWhileTerminating,
                UsedWhileTerminating,
                Terminating,
                NotReady,
            ],
            &[OnAnotherNode, UsedWhileTerminating, Terminating, NotReady],
        ),
        (
            &["rsz", "lrsZ"],
            &[Used, HintedToOtherZones],
            &[OnAnotherNode, Used],
        ),
        (
            &["rsn", "lrsN"],
            &[Used, HintedToOtherNodes],
            &[OnAnotherNode, Used],
        ),
    ];
    for (flags, cluster, local) in cases {
        let port = port("", Protocol::Tcp);
        let slices = endpoints(flags);
        let explanation = explain_endpoints(&port, &slices, Family::Ipv4, NODE, Some(ZONE));
        let found = explanation.endpoints.iter();
        let (in_cluster, in_local): (Vec<_>, Vec<_>) =
            found.map(|one| (one.cluster, one.local)).unzip();
        assert_eq!(in_cluster, *cluster, "{flags:?}");
        assert_eq!(in_local, *local, "{flags:?}");
    }
}

#[test]
fn hints_that_are_ignored_have_a_reason() {
    use HintsIgnored::{NoHints, NoneForHere, NothingReady, SomeWithout, ZoneUnknown};
    let anywhere = |node_hints, zone_hints| Topology::Anywhere {
        node_hints,
        zone_hints,
    };
    let cases: &[(&[&str], Option<&str>, Topology)] = &[
        (&[], Some(ZONE), anywhere(NothingReady, NothingReady)),
        (&["stz"], Some(ZONE), anywhere(NothingReady, NothingReady)),
        (&["rs"], Some(ZONE), anywhere(NoHints, NoHints)),
        (&["rsz", "rs"], Some(ZONE), anywhere(NoHints, SomeWithout)),
        (&["rsZ"], Some(ZONE), anywhere(NoHints, NoneForHere)),
        (&["rsz"], None, anywhere(NoHints, ZoneUnknown)),
        (&["rsN"], Some(ZONE), anywhere(NoneForHere, NoHints)),
        (
            &["rsNz"],
            Some(ZONE),
            Topology::SameZone {
                node_hints: NoneForHere,
            },
        ),
        (&["rsnz"], Some(ZONE), Topology::SameNode),
    ];
    for (flags, zone, expected) in cases {
        let port = port("", Protocol::Tcp);
        let slices = endpoints(flags);
        let explanation = explain_endpoints(&port, &slices, Family::Ipv4, NODE, *zone);
        assert_eq!(explanation.topology, *expected, "{flags:?} {zone:?}");
    }
}
