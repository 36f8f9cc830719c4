//! Rows 2, 7, 27, 29 and 34 of the feature table: EndpointSlices, and Endpoints read as such.

use super::{decode_object, rejection};
use crate::Protocol;
use crate::decode::Content;
use crate::state::EndpointSlice;

fn with_fields(fields: &str) -> String {
    format!(
        r#"{{"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": {{"name": "web-1", "namespace": "shop",
                "labels": {{"kubernetes.io/service-name": "web"}}}}, {fields}}}"#
    )
}

fn with_endpoints(endpoints: &str) -> String {
    with_fields(&format!(
        r#""addressType": "IPv4", "endpoints": {endpoints}, "ports": [{{"name": "", "port": 80}}]"#
    ))
}

fn with_ports(ports: &str) -> String {
    with_fields(&format!(r#""addressType": "IPv4", "ports": {ports}"#))
}

fn decode(json: &str) -> (EndpointSlice, Vec<String>) {
    let record = decode_object(json);
    match record.content {
        Ok(Content::EndpointSlice(slice)) => (*slice, record.left_out),
        content => panic!("{content:?}: {json}"),
    }
}

#[test]
fn every_field_is_read() {
    let (slice, left_out) = decode(
        r#"{"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"name": "web-1", "namespace": "shop",
            "labels": {"kubernetes.io/service-name": "web", "app": "web"},
            "annotations": {
                "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05Z"}},
        "addressType": "IPv6",
        "endpoints": [{
            "addresses": ["fd00::1", "fd00::2"], "nodeName": "node-a", "zone": "zone-a",
            "hostname": "web-0", "targetRef": {"kind": "Pod", "name": "web-0"},
            "conditions": {"ready": false, "serving": true, "terminating": true},
            "hints": {"forZones": [{"name": "zone-a"}, {"name": "zone-b"}],
                "forNodes": [{"name": "node-a"}]}}],
        "ports": [{"name": "b", "port": 80, "protocol": "UDP", "appProtocol": "x"},
            {"name": "a", "port": 81, "protocol": "SCTP"}]}"#,
    );
    assert_eq!(left_out, Vec::<String>::new());
    assert_eq!(slice.name.to_string(), "shop/web-1");
    assert_eq!(slice.service.to_string(), "shop/web");
    let time = slice.last_change_trigger_time.as_deref();
    assert_eq!(time, Some("2026-01-02T03:04:05Z"));
    let ports = slice.ports.iter();
    let ports = ports.map(|port| (port.name.as_str(), port.protocol, port.port));
    assert_eq!(
        ports.collect::<Vec<_>>(),
        [("a", Protocol::Sctp, 81), ("b", Protocol::Udp, 80)]
    );
    let [endpoint] = slice.endpoints.try_into().unwrap();
    assert_eq!(endpoint.address.to_string(), "fd00::1");
    assert_eq!(endpoint.node_name.as_deref(), Some("node-a"));
    assert!(!endpoint.ready);
    assert!(endpoint.serving);
    assert!(endpoint.terminating);
    assert_eq!(endpoint.zone_hints(), ["zone-a", "zone-b"]);
    assert_eq!(endpoint.node_hints(), ["node-a"]);
}

#[test]
fn conditions_have_defaults() {
    // Row 29. Each: the conditions, then ready, serving and terminating.
    for (conditions, expected) in [
        ("null", (true, true, false)),
        ("{}", (true, true, false)),
        (
            r#"{"ready": null, "serving": null, "terminating": null}"#,
            (true, true, false),
        ),
        (r#"{"ready": false}"#, (false, true, false)),
        (r#"{"serving": false}"#, (true, false, false)),
        (r#"{"terminating": true}"#, (true, true, true)),
    ] {
        let (slice, _) = decode(&with_endpoints(&format!(
            r#"[{{"addresses": ["10.0.0.1"], "conditions": {conditions}}}]"#
        )));
        let endpoint = &slice.endpoints[0];
        let found = (endpoint.ready, endpoint.serving, endpoint.terminating);
        assert_eq!(found, expected, "{conditions}");
    }
}

#[test]
fn slices_the_proxy_has_no_use_for_are_skipped() {
    let label = r#""kubernetes.io/service-name": "web""#;
    let slice = with_endpoints("[]");
    for json in [
        slice.replace(label, r#""kubernetes.io/service-name": """#),
        slice.replace(label, ""),
        slice.replace("IPv4", "FQDN"),
    ] {
        assert_eq!(
            decode_object(&json).content,
            Ok(Content::Irrelevant),
            "{json}"
        );
    }
}

#[test]
fn endpoints_that_are_not_valid_are_left_out() {
    // Row 34; `TestBadIPs` upstream.
    let (slice, left_out) = decode(&with_endpoints(
        r#"[{"addresses": ["10.0.0.1"]}, {"addresses": []}, {"addresses": null}, {},
            {"addresses": ["10.0.0.300"]}, {"addresses": ["fd00::1"]},
            {"addresses": ["010.000.0.2", "bad"], "nodeName": ""}]"#,
    ));
    let addresses = slice.endpoints.iter().map(|one| one.address.to_string());
    assert_eq!(addresses.collect::<Vec<_>>(), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(slice.endpoints[1].node_name, None);
    let expected = [
        "endpoints[1].addresses: empty",
        "endpoints[2].addresses: empty",
        "endpoints[3].addresses: empty",
        "endpoints[4].addresses[0]: `10.0.0.300` is not an IPv4 address",
        "endpoints[5].addresses[0]: `fd00::1` is not an IPv4 address",
    ];
    assert_eq!(left_out, expected);
}

#[test]
fn ports_without_a_number_are_left_out_and_without_a_name_have_the_empty_one() {
    // Row 34, after the defaults of the API server.
    let (slice, left_out) = decode(&with_ports(
        r#"[{"port": 80}, {"name": "a"}, {"name": "b", "port": 0}, {"name": "c", "port": 81},
            {"name": "c", "port": 81}]"#,
    ));
    let ports = slice
        .ports
        .iter()
        .map(|port| (port.name.as_str(), port.port));
    assert_eq!(ports.collect::<Vec<_>>(), [("", 80), ("c", 81)]);
    let expected = ["ports[1].port: missing", "ports[2].port: missing"];
    assert_eq!(left_out, expected);
}

#[test]
fn a_slice_that_is_not_valid_is_rejected_with_field_and_value() {
    for (json, expected) in [
        (with_fields(r#""endpoints": []"#), "addressType: missing"),
        (
            with_fields(r#""addressType": "ipv4""#),
            "addressType: `ipv4` is not `IPv4`, `IPv6` or `FQDN`",
        ),
        (
            with_ports(r#"[{"name": "a", "port": 65536}]"#),
            "ports[0].port: 65536 is not between 1 and 65535",
        ),
        (
            with_ports(r#"[{"name": "a", "port": 1, "protocol": "X"}]"#),
            "ports[0].protocol: `X` is not `TCP`, `UDP` or `SCTP`",
        ),
        (
            with_endpoints(r#"[{"addresses": ["10.0.0.1"], "conditions": {"ready": "yes"}}]"#),
            "endpoints[0].conditions.ready: invalid type: string \"yes\", expected a boolean",
        ),
        (
            with_endpoints(r#"[{"addresses": "10.0.0.1"}]"#),
            "endpoints[0].addresses: invalid type: string \"10.0.0.1\", expected a list",
        ),
    ] {
        assert_eq!(rejection(&json), expected, "{json}");
    }
}

#[test]
fn large_slices_are_read_and_their_faults_counted() {
    let many = |endpoint: &str| with_endpoints(&format!("[{}]", vec![endpoint; 100_000].join(",")));
    let (slice, _) = decode(&many(r#"{"addresses": ["10.0.0.1"]}"#));
    assert_eq!(slice.endpoints.len(), 100_000);
    let (slice, left_out) = decode(&many(r#"{"addresses": ["bad"]}"#));
    assert_eq!(slice.endpoints, []);
    assert_eq!(left_out.len(), 17);
    assert_eq!(left_out[16], "99984 more parts are not valid");
}

#[test]
fn endpoints_are_read_as_slices() {
    let record = decode_object(
        r#"{"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"}, "subsets": [
            {"addresses": [{"ip": "10.0.0.1", "nodeName": "node-a"}, {"ip": "fd00::1"}],
             "notReadyAddresses": [{"ip": "10.0.0.2"}, {"ip": "bad"}],
             "ports": [{"port": 80}]},
            {"addresses": [{"ip": "10.0.0.3"}], "ports": [{"name": "x", "port": 81}]},
            {"ports": [{"port": 82}]}]}"#,
    );
    let Ok(Content::Endpoints { slices, .. }) = record.content else {
        panic!("{:?}", record.content);
    };
    let found = slices.iter().map(|slice| {
        assert_eq!(slice.service.to_string(), "default/web");
        let endpoints = slice.endpoints.iter();
        let endpoints = endpoints.map(|one| (one.address.to_string(), one.ready));
        let ports = slice
            .ports
            .iter()
            .map(|port| (port.name.as_str(), port.port));
        (
            slice.name.name.as_str(),
            ports.collect::<Vec<_>>(),
            endpoints.collect::<Vec<_>>(),
        )
    });
    let expected = [
        (
            "web-0-ipv4",
            vec![("", 80)],
            vec![("10.0.0.1".into(), true), ("10.0.0.2".into(), false)],
        ),
        ("web-0-ipv6", vec![("", 80)], vec![("fd00::1".into(), true)]),
        (
            "web-1-ipv4",
            vec![("x", 81)],
            vec![("10.0.0.3".into(), true)],
        ),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let expected = ["subsets[0].notReadyAddresses[1].ip: `bad` is not an IP address"];
    assert_eq!(record.left_out, expected);
    assert_eq!(slices[0].endpoints[0].node_name.as_deref(), Some("node-a"));
}

#[test]
fn endpoints_of_headless_services_have_host_names() {
    let record = decode_object(
        r#"{"apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": "db", "labels": {"service.kubernetes.io/headless": ""}},
            "subsets": [{"addresses": [{"ip": "10.0.0.1", "hostname": "db-0"}, {"ip": "10.0.0.2"}]}]}"#,
    );
    let Ok(Content::Endpoints {
        is_headless: true,
        slices,
    }) = record.content
    else {
        panic!("{:?}", record.content);
    };
    let names = slices[0].endpoints.iter();
    let names: Vec<_> = names.map(|one| one.hostname.as_deref().cloned()).collect();
    assert_eq!(names, [Some("db-0".into()), None]);
}
