use proptest::prelude::*;
use serde_json::json;
use smol_str::SmolStr;

use super::*;

fn fed(document: &serde_json::Value) -> (Store, Report) {
    let mut store = Store::default();
    let report = store.feed(document.to_string().as_bytes()).unwrap();
    (store, report)
}

fn only(document: &serde_json::Value) -> Pod {
    let (_, report) = fed(document);
    assert_eq!(report.rejections, []);
    let [Change { new: Some(pod), .. }] = report.changes.as_slice() else {
        panic!("not one Pod: {report:?}");
    };
    (**pod).clone()
}

fn pod(name: &str, labels: &serde_json::Value, node: &str) -> serde_json::Value {
    json!({
        "kind": "Pod",
        "metadata": {"namespace": "n", "name": name, "labels": labels},
        "spec": {"nodeName": node},
        "status": {"podIP": "10.0.0.1"}
    })
}

const NO_LABELS: [(&str, &str); 0] = [];

fn names(pods: &[std::sync::Arc<Pod>]) -> Vec<&str> {
    pods.iter().map(|pod| pod.name.as_str()).collect()
}

#[test]
fn what_slices_are_made_from_is_kept() {
    let found = only(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "shop", "name": "web-1", "uid": "u", "labels": {"b": "2", "a": "1"},
            "deletionTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"anything": [1, {}]}]
        },
        "spec": {
            "nodeName": "node-a", "hostname": "h", "subdomain": "s",
            "containers": [{"env": [], "ports": [
                {"name": "http", "containerPort": 8080},
                {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                {"containerPort": 9}
            ]}, {"ports": null}],
            "initContainers": [
                {"ports": [{"name": "once", "containerPort": 1}]},
                {"restartPolicy": "Always", "ports": [{"name": "http", "containerPort": 2}]}
            ]
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.9",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "conditions": [
                {"type": "Initialized", "status": "True"},
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T00:00:00Z"}
            ]
        }
    }));
    assert_eq!(found.namespace, "shop");
    assert_eq!(found.name, "web-1");
    assert_eq!(found.uid, "u");
    assert_eq!(found.label("a").map(SmolStr::as_str), Some("1"));
    assert_eq!(found.label("c"), None);
    assert_eq!(
        found
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["10.0.0.1", "fd00::1"]
    );
    assert!(found.is_ready && found.is_deleted && !found.is_terminal);
    assert_eq!(found.ready_since, "2026-01-02T00:00:00Z");
    assert_eq!(
        (found.node_name.as_str(), found.hostname.as_str()),
        ("node-a", "h")
    );
    assert_eq!(found.port("http", "TCP"), Some(8080));
    assert_eq!(found.port("dns", "UDP"), Some(53));
    assert_eq!(found.port("dns", "TCP"), None);
    assert_eq!(found.port("once", "TCP"), None);
    assert_eq!(found.port("", "TCP"), None);
}

#[test]
fn what_is_not_said_is_empty() {
    let found =
        only(&json!({"kind": "Pod", "metadata": {"name": "a", "labels": null}, "spec": null}));
    assert_eq!(found.namespace, "default");
    assert!(found.addresses.is_empty() && found.labels.is_empty() && !found.is_ready);
    assert!(
        only(&json!({"kind": "Pod", "metadata": {"name": "a"}, "status": {"phase": "Failed"}}))
            .is_terminal
    );
}

#[test]
fn addresses_are_read_as_go_reads_them() {
    for (written, read) in [
        ("010.000.0.001", Some("10.0.0.1")),
        ("fd00:0::0001", Some("fd00::1")),
        ("10.0.0", None),
        ("10.0.0.1.1", None),
        ("10.0.0.256", None),
        ("10.0.0.+1", None),
        ("10.0.0.", None),
        ("", None),
        ("web", None),
    ] {
        let found =
            only(&json!({"kind": "Pod", "metadata": {"name": "a"}, "status": {"podIP": written}}));
        let found: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(found, Vec::from_iter(read.map(str::to_owned)), "{written}");
    }
}

#[test]
fn a_pod_that_cannot_be_read_is_named_and_its_last_version_stays() {
    let mut store = Store::default();
    let good = pod("a", &json!({"app": "web"}), "x");
    store.feed(good.to_string().as_bytes()).unwrap();
    for (broken, reason) in [
        (
            json!({"labels": {"app": 1}}),
            "metadata.labels.app: invalid type",
        ),
        (json!({"labels": []}), "metadata.labels: invalid type"),
    ] {
        let mut bad = good.clone();
        bad["metadata"]["labels"] = broken["labels"].clone();
        store.begin_replace();
        let page = json!({"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": [bad]});
        let report = store.feed(page.to_string().as_bytes()).unwrap();
        assert_eq!(report.resource_version.as_deref(), Some("7"));
        let [rejection] = report.rejections.as_slice() else {
            panic!("{report:?}");
        };
        assert_eq!(rejection.name, "n/a");
        assert!(rejection.reason.starts_with(reason), "{}", rejection.reason);
        assert_eq!(store.end_replace(), []);
        assert_eq!(names(&store.select("n", [("app", "web")])), ["a"]);
    }
}

#[test]
fn only_the_broken_pod_of_a_page_is_left_out() {
    let page = json!({"kind": "PodList", "items": [
        pod("a", &json!({}), "x"),
        {"metadata": {"name": "b"}, "spec": {"containers": [{"ports": [{"containerPort": 70000}]}]}},
        {"metadata": {}},
        pod("c", &json!({}), "x"),
        5
    ]});
    let (store, report) = fed(&page);
    assert_eq!(names(&store.select("n", NO_LABELS)), ["a", "c"]);
    let rejected: Vec<_> = report
        .rejections
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(rejected, ["default/b", "?", "?"]);
    assert!(
        report.rejections[0]
            .reason
            .starts_with("spec.containers[0].ports[0].containerPort: ")
    );
}

#[test]
fn other_kinds_are_ignored() {
    let mixed = json!({"kind": "List", "items": [
        {"kind": "Service", "metadata": {"name": "web"}, "spec": {"containers": 5}},
        pod("a", &json!({}), "x"),
        {"metadata": {"name": "of-no-kind"}}
    ]});
    let (store, report) = fed(&mixed);
    assert_eq!((store.len(), report.rejections.len()), (1, 0));
    for other in [
        json!({"kind": "Service", "metadata": {"name": "a"}, "spec": 5}),
        json!({"kind": "ServiceList", "items": [{"metadata": {"name": "a"}, "spec": 5}]}),
        json!({"metadata": {"name": "a"}}),
    ] {
        let (store, report) = fed(&other);
        assert_eq!((store.len(), report.rejections.len()), (0, 0), "{other}");
    }
}

#[test]
fn lines_of_a_watch() {
    let mut store = Store::default();
    let mut line = |event: &str, object: serde_json::Value| {
        let line = json!({"type": event, "object": object}).to_string();
        store.feed_event(line.as_bytes()).unwrap()
    };
    let mut shown = pod("a", &json!({}), "x");
    shown["metadata"]["resourceVersion"] = json!("5");
    let report = line("ADDED", shown.clone());
    assert_eq!(report.event, Some(WatchEvent::Added));
    assert_eq!(report.resource_version.as_deref(), Some("5"));
    assert_eq!(report.changes.len(), 1);
    // What is not used is no change.
    shown["metadata"]["annotations"] = json!({"x": "y"});
    assert_eq!(line("MODIFIED", shown.clone()).changes, []);
    shown["status"]["phase"] = json!("Failed");
    let [
        Change {
            old: Some(old),
            new: Some(new),
        },
    ] = &line("MODIFIED", shown.clone()).changes[..]
    else {
        panic!();
    };
    assert!(!old.is_terminal && new.is_terminal);
    let bookmark = json!({"kind": "Pod", "metadata": {
        "resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}});
    let report = line("BOOKMARK", bookmark);
    assert!(report.initial_events_end && report.changes.is_empty());
    assert_eq!(report.resource_version.as_deref(), Some("9"));
    let error = line(
        "ERROR",
        json!({"code": 410, "reason": "Expired", "message": "old"}),
    );
    assert_eq!(
        (error.code, error.reason.as_deref()),
        (Some(410), Some("Expired"))
    );
    let report = line(
        "DELETED",
        json!({"metadata": {"namespace": "n", "name": "a"}}),
    );
    assert!(matches!(
        &report.changes[..],
        [Change {
            old: Some(_),
            new: None
        }]
    ));
    assert_eq!(line("DELETED", shown).changes, []);
    let report = line("ADDED", json!({"metadata": {"name": "a"}, "spec": []}));
    assert_eq!(report.rejections[0].name, "default/a");
}

#[test]
fn what_is_no_watch_event_changes_nothing() {
    let mut store = Store::default();
    for line in [
        &b"\xff"[..],
        b"",
        b"5",
        b"{}",
        b"{\"type\":\"ADDED\"}",
        b"{\"type\":\"X\",\"object\":{}}",
    ] {
        assert!(store.feed_event(line).is_err());
        assert!(store.is_empty());
    }
    for frame in [
        &b"\xff"[..],
        b"[]",
        b"{\"items\":5}",
        b"{\"kind\":\"PodList\"",
    ] {
        assert!(store.feed(frame).is_err());
    }
}

#[test]
fn what_pods_have_in_common_is_kept_once() {
    let labels = json!({"app": "web"});
    let (store, _) =
        fed(&json!({"kind": "PodList", "items": [pod("a", &labels, "x"), pod("b", &labels, "y")]}));
    let pods = store.select("n", NO_LABELS);
    assert!(std::sync::Arc::ptr_eq(&pods[0].labels, &pods[1].labels));
    assert!(std::sync::Arc::ptr_eq(&pods[0].ports, &pods[1].ports));
}

#[test]
fn what_nobody_has_any_more_is_forgotten() {
    let mut interner = interner::Interner::default();
    for number in 0..100_000 {
        interner.intern(vec![number]);
    }
    assert!(format!("{interner:?}").len() < 100_000);
}

proptest! {
    #[test]
    fn the_indexes_find_what_a_search_finds(
        steps in prop::collection::vec((0..6u8, prop::collection::btree_map("[ab]", "[xy]", 0..3), 0..3u8, any::<bool>()), 0..40),
        selector in prop::collection::btree_map("[ab]", "[xy]", 0..3),
    ) {
        let mut store = Store::default();
        let mut known = std::collections::BTreeMap::new();
        for (number, labels, node, is_there) in steps {
            let name = format!("p{number}");
            let shown = pod(&name, &json!(labels), &format!("node-{node}"));
            let event = if is_there { "ADDED" } else { "DELETED" };
            store.feed_event(json!({"type": event, "object": shown}).to_string().as_bytes()).unwrap();
            if is_there {
                known.insert(name, (labels, format!("node-{node}")));
            } else {
                known.remove(&name);
            }
        }
        let mut found: Vec<String> = store.select("n", &selector).iter().map(|pod| pod.name.to_string()).collect();
        found.sort();
        let expected: Vec<String> = known.iter()
            .filter(|(_, (labels, _))| selector.iter().all(|(name, value)| labels.get(name) == Some(value)))
            .map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(found, expected);
        for node in 0..3 {
            let node = format!("node-{node}");
            let expected = known.values().filter(|(_, on)| *on == node).count();
            prop_assert_eq!(store.on_node(&node).len(), expected);
        }
        prop_assert_eq!(store.len(), known.len());
    }
}
