//! Decisions as phrases.

use crate::config::NodePortAddresses;
use crate::topology::{HintsIgnored, Topology, Verdict};

/// Why an endpoint is in a list or not.
pub(super) const fn of_verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Used => "ready",
        Verdict::UsedWhileTerminating => "terminating but serving",
        Verdict::NotReady => "not ready",
        Verdict::Terminating => "terminating",
        Verdict::HintedToOtherNodes => "hinted to other nodes",
        Verdict::HintedToOtherZones => "hinted to other zones",
        Verdict::OnAnotherNode => "on another node",
    }
}

/// What the hints come to.
pub(super) fn of_topology(topology: Topology, node_name: &str, zone: Option<&str>) -> String {
    let zone = zone.unwrap_or_default();
    match topology {
        Topology::SameNode => format!("only endpoints hinted to this node, `{node_name}`, count"),
        Topology::SameZone { node_hints } => format!(
            "only endpoints hinted to this zone, `{zone}`, count; node hints do not: {}",
            of_ignored(node_hints, "for this node")
        ),
        Topology::Anywhere {
            node_hints: HintsIgnored::NoHints,
            zone_hints: HintsIgnored::NoHints,
        } => "there are none".to_owned(),
        Topology::Anywhere {
            node_hints: HintsIgnored::NothingReady,
            ..
        } => "they do not count: no endpoint is ready".to_owned(),
        Topology::Anywhere {
            node_hints,
            zone_hints,
        } => format!(
            "node hints do not count: {}; zone hints do not: {}",
            of_ignored(node_hints, "for this node"),
            of_ignored(zone_hints, "for this zone")
        ),
    }
}

fn of_ignored(ignored: HintsIgnored, here: &str) -> String {
    match ignored {
        HintsIgnored::NothingReady => "no endpoint is ready".to_owned(),
        HintsIgnored::NoHints => "no ready endpoint has one".to_owned(),
        HintsIgnored::SomeWithout => "some ready endpoints have none".to_owned(),
        HintsIgnored::NoneForHere => format!("none is {here}"),
        HintsIgnored::ZoneUnknown => "the zone of this node is not known".to_owned(),
    }
}

/// On which addresses of the node node ports answer.
pub(super) fn of_nodeport_addresses(addresses: &NodePortAddresses) -> String {
    fn list<T: ToString>(items: &[T]) -> String {
        let items: Vec<String> = items.iter().map(ToString::to_string).collect();
        items.join(", ")
    }
    match addresses {
        NodePortAddresses::All => "every address of this node but loopback".to_owned(),
        NodePortAddresses::These(addresses) if addresses.is_empty() => {
            "no address: the Node has none of this IP family".to_owned()
        }
        NodePortAddresses::These(addresses) => list(addresses),
        NodePortAddresses::Within(ranges) => {
            format!(
                "every address of this node in {} but loopback",
                list(ranges)
            )
        }
    }
}
