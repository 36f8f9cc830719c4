//! What is said is what the rules do: packets are followed through the ruleset that the same
//! Services are programmed as.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use kpx_nftables::trace::{Fate, Packet, PacketFlow};
use serde_json::{Value, json};

use super::fixture::{
    CLIENT, Fixture, NODE, POD, STRANGER, endpoint, endpoint_with, service, slice,
};
use crate::explain::{Explanation, Outcome};

/// Everything that bears on where packets go.
fn objects() -> Vec<Value> {
    let both = [endpoint("10.244.1.1", "a"), endpoint("10.244.2.1", "b")];
    let elsewhere = [endpoint("10.244.2.2", "b"), endpoint("10.244.2.3", "b")];
    let hints = |zone: &str| json!({"hints": {"forZones": [{"name": zone}]}});
    let conditions = |ready: bool, serving: bool, terminating: bool| json!({"conditions": {"ready": ready, "serving": serving, "terminating": terminating}});
    let rows: Vec<(&str, Value, Vec<Value>)> = vec![
        ("plain", json!({}), both.to_vec()),
        (
            "external-local",
            json!({"externalTrafficPolicy": "Local"}),
            both.to_vec(),
        ),
        (
            "external-elsewhere",
            json!({"externalTrafficPolicy": "Local"}),
            elsewhere.to_vec(),
        ),
        (
            "internal-local",
            json!({"internalTrafficPolicy": "Local"}),
            both.to_vec(),
        ),
        (
            "internal-elsewhere",
            json!({"internalTrafficPolicy": "Local"}),
            elsewhere.to_vec(),
        ),
        (
            "local",
            json!({"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"}),
            both.to_vec(),
        ),
        ("empty", json!({}), vec![]),
        (
            "empty-local",
            json!({"externalTrafficPolicy": "Local"}),
            vec![],
        ),
        (
            "guarded",
            json!({"loadBalancerSourceRanges": ["198.51.100.0/24", "10.244.0.0/16"]}),
            both.to_vec(),
        ),
        (
            "guarded-empty",
            json!({"loadBalancerSourceRanges": ["192.0.2.0/24"]}),
            vec![],
        ),
        (
            "hinted",
            json!({"externalTrafficPolicy": "Local"}),
            vec![
                endpoint_with("10.244.1.4", "a", &hints("y")),
                endpoint_with("10.244.2.4", "b", &hints("z")),
            ],
        ),
        (
            "terminating",
            json!({"externalTrafficPolicy": "Local"}),
            vec![
                endpoint_with("10.244.1.5", "a", &conditions(false, true, true)),
                endpoint("10.244.2.5", "b"),
                endpoint_with("10.244.2.6", "b", &conditions(false, false, false)),
            ],
        ),
        // Older, so it takes the load balancer's address from the next one.
        (
            "older",
            json!({"externalIPs": ["203.0.113.23"]}),
            both.to_vec(),
        ),
        ("younger", json!({}), elsewhere.to_vec()),
    ];
    let objects = (10..)
        .zip(rows)
        .flat_map(|(number, (name, spec, endpoints))| {
            [service(name, number, &spec), slice(name, &endpoints)]
        });
    objects.collect()
}

/// The targets of the Services above, and some that nobody has.
fn targets() -> Vec<(IpAddr, u16)> {
    let served = (10..24u8).flat_map(|number| {
        let vip = |address: [u8; 4]| (IpAddr::from(address), 80);
        let node = |address: &str| (address.parse().unwrap(), 30000 + u16::from(number));
        [
            vip([10, 96, 0, number]),
            vip([203, 0, 113, number]),
            vip([198, 51, 100, number]),
            node(NODE),
            node("192.0.2.2"),
        ]
    });
    let unserved = [
        ("10.96.0.10", 81),
        ("10.96.7.7", 80),
        ("203.0.113.10", 81),
        (NODE, 31111),
        ("8.8.8.8", 53),
    ];
    let unserved = unserved.map(|(address, port)| (address.parse().unwrap(), port));
    served.chain(unserved).collect()
}

/// Where packets may end, and whether the node's address is seen there.
type Ends = BTreeSet<(String, bool)>;

fn said(explanation: &Explanation, destination: SocketAddr) -> Ends {
    let passed = (destination.to_string(), false);
    let Some(port) = explanation.ports.first() else {
        return match explanation.unserved.as_ref().unwrap().outcome {
            Outcome::Rejected => [("rejected".to_owned(), false)].into(),
            Outcome::Dropped => [("dropped".to_owned(), false)].into(),
            Outcome::Passed => [passed].into(),
            other => panic!("{other:?}"),
        };
    };
    let [frontend] = port.frontends.as_slice() else {
        panic!("{port:?}");
    };
    let [path] = frontend.paths.as_slice() else {
        panic!("{frontend:?}");
    };
    match path.outcome {
        Outcome::Rejected => [("rejected".to_owned(), false)].into(),
        Outcome::Dropped => [("dropped".to_owned(), false)].into(),
        Outcome::Balanced => {
            let applies = path.masquerade.as_ref().unwrap().applies;
            let end = |endpoint: &crate::frontend::Destination| {
                (
                    endpoint.to_string(),
                    applies || path.hairpin.contains(endpoint),
                )
            };
            path.endpoints.iter().map(end).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn done(flow: &PacketFlow<'_>, packet: &Packet) -> Ends {
    let outcomes = flow.outcomes(packet).unwrap().into_iter();
    let ends = outcomes.map(|(outcome, _)| match outcome.verdict {
        Fate::Accepted => (outcome.destination.to_string(), outcome.masqueraded),
        Fate::Dropped => ("dropped".to_owned(), false),
        Fate::Rejected => ("rejected".to_owned(), false),
    });
    ends.collect()
}

#[test]
fn the_rules_do_what_is_said() {
    let options = [
        json!({}),
        json!({"cluster_cidrs": ["10.244.0.0/16"]}),
        json!({"masquerade_all": true}),
        // The node's own address is a pod's too.
        json!({"cluster_cidrs": ["192.0.2.0/24"]}),
        json!({"cluster_cidrs": ["10.244.0.0/16"], "masquerade_all": true}),
        json!({"cluster_cidrs": ["10.244.0.0/16"], "nodeport_addresses": ["0.0.0.0/0"]}),
        json!({"cluster_cidrs": ["10.244.0.0/16"], "nodeport_addresses": ["192.0.2.2/32"]}),
    ];
    let mut fates = BTreeSet::new();
    for options in options {
        let mut fixture = Fixture::programmed(&options, &objects());
        let ruleset = fixture.proxier.dataplane().ruleset.ruleset().clone();
        // What the kernel holds is known to be right, and takes its time to compare.
        fixture.proxier.dataplane().is_forbidden = true;
        let own = [NODE, "192.0.2.2"].map(|address| address.parse().unwrap());
        let flow = PacketFlow::new(&ruleset, own);
        for (address, port) in targets() {
            let destination = SocketAddr::new(address, port);
            for source in [POD, "10.244.1.1", NODE, CLIENT, STRANGER] {
                let sent = SocketAddr::new(source.parse().unwrap(), 40000);
                let packet = Packet::new(sent, destination);
                let packet = if source == NODE {
                    packet
                } else {
                    packet.arriving("eth0")
                };
                let explanation = fixture.explain(&destination.to_string(), Some(source));
                let (said, done) = (said(&explanation, destination), done(&flow, &packet));
                assert_eq!(
                    said, done,
                    "{options}: {source} -> {destination}: {explanation:#?}"
                );
                fates.extend(
                    done.into_iter()
                        .map(|(end, masqueraded)| match end.as_str() {
                            "rejected" | "dropped" => end,
                            _ => format!("accepted {masqueraded}"),
                        }),
                );
            }
        }
    }
    let every = ["accepted false", "accepted true", "dropped", "rejected"];
    assert!(fates.iter().eq(every), "{fates:?}");
}
