//! The forms of a target.

use super::fixture::{Fixture, endpoint, service, slice};
use crate::explain::{Target, TargetError};
use crate::{NamespacedName, Protocol};
use serde_json::json;

fn address(address: &str, port: u16, protocol: Option<Protocol>) -> Target {
    Target::Address {
        address: address.parse().unwrap(),
        port,
        protocol,
    }
}

fn named(namespace: &str, name: &str, port: Option<&str>, protocol: Option<Protocol>) -> Target {
    Target::Service {
        name: NamespacedName {
            namespace: namespace.into(),
            name: name.into(),
        },
        port: port.map(Into::into),
        protocol,
    }
}

#[test]
fn forms() {
    let (tcp, udp) = (Some(Protocol::Tcp), Some(Protocol::Udp));
    let rows = [
        ("10.96.0.1:80", address("10.96.0.1", 80, None)),
        ("10.96.0.1:53/udp", address("10.96.0.1", 53, udp)),
        ("10.96.0.1:53/TCP", address("10.96.0.1", 53, tcp)),
        ("[fd00::1]:80/tcp", address("fd00::1", 80, tcp)),
        ("[::ffff:10.96.0.1]:80", address("10.96.0.1", 80, None)),
        (
            "node:30080/udp",
            Target::NodePort {
                port: 30080,
                protocol: udp,
            },
        ),
        ("web", named("default", "web", None, None)),
        ("node", named("default", "node", None, None)),
        ("web:http", named("default", "web", Some("http"), None)),
        ("kube-system/dns", named("kube-system", "dns", None, None)),
        (
            "kube-system/dns:53/udp",
            named("kube-system", "dns", Some("53"), udp),
        ),
    ];
    for (text, target) in rows {
        assert_eq!(text.parse(), Ok(target), "{text}");
    }
}

#[test]
fn what_is_no_target() {
    let form = |text: &str| TargetError::Form(text.into());
    let rows = [
        ("10.96.0.1", TargetError::NoPort([10, 96, 0, 1].into())),
        ("fd00::1", TargetError::NoPort("fd00::1".parse().unwrap())),
        ("10.96.0.1:0", TargetError::Port("0".into())),
        ("10.96.0.1:65536", TargetError::Port("65536".into())),
        ("10.96.0.1:http", TargetError::Port("http".into())),
        ("node:x", TargetError::Port("x".into())),
        ("10.96.0.1:80/icmp", TargetError::Protocol("icmp".into())),
        ("", form("")),
        ("/web", form("/web")),
        ("a/b/c", form("a/b/c")),
        ("web:", form("web:")),
        ("[10.96.0.1]:80", form("[10.96.0.1]:80")),
        ("web\u{1b}[2J", form("web\u{1b}[2J")),
    ];
    for (text, error) in rows {
        assert_eq!(text.parse::<Target>(), Err(error), "{text}");
    }
}

#[test]
fn questions_without_an_answer() {
    let objects = [
        service("web", 10, &json!({})),
        slice("web", &[endpoint("10.244.1.1", "a")]),
    ];
    let mut fixture = Fixture::new(&json!({}), &objects);
    let rows = [
        (
            "web:81",
            None,
            "the Service `default/web` has no port `81`, only `http` (`80/tcp`)",
        ),
        (
            "web:http/udp",
            None,
            "the Service `default/web` has no port `http/udp`, only `http` (`80/tcp`)",
        ),
        (
            "other/web",
            None,
            "the Service `other/web` is not among those this node makes work",
        ),
        (
            "web",
            Some("here"),
            "the source `here` is not an IP address",
        ),
        (
            "web",
            Some("fd00::1"),
            "a packet from `fd00::1` cannot go to the target: it has no address of that IP family",
        ),
        (
            "10.96.0.10:80",
            Some("fd00::1"),
            "a packet from `fd00::1` cannot go to the target: it has no address of that IP family",
        ),
    ];
    for (target, source, message) in rows {
        assert_eq!(fixture.refuse(target, source).to_string(), message);
    }
    assert!(
        fixture
            .refuse("web:81:82", None)
            .hint()
            .unwrap()
            .contains(Target::FORMS)
    );
}

#[test]
fn a_rejected_service_is_named_as_one() {
    let mut fixture = Fixture::new(&json!({}), &[]);
    let bad = service("bad", 10, &json!({"clusterIP": "10.96.0.300"}));
    fixture.proxier.feed(bad.to_string().as_bytes()).unwrap();
    let message = fixture.refuse("bad", None).to_string();
    assert!(
        message.starts_with("the Service `default/bad` is rejected: "),
        "{message}"
    );
    assert!(message.contains("10.96.0.300"), "{message}");
}
