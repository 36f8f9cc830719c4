//! Rows 1 to 24 of the feature table, and Services that are not valid.

use std::time::Duration;

use super::{decode_object, rejection};
use crate::decode::Content;
use crate::state::{Service, TrafficPolicy};
use crate::{Kind, Protocol};

/// A Service with fields of `spec` besides those every one has.
fn with_spec(spec: &str) -> String {
    with_spec_and_status(spec, "{}")
}

fn with_spec_and_status(spec: &str, status: &str) -> String {
    format!(
        r#"{{"kind": "Service", "apiVersion": "v1",
            "metadata": {{"name": "web", "namespace": "shop"}},
            "spec": {{"clusterIP": "10.96.0.1", "ports": [{{"port": 80}}] {spec}}},
            "status": {status}}}"#
    )
}

/// A Service whose `spec` is all given.
fn with_whole_spec(spec: &str) -> String {
    format!(
        r#"{{"kind": "Service", "apiVersion": "v1", "metadata": {{"name": "web"}}, "spec": {spec}}}"#
    )
}

/// Decodes a Service, and the reasons why parts of it are left out.
fn decode(json: &str) -> (Service, Vec<String>) {
    let record = decode_object(json);
    match record.content {
        Ok(Content::Service(service)) => (*service, record.left_out),
        content => panic!("{content:?}: {json}"),
    }
}

fn strings<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

#[test]
fn every_field_is_read() {
    let json = r#"{"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "42",
            "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"app": "web"}},
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.1",
            "clusterIPs": ["10.96.0.1", "fd00::1"], "ipFamilies": ["IPv4", "IPv6"],
            "externalIPs": ["192.0.2.7"], "loadBalancerSourceRanges": ["198.51.100.0/24"],
            "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local",
            "healthCheckNodePort": 30999, "selector": {"app": "web"},
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}},
            "ports": [
                {"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web",
                 "nodePort": 30080, "appProtocol": "http"},
                {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 5353}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9", "ipMode": "VIP"}]}}}"#;
    let record = decode_object(json);
    assert_eq!(record.kind, Kind::Service);
    assert_eq!(record.name.to_string(), "shop/web");
    assert_eq!(record.resource_version.as_deref(), Some("42"));
    let (service, left_out) = decode(json);
    assert_eq!(left_out, Vec::<String>::new());
    assert_eq!(service.name, record.name);
    assert_eq!(service.created, "2026-01-02T03:04:05Z");
    assert_eq!(strings(service.cluster_ips), ["10.96.0.1", "fd00::1"]);
    assert_eq!(strings(service.external_ips), ["192.0.2.7"]);
    assert_eq!(strings(service.load_balancer_ips), ["203.0.113.9"]);
    assert_eq!(strings(service.source_ranges), ["198.51.100.0/24"]);
    assert_eq!(service.external_traffic_policy, TrafficPolicy::Local);
    assert_eq!(service.internal_traffic_policy, TrafficPolicy::Local);
    assert_eq!(service.session_affinity, Some(Duration::from_secs(600)));
    assert_eq!(service.health_check_node_port, Some(30999));
    assert!(service.has_selector);
    let ports = service.ports.iter();
    let ports = ports.map(|port| (port.name.as_str(), port.protocol, port.port, port.node_port));
    assert_eq!(
        ports.collect::<Vec<_>>(),
        [
            ("http", Protocol::Tcp, 80, Some(30080)),
            ("dns", Protocol::Udp, 53, None),
        ]
    );
}

#[test]
fn what_is_missing_or_null_has_a_default() {
    for json in [
        with_spec(""),
        with_spec(
            r#", "type": null, "clusterIPs": null, "externalIPs": null, "selector": null,
               "loadBalancerSourceRanges": null, "externalTrafficPolicy": null,
               "internalTrafficPolicy": null, "sessionAffinity": null,
               "sessionAffinityConfig": null, "healthCheckNodePort": null"#,
        ),
        with_spec(r#", "selector": {}, "sessionAffinity": "None", "healthCheckNodePort": 0"#),
    ] {
        let (service, left_out) = decode(&json);
        assert_eq!(left_out, Vec::<String>::new());
        assert_eq!(service.created, "");
        assert_eq!(strings(service.cluster_ips), ["10.96.0.1"]);
        assert!(service.external_ips.is_empty());
        assert!(service.load_balancer_ips.is_empty());
        assert!(service.source_ranges.is_empty());
        assert_eq!(service.external_traffic_policy, TrafficPolicy::Cluster);
        assert_eq!(service.internal_traffic_policy, TrafficPolicy::Cluster);
        assert_eq!(service.session_affinity, None);
        assert_eq!(service.health_check_node_port, None);
        assert!(!service.has_selector);
        assert_eq!(service.ports.len(), 1);
        assert_eq!(service.ports[0].name, "");
        assert_eq!(service.ports[0].protocol, Protocol::Tcp);
        assert_eq!(service.ports[0].node_port, None);
    }
}

#[test]
fn services_without_a_cluster_ip_are_not_proxied() {
    // Rows 1 and 3.
    for spec in [
        r#"{"clusterIP": "None"}"#,
        r#"{"clusterIP": "None", "clusterIPs": ["None"]}"#,
        r#"{"clusterIP": ""}"#,
        r#"{"ports": [{"port": 80}]}"#,
        r#"{"clusterIPs": []}"#,
        r#"{"clusterIPs": ["None"]}"#,
        r#"{"type": "ExternalName", "externalName": "example.org"}"#,
        r#"{"type": "ExternalName", "clusterIP": "10.96.0.1", "ports": [{"port": 80}]}"#,
        "null",
    ] {
        let (service, _) = decode(&with_whole_spec(spec));
        assert!(!service.is_proxied, "{spec}");
        assert!(service.cluster_ips.is_empty(), "{spec}");
    }
}

#[test]
fn services_of_another_proxy_are_not_proxied() {
    for value in [r#""other""#, r#""""#, "null"] {
        let label = format!(r#""service.kubernetes.io/service-proxy-name": {value}"#);
        let json = with_spec("").replace(
            r#""namespace""#,
            &format!(r#""labels": {{{label}}}, "namespace""#),
        );
        assert!(!decode(&json).0.is_proxied, "{value}");
    }
}

#[test]
fn cluster_ips_are_read_from_either_field() {
    for (spec, expected) in [
        (r#"{"clusterIP": "10.96.0.1"}"#, &["10.96.0.1"][..]),
        (r#"{"clusterIPs": ["10.96.0.1"]}"#, &["10.96.0.1"]),
        (
            r#"{"clusterIP": "fd00::1", "clusterIPs": ["fd00::1", "10.96.0.1"]}"#,
            &["fd00::1", "10.96.0.1"],
        ),
        (r#"{"clusterIP": "010.096.000.001"}"#, &["10.96.0.1"]),
        (r#"{"clusterIP": "::ffff:10.96.0.1"}"#, &["10.96.0.1"]),
    ] {
        let (service, _) = decode(&with_whole_spec(spec));
        assert_eq!(strings(service.cluster_ips), expected, "{spec}");
    }
}

#[test]
fn a_service_that_is_not_valid_is_rejected_with_field_and_value() {
    for (json, expected) in [
        (
            with_whole_spec(r#"{"clusterIP": "10.96.0.256"}"#),
            "spec.clusterIP: `10.96.0.256` is not an IP address",
        ),
        (
            with_whole_spec(r#"{"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "x"]}"#),
            "spec.clusterIPs: `x` is not an IP address",
        ),
        (
            with_whole_spec(r#"{"clusterIPs": ["10.96.0.1", "10.96.0.2"]}"#),
            "spec.clusterIPs: `10.96.0.2` is a second address of its family",
        ),
        (
            with_spec(r#", "loadBalancerSourceRanges": ["10.0.0.0/8", "all"]"#),
            "spec.loadBalancerSourceRanges[1]: `all` is not a CIDR range",
        ),
        (
            with_spec(
                r#", "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}"#,
            ),
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0 is not between 1 and 86400",
        ),
        (
            with_spec(
                r#", "type": "LoadBalancer", "externalTrafficPolicy": "Local",
                "healthCheckNodePort": 65536"#,
            ),
            "spec.healthCheckNodePort: 65536 is not between 1 and 65535",
        ),
    ] {
        assert_eq!(rejection(&json), expected, "{json}");
    }
}

#[test]
fn a_service_with_a_bad_port_is_rejected() {
    for (ports, expected) in [
        (
            r#"{"port": 70000}"#,
            "spec.ports[0].port: 70000 is not between 1 and 65535",
        ),
        (
            r#"{"port": 80}, {"name": "b", "port": 0}"#,
            "spec.ports[1].port: 0 is not between 1 and 65535",
        ),
        (
            r#"{"port": -1}"#,
            "spec.ports[0].port: -1 is not between 1 and 65535",
        ),
        (r#"{"name": "a"}"#, "spec.ports[0].port: missing"),
        (
            r#"{"port": 80, "nodePort": 65536}"#,
            "spec.ports[0].nodePort: 65536 is not between 1 and 65535",
        ),
        (
            r#"{"port": 80, "nodePort": -5}"#,
            "spec.ports[0].nodePort: -5 is not between 1 and 65535",
        ),
        (
            r#"{"port": 80, "protocol": "ICMP"}"#,
            "spec.ports[0].protocol: `ICMP` is not `TCP`, `UDP` or `SCTP`",
        ),
        (
            r#"{"port": 80, "protocol": "tcp"}"#,
            "spec.ports[0].protocol: `tcp` is not `TCP`, `UDP` or `SCTP`",
        ),
        (
            r#"{"port": 80, "name": "not a name"}"#,
            "spec.ports[0].name: `not a name` is not a DNS name",
        ),
        (
            r#"{"port": 80, "name": "a"}, {"port": 81, "name": "a"}"#,
            "spec.ports[1].name: the same as that of spec.ports[0], for tcp",
        ),
        (
            r#"{"port": 80, "name": "a"}, {"port": 80, "name": "b"}"#,
            "spec.ports[1].port: the same as that of spec.ports[0], for tcp",
        ),
        (
            r#"{"port": 80, "name": "a", "nodePort": 30000},
               {"port": 81, "name": "b", "nodePort": 30000}"#,
            "spec.ports[1].nodePort: the same as that of spec.ports[0], for tcp",
        ),
        (
            r#"{"port": "http"}"#,
            "spec.ports[0].port: invalid type: string \"http\", expected i64",
        ),
        (
            r#"{"port": 80.5}"#,
            "spec.ports[0].port: invalid type: floating point `80.5`, expected i64",
        ),
        (
            r#"{"port": 9999999999999999999}"#,
            "spec.ports[0].port: invalid value: integer `9999999999999999999`, expected i64",
        ),
        (
            r#"{"port": 1e400}"#,
            "spec.ports[0].port: number out of range",
        ),
    ] {
        let json = with_whole_spec(&format!(
            r#"{{"clusterIP": "10.96.0.1", "ports": [{ports}]}}"#
        ));
        assert_eq!(rejection(&json), expected, "{ports}");
    }
}

#[test]
fn a_number_may_serve_several_protocols() {
    // Row 9.
    let (service, _) = decode(&with_whole_spec(
        r#"{"clusterIP": "10.96.0.1", "ports": [
            {"name": "a", "port": 53, "protocol": "UDP", "nodePort": 30053},
            {"name": "b", "port": 53, "protocol": "TCP", "nodePort": 30053},
            {"name": "c", "port": 53, "protocol": "SCTP", "nodePort": 30053}]}"#,
    ));
    assert_eq!(service.ports.len(), 3);
}

#[test]
fn the_number_of_ports_is_bounded() {
    let with_ports = |count: usize| {
        let ports: Vec<_> = (1..=count)
            .map(|port| format!(r#"{{"name": "p{port}", "port": {port}}}"#))
            .collect();
        let ports = ports.join(",");
        with_whole_spec(&format!(
            r#"{{"clusterIP": "10.96.0.1", "ports": [{ports}]}}"#
        ))
    };
    assert_eq!(decode(&with_ports(20_000)).0.ports.len(), 20_000);
    let reason = rejection(&with_ports(100_000));
    assert_eq!(reason, "spec.ports: 100000 ports are more than 20000");
}

#[test]
fn external_ips_that_are_not_valid_are_left_out() {
    // Row 15; `TestBadIPs` upstream.
    let (service, left_out) = decode(&with_spec(
        r#", "externalIPs": ["192.0.2.9", "bad", "192.0.2.008", "", "fd00::7", "192.0.2.9"]"#,
    ));
    let expected = ["192.0.2.8", "192.0.2.9", "fd00::7"];
    assert_eq!(strings(service.external_ips), expected);
    let expected = [
        "spec.externalIPs[1]: `bad` is not an IP address",
        "spec.externalIPs[3]: `` is not an IP address",
    ];
    assert_eq!(left_out, expected);
}

#[test]
fn load_balancer_ips_count_in_vip_mode() {
    // Row 16.
    let (service, left_out) = decode(&with_spec_and_status(
        r#", "type": "LoadBalancer""#,
        r#"{"loadBalancer": {"ingress": [
            {"ip": "203.0.113.1"}, {"ip": "203.0.113.2", "ipMode": "VIP"},
            {"ip": "203.0.113.3", "ipMode": "Proxy"}, {"hostname": "lb.example.org"},
            {"ip": "203.0.113.4", "ipMode": null}, {"ip": ""}, {"ip": "bad"},
            {"ip": "203.0.113.05"}]}}"#,
    ));
    let expected = ["203.0.113.1", "203.0.113.2", "203.0.113.4", "203.0.113.5"];
    assert_eq!(strings(service.load_balancer_ips), expected);
    let expected = ["status.loadBalancer.ingress[6].ip: `bad` is not an IP address"];
    assert_eq!(left_out, expected);
}

#[test]
fn source_ranges_are_trimmed() {
    // Row 17.
    let (service, _) = decode(&with_spec(
        r#", "loadBalancerSourceRanges": [" 10.1.2.3/8 ", "0.0.0.0/0", "10.0.0.0/08\n"]"#,
    ));
    assert_eq!(strings(service.source_ranges), ["0.0.0.0/0", "10.0.0.0/8"]);
}

#[test]
fn the_external_policy_counts_where_something_is_external() {
    for (spec, expected) in [
        (r#""type": "NodePort""#, TrafficPolicy::Local),
        (r#""type": "LoadBalancer""#, TrafficPolicy::Local),
        (r#""externalIPs": ["192.0.2.7"]"#, TrafficPolicy::Local),
        (r#""type": "ClusterIP""#, TrafficPolicy::Cluster),
    ] {
        let json = with_spec(&format!(r#", "externalTrafficPolicy": "Local", {spec}"#));
        assert_eq!(decode(&json).0.external_traffic_policy, expected, "{spec}");
    }
}

#[test]
fn affinity_lasts_three_hours_unless_it_says_otherwise() {
    // Row 22.
    for (spec, expected) in [
        (r#""sessionAffinity": "ClientIP""#, Some(10_800)),
        (
            r#""sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {}}"#,
            Some(10_800),
        ),
        (
            r#""sessionAffinity": "ClientIP",
               "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86400}}"#,
            Some(86_400),
        ),
        (
            r#""sessionAffinity": "None",
               "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}"#,
            None,
        ),
    ] {
        let (service, _) = decode(&with_spec(&format!(", {spec}")));
        let expected = expected.map(Duration::from_secs);
        assert_eq!(service.session_affinity, expected, "{spec}");
    }
}

#[test]
fn the_health_check_port_counts_for_local_load_balancers() {
    // Row 24.
    let port = r#""healthCheckNodePort": 30999"#;
    for (spec, expected) in [
        (
            r#""type": "LoadBalancer", "externalTrafficPolicy": "Local""#,
            Some(30999),
        ),
        (r#""type": "LoadBalancer""#, None),
        (
            r#""type": "NodePort", "externalTrafficPolicy": "Local""#,
            None,
        ),
    ] {
        let (service, _) = decode(&with_spec(&format!(", {spec}, {port}")));
        assert_eq!(service.health_check_node_port, expected, "{spec}");
    }
}
