//! Documents, lists and watch lines, and everything that can be wrong with them.

use proptest::prelude::*;

use super::{decode_object, rejection};
use crate::decode::{Content, Document, Event};
use crate::state::Node;
use kpx_frames::DecodeError;

const SERVICE: &str = r#"{"kind": "Service", "apiVersion": "v1", "metadata": {"name": "web"},
    "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}}"#;

fn decode(json: &str) -> Document {
    Document::decode(json.as_bytes()).unwrap()
}

/// The names of the objects, with `!` before those that are rejected.
fn names(document: &Document) -> Vec<String> {
    let names = document.records.iter().map(|record| {
        let mark = match record.content {
            Err(_) => "!",
            Ok(_) => "",
        };
        format!("{mark}{}", record.name)
    });
    names.collect()
}

#[test]
fn fields_may_come_in_any_order() {
    let parts = [
        r#""kind": "Service""#,
        r#""apiVersion": "v1""#,
        r#""metadata": {"name": "web"}"#,
        r#""spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}"#,
        r#""unknown": {"kind": "Pod"}"#,
    ];
    let expected = decode_object(SERVICE);
    for first in 0..parts.len() {
        let mut rotated = parts;
        rotated.rotate_left(first);
        let json = format!("{{{}}}", rotated.join(","));
        assert_eq!(decode_object(&json), expected, "{json}");
        rotated.reverse();
        let json = format!("{{{}}}", rotated.join(","));
        assert_eq!(decode_object(&json), expected, "{json}");
    }
}

#[test]
fn lists_hold_objects_of_any_kind() {
    let document = decode(&format!(
        r#"{{"apiVersion": "v1", "items": [{SERVICE}, {{"kind": "Pod", "apiVersion": "v1"}},
            {{"apiVersion": "v1", "kind": "Namespace", "metadata": {{"name": "shop"}}}},
            {{"apiVersion": "serving.knative.dev/v1", "kind": "Service"}},
            {{"apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice"}},
            {{"kind": "Pod"}}], "kind": "List", "metadata": {{"resourceVersion": ""}}}}"#
    ));
    assert_eq!(names(&document), ["default/web", "/shop"]);
    let ignored = document.ignored.iter();
    let ignored: Vec<_> = ignored
        .map(|(kind, count)| (kind.as_str(), *count))
        .collect();
    let expected = [
        ("Pod", 2),
        ("discovery.k8s.io/v1beta1/EndpointSlice", 1),
        ("serving.knative.dev/v1/Service", 1),
    ];
    assert_eq!(ignored, expected);
}

#[test]
fn items_of_typed_lists_need_no_kind() {
    let document = decode(
        r#"{"kind": "ServiceList", "apiVersion": "v1",
            "metadata": {"resourceVersion": "77", "continue": "token"},
            "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}"#,
    );
    assert_eq!(names(&document), ["default/a", "default/b"]);
    assert_eq!(document.resource_version.as_deref(), Some("77"));
    assert_eq!(document.continue_token.as_deref(), Some("token"));
    for (kind, api_version) in [
        ("EndpointSliceList", "discovery.k8s.io/v1"),
        ("EndpointsList", "v1"),
        ("NodeList", "v1"),
        ("NamespaceList", "v1"),
        ("ServiceCIDRList", "networking.k8s.io/v1"),
    ] {
        let document = decode(&format!(
            r#"{{"items": [{{"metadata": {{"name": "a"}}}}], "metadata": {{"continue": ""}},
                "apiVersion": "{api_version}", "kind": "{kind}"}}"#
        ));
        assert_eq!(document.records.len(), 1, "{kind}");
        assert_eq!(
            document.records[0].kind.as_str(),
            kind.trim_end_matches("List")
        );
        assert_eq!(document.continue_token, None);
    }
}

#[test]
fn items_of_other_lists_are_counted() {
    for (list, kind) in [
        (r#""kind": "PodList", "apiVersion": "v1""#, "Pod"),
        (
            r#""kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1beta1""#,
            "discovery.k8s.io/v1beta1/EndpointSlice",
        ),
    ] {
        let document = decode(&format!(r#"{{{list}, "items": [{{}}, {{}}, 5]}}"#));
        assert_eq!(document.ignored.get(kind), Some(&3));
        assert_eq!(document.records, []);
    }
}

#[test]
fn empty_lists_are_lists() {
    for items in [r#", "items": []"#, r#", "items": null"#, ""] {
        let document = decode(&format!(
            r#"{{"kind": "ServiceList", "apiVersion": "v1"{items}}}"#
        ));
        assert_eq!(document, Document::default());
    }
}

#[test]
fn a_broken_item_costs_only_itself() {
    let good = r#"{"metadata": {"name": "good"}}"#;
    for (item, reason) in [
        ("5", "invalid type: integer `5`, expected an object"),
        ("null", "invalid type: null, expected an object"),
        ("{}", "metadata.name: missing"),
        (
            r#"{"metadata": 1}"#,
            "metadata: invalid type: integer `1`, expected an object",
        ),
        (
            r#"{"metadata": {"name": "a/b"}}"#,
            "metadata.name: `a/b` is not a DNS name",
        ),
        (
            r#"{"metadata": {"name": "a", "namespace": "A"}}"#,
            "metadata.namespace: `A` is not a DNS name",
        ),
    ] {
        let document = decode(&format!(
            r#"{{"kind": "ServiceList", "apiVersion": "v1", "items": [{item}, {good}]}}"#
        ));
        assert_eq!(names(&document), ["default/good"], "{item}");
        let [rejection] = document.unidentified.try_into().unwrap();
        assert_eq!(rejection.kind, "Service", "{item}");
        assert_eq!(rejection.reason, reason, "{item}");
        assert!(rejection.whole);
    }
    let document = decode(&format!(
        r#"{{"kind": "ServiceList", "apiVersion": "v1",
            "items": [{{"metadata": {{"name": "bad"}}, "spec": []}}, {good}]}}"#
    ));
    assert_eq!(names(&document), ["!default/bad", "default/good"]);
}

#[test]
fn lists_in_lists_and_objects_without_a_kind_are_rejected() {
    for (item, kind, reason) in [
        (
            r#"{"kind": "List", "items": []}"#,
            "List",
            "a list inside a list",
        ),
        (r#"{"metadata": {"name": "a"}}"#, "", "kind: missing"),
        (r#"{"kind": ""}"#, "", "kind: missing"),
        (r#"{"kind": null}"#, "", "kind: missing"),
    ] {
        let document = decode(&format!(
            r#"{{"kind": "List", "items": [{item}, {SERVICE}]}}"#
        ));
        assert_eq!(names(&document), ["default/web"]);
        assert_eq!(document.unidentified.len(), 1, "{item}");
        assert_eq!(document.unidentified[0].kind, kind);
        assert_eq!(document.unidentified[0].reason, reason);
    }
}

#[test]
fn rejections_without_a_name_are_bounded() {
    let items = vec!["{}"; 1000].join(",");
    let document = decode(&format!(
        r#"{{"kind": "ServiceList", "apiVersion": "v1", "items": [{items}]}}"#
    ));
    assert_eq!(document.unidentified.len(), 16);
    assert_eq!(document.unidentified_counts.get("Service"), Some(&1000));
}

#[test]
fn what_is_no_json_fails_with_a_position() {
    for (frame, expected) in [
        (&b""[..], Some((1, 0))),
        (b"{\n \"kind\": ", Some((2, 9))),
        (b"{} {}", Some((1, 4))),
        (b"{'kind': 1}", Some((1, 2))),
        (b"\xff{}", None),
    ] {
        let error = Document::decode(frame).unwrap_err();
        let is_not_json = matches!(error, DecodeError::NotJson(_) | DecodeError::NotUtf8(_));
        assert!(is_not_json, "{error}");
        assert_eq!(error.position(), expected, "{frame:?}");
    }
}

#[test]
fn what_is_no_object_fails() {
    for frame in [
        "5",
        "[]",
        "null",
        r#""text""#,
        r#"{"kind": "List", "items": {}}"#,
        r#"{"kind": "ServiceList", "apiVersion": "v1", "metadata": 5, "items": []}"#,
        r#"{"kind": "List", "items": [], "items": []}"#,
    ] {
        let error = Document::decode(frame.as_bytes()).unwrap_err();
        assert!(
            matches!(error, DecodeError::NotAnObject(_)),
            "{frame}: {error}"
        );
    }
}

#[test]
fn every_truncation_of_a_list_fails() {
    let list = format!(r#"{{"kind": "List", "items": [{SERVICE}, {SERVICE}]}}"#);
    for length in 0..list.len() {
        let error = Document::decode(&list.as_bytes()[..length]).unwrap_err();
        assert!(
            matches!(error, DecodeError::NotJson(_)),
            "{length}: {error}"
        );
    }
}

#[test]
fn nesting_and_size_are_no_harm() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let long = "x".repeat(1 << 20);
    for (extra, is_valid) in [
        (format!(r#""unknown": {deep}"#), true),
        (format!(r#""status": {{"x": {deep}}}"#), true),
        (format!(r#""spec": {deep}"#), false),
        (
            format!(r#""metadata": {{"name": "web", "x": {deep}}}"#),
            true,
        ),
        (
            format!(r#""metadata": {{"name": "web", "annotations": {{"a": "{long}"}}}}"#),
            false,
        ),
    ] {
        let json = if extra.starts_with("\"metadata") {
            format!(r#"{{"kind": "Namespace", "apiVersion": "v1", {extra}}}"#)
        } else {
            format!(
                r#"{{"kind": "Service", "apiVersion": "v1", "metadata": {{"name": "web"}}, {extra}}}"#
            )
        };
        let record = decode_object(&json);
        assert_eq!(record.content.is_ok(), is_valid, "{extra:.60}");
    }
}

#[test]
fn annotations_beyond_what_the_api_allows_are_rejected() {
    let annotated = |size: usize| {
        let value = "x".repeat(size - 1);
        SERVICE.replace(
            r#"{"name": "web"}"#,
            &format!(r#"{{"name": "web", "annotations": {{"a": "{value}"}}}}"#),
        )
    };
    assert!(decode_object(&annotated(256 << 10)).content.is_ok());
    assert_eq!(
        rejection(&annotated((256 << 10) + 1)),
        "metadata.annotations: 262145 bytes are more than the 262144 allowed"
    );
}

#[test]
fn only_objects_that_are_not_utf8_are_rejected() {
    let broken = SERVICE.replace(r#""name": "web""#, r#""name": "broken", "x": "@""#);
    let intact = SERVICE.replace(r#""name": "web""#, r#""name": "intact", "x": "?\u00e9""#);
    let list = |metadata: &str| {
        let kind = r#""kind": "ServiceList", "apiVersion": "v1""#;
        let metadata = format!(r#""metadata": {{"resourceVersion": "7", "x": "{metadata}"}}"#);
        let items = format!("[{broken}, {intact}, {broken}, {SERVICE}]");
        bytes(&format!(r#"{{{kind}, {metadata}, "items": {items}}}"#))
    };
    let document = Document::decode(&list("")).unwrap();
    assert_eq!(
        names(&document),
        [
            "!default/broken",
            "default/intact",
            "!default/broken",
            "default/web"
        ]
    );
    assert_eq!(document.resource_version.as_deref(), Some("7"));
    assert_eq!(document.records[0].content, Err("not UTF-8".to_owned()));
    let error = Document::decode(&list("@")).unwrap_err();
    assert!(matches!(error, DecodeError::NotUtf8(_)), "{error}");

    let document = Document::decode(&bytes(&broken)).unwrap();
    assert_eq!(names(&document), ["!default/broken"]);
    let nameless = broken.replace("broken", "bro@ken");
    let document = Document::decode(&bytes(&nameless)).unwrap();
    assert_eq!(document.unidentified[0].reason, "not UTF-8");

    let event = |event_type: &str, more: &str| {
        Event::decode(&bytes(&format!(
            r#"{{"type": "{event_type}", "object": {broken}{more}}}"#
        )))
    };
    for event in [event("ADDED", ""), event("MODIFIED", "")] {
        let (Event::Added(document) | Event::Modified(document)) = event.unwrap() else {
            panic!("another event");
        };
        assert_eq!(names(&document), ["!default/broken"]);
    }
    let Event::Deleted(object) = event("DELETED", "").unwrap() else {
        panic!("another event");
    };
    assert_eq!(object.known.unwrap().1.name, "broken");
    let error = event("ADDED", r#", "x": "@""#).unwrap_err();
    assert!(matches!(error, DecodeError::NotUtf8(_)), "{error}");
}

/// The text, with a byte that is no UTF-8 for each `@`.
fn bytes(text: &str) -> Vec<u8> {
    let bytes = text.bytes();
    bytes
        .map(|byte| if byte == b'@' { 0xff } else { byte })
        .collect()
}

#[test]
fn whatever_is_wrong_with_metadata_the_object_is_named() {
    for wrong in [
        r#""labels": 5"#,
        r#""annotations": [5]"#,
        r#""creationTimestamp": {}"#,
    ] {
        let json = SERVICE.replace(r#""name": "web""#, &format!(r#"{wrong}, "name": "web""#));
        assert_eq!(names(&decode(&json)), ["!default/web"], "{wrong}");
        let line = format!(r#"{{"type": "DELETED", "object": {json}}}"#);
        let Event::Deleted(object) = Event::decode(line.as_bytes()).unwrap() else {
            panic!("another event");
        };
        assert_eq!(object.known.unwrap().1.name, "web");
    }
}

#[test]
fn values_in_reasons_are_cut_and_escaped() {
    let long = "x".repeat(1 << 20);
    let reason = rejection(&SERVICE.replace("10.96.0.1", &long));
    assert!(reason.len() < 200, "{reason}");
    let reason = rejection(&SERVICE.replace("10.96.0.1", r"a\u001b[31m\n"));
    assert_eq!(
        reason,
        "spec.clusterIP: `a\\u{1b}[31m\\n` is not an IP address"
    );
    let reason = rejection(&SERVICE.replace("80", &format!("\"{long}\"")));
    assert!(reason.len() < 200, "{reason}");
}

#[test]
fn duplicate_fields_are_rejected() {
    let json = SERVICE.replace(r#""spec""#, r#""spec": {}, "spec""#);
    assert_eq!(rejection(&json), "duplicate field `spec`");
}

#[test]
fn nodes_and_ranges_are_read() {
    let record = decode_object(
        r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a",
            "labels": {"topology.kubernetes.io/zone": "zone-a"}},
        "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd01::/64", "bad"]},
        "status": {"addresses": [{"type": "ExternalIP", "address": "203.0.113.1"},
            {"type": "Hostname", "address": "node-a"},
            {"type": "InternalIP", "address": "192.0.2.1"},
            {"type": "InternalIP", "address": "fd00::1"}, {"type": "ExternalIP", "address": "x"},
            {"type": "ExternalIP", "address": "192.0.2.1"}]}}"#,
    );
    let expected = Node {
        addresses: ["192.0.2.1", "fd00::1", "203.0.113.1"]
            .map(|address| address.parse().unwrap())
            .to_vec(),
        zone: Some("zone-a".into()),
        pod_cidrs: ["10.1.0.0/24", "fd01::/64"]
            .map(|range| range.parse().unwrap())
            .to_vec(),
    };
    assert_eq!(record.content, Ok(Content::Node(expected)));
    let expected = [
        "status.addresses[4].address: `x` is not an IP address",
        "spec.podCIDRs[2]: `bad` is not a CIDR range",
    ];
    assert_eq!(record.left_out, expected);

    let record = decode_object(
        r#"{"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
            "metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/12", "x"]}}"#,
    );
    let expected = vec!["10.96.0.0/12".parse().unwrap()];
    assert_eq!(record.content, Ok(Content::ServiceCidr(expected)));
    assert_eq!(record.left_out, ["spec.cidrs[1]: `x` is not a CIDR range"]);
}

#[test]
fn events_are_read_in_any_order_of_fields() {
    let expected = Event::Modified(decode(SERVICE));
    for line in [
        format!(r#"{{"type": "MODIFIED", "object": {SERVICE}}}"#),
        format!(r#"{{"object": {SERVICE}, "type": "MODIFIED"}}"#),
        format!(r#"{{"type": "MODIFIED", "x": 1, "object": {SERVICE}, "y": 2}}"#),
    ] {
        assert_eq!(Event::decode(line.as_bytes()).unwrap(), expected, "{line}");
    }
}

#[test]
fn lines_that_are_no_event_fail() {
    for (line, is_json) in [
        ("", false),
        (r#"{"type": "ADDED", "object": {"#, false),
        (r#"{"type": "ADDED"}"#, true),
        (r#"{"object": {}}"#, true),
        (r#"{"type": "SURPRISE", "object": {}}"#, true),
        (r#"{"type": "ADDED", "object": 5}"#, true),
        (r#"{"type": "DELETED", "object": 5}"#, true),
        (r#"{"type": "ERROR", "object": []}"#, true),
    ] {
        let error = Event::decode(line.as_bytes()).unwrap_err();
        let found = matches!(error, DecodeError::NotAnObject(_));
        assert_eq!(found, is_json, "{line}: {error}");
    }
}

/// Pieces of valid documents, from which nonsense is made.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"kind\":\"Service\"",
    "\"kind\":\"List\"",
    "\"kind\":\"EndpointSlice\"",
    "\"apiVersion\":\"v1\"",
    "\"apiVersion\":\"discovery.k8s.io/v1\"",
    "\"metadata\":{\"name\":\"a\"}",
    "\"items\":",
    "\"spec\":",
    "\"ports\":[{\"port\":80}]",
    "\"clusterIP\":\"10.0.0.1\"",
    "\"type\":\"ADDED\"",
    "\"object\":",
    "null",
    "1e999",
    "-1",
    "\"addressType\":\"IPv4\"",
    "\"endpoints\":",
    "\"addresses\":[\"10.0.0.1\"]",
    "\\u0000",
    "\u{fffd}",
];

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = Document::decode(&bytes);
        let _ = Event::decode(&bytes);
    }

    #[test]
    fn pieces_in_any_order_do_not_panic(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24),
    ) {
        let text = pieces.concat();
        let _ = Document::decode(text.as_bytes());
        let _ = Event::decode(text.as_bytes());
    }
}
