use std::collections::BTreeMap;

use kpx_frames::WatchEvent;
use proptest::prelude::*;
use serde_json::json;
use smol_str::SmolStr;

use super::*;

fn fed(document: &serde_json::Value) -> (Store, Outcome) {
    let mut store = Store::default();
    let (_, outcome) = store.feed(document.to_string().as_bytes()).unwrap();
    (store, outcome)
}

fn only(document: &serde_json::Value) -> Pod {
    let (_, outcome) = fed(document);
    assert_eq!(outcome.rejections, []);
    let [Change { new: Some(pod), .. }] = outcome.changes.as_slice() else {
        panic!("not one Pod: {outcome:?}");
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
        let (report, outcome) = store.feed(page.to_string().as_bytes()).unwrap();
        assert_eq!(report.resource_version.as_deref(), Some("7"));
        assert_eq!(report.rejected, BTreeMap::from([("Pod".into(), 1)]));
        let [rejection] = outcome.rejections.as_slice() else {
            panic!("{outcome:?}");
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
    let (store, outcome) = fed(&page);
    assert_eq!(names(&store.select("n", NO_LABELS)), ["a", "c"]);
    let rejected: Vec<_> = outcome
        .rejections
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(rejected, ["default/b", "?", "?"]);
    assert!(
        outcome.rejections[0]
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
    let mut store = Store::default();
    let (report, outcome) = store.feed(mixed.to_string().as_bytes()).unwrap();
    assert_eq!((store.len(), outcome.rejections.len()), (1, 0));
    assert_eq!(report.accepted, BTreeMap::from([("Pod".into(), 1)]));
    let ignored = [("".into(), 1), ("Service".into(), 1)];
    assert_eq!(report.ignored, BTreeMap::from(ignored));
    for other in [
        json!({"kind": "Service", "metadata": {"name": "a"}, "spec": 5}),
        json!({"kind": "ServiceList", "items": [{"metadata": {"name": "a"}, "spec": 5}]}),
        json!({"metadata": {"name": "a"}}),
    ] {
        let (store, outcome) = fed(&other);
        assert_eq!((store.len(), outcome.rejections.len()), (0, 0), "{other}");
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
    let (report, outcome) = line("ADDED", shown.clone());
    assert_eq!(report.event, WatchEvent::Added);
    assert_eq!(report.kind, "Pod");
    assert_eq!(report.resource_version.as_deref(), Some("5"));
    assert_eq!(outcome.changes.len(), 1);
    // What is not used is no change.
    shown["metadata"]["annotations"] = json!({"x": "y"});
    assert_eq!(line("MODIFIED", shown.clone()).1.changes, []);
    shown["status"]["phase"] = json!("Failed");
    let [
        Change {
            old: Some(old),
            new: Some(new),
        },
    ] = &line("MODIFIED", shown.clone()).1.changes[..]
    else {
        panic!();
    };
    assert!(!old.is_terminal && new.is_terminal);
    let bookmark = json!({"kind": "Pod", "metadata": {
        "resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}});
    let (report, outcome) = line("BOOKMARK", bookmark);
    let end = WatchEvent::Bookmark {
        initial_events_end: true,
    };
    assert_eq!((report.event, outcome.changes), (end, vec![]));
    assert_eq!(report.resource_version.as_deref(), Some("9"));
    let (report, _) = line(
        "ERROR",
        json!({"code": 410, "reason": "Expired", "message": "old"}),
    );
    let error = WatchEvent::Error {
        code: 410,
        reason: "Expired".into(),
        message: "old".to_owned(),
    };
    assert_eq!(report.event, error);
    let (_, outcome) = line(
        "DELETED",
        json!({"metadata": {"namespace": "n", "name": "a"}}),
    );
    assert!(matches!(
        &outcome.changes[..],
        [Change {
            old: Some(_),
            new: None
        }]
    ));
    assert_eq!(line("DELETED", shown).1.changes, []);
    let (report, outcome) = line("ADDED", json!({"metadata": {"name": "a"}, "spec": []}));
    assert!(report.rejected);
    assert_eq!(outcome.rejections[0].name, "default/a");
}

/// Replaces each `?` by a byte that UTF-8 has not.
fn with_strange_bytes(text: &str) -> Vec<u8> {
    let bytes = text.bytes();
    bytes
        .map(|byte| if byte == b'?' { 0xff } else { byte })
        .collect()
}

#[test]
fn only_the_pod_that_is_not_utf8_is_left_out() {
    let mut store = Store::default();
    let page = json!({"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": [
        pod("a", &json!({"app": "?"}), "x"),
        pod("b", &json!({}), "x"),
        {"kind": "Service", "metadata": {"name": "?"}}
    ]});
    let page = page.to_string();
    let (report, outcome) = store.feed(&with_strange_bytes(&page)).unwrap();
    assert_eq!(report.resource_version.as_deref(), Some("7"));
    assert_eq!(names(&store.select("n", NO_LABELS)), ["b"]);
    let left_out = Rejection {
        name: "n/a".to_owned(),
        reason: "not UTF-8".to_owned(),
    };
    assert_eq!(outcome.rejections, std::slice::from_ref(&left_out));
    let line = |event: &str, object: &serde_json::Value| {
        with_strange_bytes(&json!({"type": event, "object": object}).to_string())
    };
    let broken = line("ADDED", &pod("a", &json!({"app": "?"}), "x"));
    let (report, outcome) = store.feed_event(&broken).unwrap();
    assert!(report.rejected);
    assert_eq!(outcome.rejections, [left_out]);
    let gone = line("DELETED", &pod("b", &json!({"app": "?"}), "x"));
    assert_eq!(store.feed_event(&gone).unwrap().1.changes.len(), 1);
    assert!(store.is_empty());
    // What is said of the list, or of the event, has to be right.
    for broken in [
        page.replace("\"7\"", "\"?\""),
        r#"{"kind": "Pod", "x": ?}"#.to_owned(),
    ] {
        assert!(store.feed(&with_strange_bytes(&broken)).is_err());
    }
    let broken = br#"{"type": "ADDED", "object": {}, "other": "\xff"}"#;
    assert!(store.feed_event(broken).is_err());
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
