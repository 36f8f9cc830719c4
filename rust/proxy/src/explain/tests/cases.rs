//! What is said, row by row.

use serde_json::{Value, json};

use super::fixture::{
    CLIENT, Fixture, NODE, POD, STRANGER, endpoint, endpoint_with, service, slice,
};
use crate::explain::{EndpointList, Outcome, Path, Rule, SessionAffinity, SourceClass};

fn pods() -> Value {
    json!({"cluster_cidrs": ["10.244.0.0/16"]})
}

/// A Service `web` with one endpoint here and one elsewhere.
fn web(spec: &Value) -> [Value; 2] {
    let endpoints = [endpoint("10.244.1.1", "a"), endpoint("10.244.2.1", "b")];
    [service("web", 10, spec), slice("web", &endpoints)]
}

/// A path in a line.
fn line(path: &Path) -> String {
    let list = match path.list {
        Some(EndpointList::Cluster) => "cluster",
        Some(EndpointList::Local) => "local",
        Some(EndpointList::ShortCircuit) => "short circuit",
        None => "none",
    };
    let source = match &path.masquerade {
        Some(masquerade) if masquerade.applies => "masqueraded",
        Some(_) => "kept",
        None => "-",
    };
    format!(
        "{:?} {list} {} {source}",
        path.outcome,
        path.endpoints.len()
    )
}

#[test]
fn policies_and_sources() {
    let local = json!({"externalTrafficPolicy": "Local"});
    let internal = json!({"internalTrafficPolicy": "Local"});
    let plain = json!({});
    // Policy, target, then what happens to packets from a pod, the node and a client.
    let rows = [
        (
            &plain,
            "10.96.0.10:80",
            [
                "Balanced cluster 2 kept",
                "Balanced cluster 2 masqueraded",
                "Balanced cluster 2 masqueraded",
            ],
        ),
        (
            &plain,
            "203.0.113.10:80",
            [
                "Balanced cluster 2 masqueraded",
                "Balanced cluster 2 masqueraded",
                "Balanced cluster 2 masqueraded",
            ],
        ),
        (
            &internal,
            "10.96.0.10:80",
            [
                "Balanced local 1 kept",
                "Balanced local 1 masqueraded",
                "Balanced local 1 masqueraded",
            ],
        ),
        (
            &internal,
            "node:30010",
            [
                "Balanced cluster 2 masqueraded",
                "Balanced cluster 2 masqueraded",
                "Balanced cluster 2 masqueraded",
            ],
        ),
        (
            &local,
            "10.96.0.10:80",
            [
                "Balanced cluster 2 kept",
                "Balanced cluster 2 masqueraded",
                "Balanced cluster 2 masqueraded",
            ],
        ),
        (
            &local,
            "node:30010",
            [
                "Balanced short circuit 2 kept",
                "Balanced short circuit 2 masqueraded",
                "Balanced local 1 kept",
            ],
        ),
        (
            &local,
            "198.51.100.10:80",
            [
                "Balanced short circuit 2 kept",
                "Balanced short circuit 2 masqueraded",
                "Balanced local 1 kept",
            ],
        ),
    ];
    for (spec, target, expected) in rows {
        let mut fixture = Fixture::new(&pods(), &web(spec));
        let classes = fixture.explain(target, None);
        let [port] = classes.ports.as_slice() else {
            panic!("{classes:?}");
        };
        let paths = &port.frontends[0].paths;
        assert_eq!(
            paths.iter().map(line).collect::<Vec<_>>(),
            expected,
            "{spec} {target}"
        );
        // An address of a class is treated as the class is.
        for (source, path) in [POD, NODE, CLIENT].into_iter().zip(paths) {
            let one = fixture.explain(target, Some(source));
            let alone = &one.ports[0].frontends[0].paths[0];
            assert_eq!(alone.source.class, path.source.class);
            assert_eq!(line(alone), line(path));
        }
    }
}

#[test]
fn pods_that_cannot_be_told_count_as_outside() {
    let spec = json!({"externalTrafficPolicy": "Local"});
    let mut fixture = Fixture::new(&json!({}), &web(&spec));
    let explanation = fixture.explain("node:30010", None);
    let paths = &explanation.ports[0].frontends[0].paths;
    let classes: Vec<_> = paths.iter().map(|path| path.source.class).collect();
    assert_eq!(classes, [SourceClass::Node, SourceClass::Outside]);
    assert!(
        paths[1]
            .source
            .reason
            .contains("pods too: no IPv4 range of pods is known")
    );
    // Then a pod may be an endpoint that comes back to itself.
    assert_eq!(paths[1].hairpin.len(), 1);
    let explanation = fixture.explain("web", Some(POD));
    let path = &explanation.ports[0].frontends[0].paths[0];
    assert_eq!(path.source.class, SourceClass::Outside);
    assert!(!path.masquerade.as_ref().unwrap().applies);
}

#[test]
fn pods_by_interface_are_guessed_by_address() {
    let options = json!({
        "detect_local_mode": "BridgeInterface", "detect_local_interface": "cni0",
    });
    let mut fixture = Fixture::new(&options, &web(&json!({})));
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"},
        "spec": {"podCIDRs": ["10.244.1.0/24"]},
    });
    fixture.proxier.feed(node.to_string().as_bytes()).unwrap();
    for (source, class) in [
        (POD, SourceClass::Pod),
        ("10.244.2.9", SourceClass::Outside),
    ] {
        let explanation = fixture.explain("web", Some(source));
        let source = &explanation.ports[0].frontends[0].paths[0].source;
        assert_eq!(source.class, class);
        assert!(
            source.reason.contains("come in by interface `cni0`"),
            "{}",
            source.reason
        );
    }
}

#[test]
fn a_pod_that_reaches_itself_is_masqueraded() {
    let mut fixture = Fixture::new(&pods(), &web(&json!({})));
    let hairpin = |fixture: &mut Fixture, source: &str| {
        let explanation = fixture.explain("10.96.0.10:80", Some(source));
        let hairpin = explanation.ports[0].frontends[0].paths[0].hairpin.clone();
        hairpin.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(hairpin(&mut fixture, "10.244.1.1"), ["10.244.1.1:8080"]);
    assert_eq!(hairpin(&mut fixture, POD), [""; 0]);
    // Its own node takes care of that.
    assert_eq!(hairpin(&mut fixture, "10.244.2.1"), [""; 0]);
}

#[test]
fn without_endpoints() {
    let elsewhere = [endpoint("10.244.2.1", "b")];
    let unready = json!({"conditions": {"ready": false}});
    let unready = [endpoint_with("10.244.2.1", "b", &unready)];
    let (local, internal) = (
        json!({"externalTrafficPolicy": "Local"}),
        json!({"internalTrafficPolicy": "Local"}),
    );
    let rows: [(_, &[Value], _, _, _); 6] = [
        (
            json!({}),
            &[],
            "10.96.0.10:80",
            Outcome::Rejected,
            "no endpoint, here or elsewhere",
        ),
        (
            json!({}),
            &unready,
            "node:30010",
            Outcome::Rejected,
            "no endpoint, here or elsewhere",
        ),
        (
            local.clone(),
            &unready,
            "203.0.113.10:80",
            Outcome::Rejected,
            "no endpoint",
        ),
        (
            local.clone(),
            &elsewhere,
            "node:30010",
            Outcome::Dropped,
            "external traffic policy is Local",
        ),
        (
            internal,
            &elsewhere,
            "10.96.0.10:80",
            Outcome::Dropped,
            "internal traffic policy is Local",
        ),
        (
            local,
            &elsewhere,
            "10.96.0.10:80",
            Outcome::Balanced,
            "internal traffic policy is Cluster",
        ),
    ];
    for (spec, endpoints, target, outcome, reason) in rows {
        let objects = [service("web", 10, &spec), slice("web", endpoints)];
        let explanation = Fixture::new(&pods(), &objects).explain(target, Some(CLIENT));
        let path = &explanation.ports[0].frontends[0].paths[0];
        assert_eq!(path.outcome, outcome, "{spec} {target}");
        assert!(path.reason.contains(reason), "{}", path.reason);
    }
}

#[test]
fn endpoints_and_hints() {
    let hints = |zone: &str| json!({"hints": {"forZones": [{"name": zone}]}});
    let node_hint = |node: &str| json!({"hints": {"forNodes": [{"name": node}]}});
    let state = |ready: bool, serving: bool| json!({"conditions": {"ready": ready, "serving": serving, "terminating": true}});
    let with = |number: u8, node: &str, fields: &Value| {
        endpoint_with(&format!("10.244.1.{number}"), node, fields)
    };
    // Endpoints, what hints come to, then of each endpoint why it is in the two lists or not.
    let rows = [
        (
            vec![endpoint("10.244.1.1", "a")],
            "there are none",
            vec![("ready", "ready")],
        ),
        (
            vec![with(1, "a", &hints("z")), with(2, "b", &hints("y"))],
            "only endpoints hinted to this zone, `z`, count; node hints do not: \
             no ready endpoint has one",
            vec![
                ("ready", "ready"),
                ("hinted to other zones", "on another node"),
            ],
        ),
        (
            vec![with(1, "b", &node_hint("a")), with(2, "a", &node_hint("b"))],
            "only endpoints hinted to this node, `a`, count",
            vec![
                ("ready", "on another node"),
                ("hinted to other nodes", "ready"),
            ],
        ),
        (
            vec![with(1, "a", &hints("z")), endpoint("10.244.1.2", "b")],
            "node hints do not count: no ready endpoint has one; zone hints do not: some ready \
             endpoints have none",
            vec![("ready", "ready"), ("ready", "on another node")],
        ),
        (
            vec![with(1, "a", &hints("y"))],
            "node hints do not count: no ready endpoint has one; zone hints do not: none is for \
             this zone",
            vec![("ready", "ready")],
        ),
        (
            vec![
                with(1, "a", &state(false, true)),
                with(2, "b", &state(false, false)),
            ],
            "they do not count: no endpoint is ready",
            vec![
                ("terminating but serving", "terminating but serving"),
                ("terminating", "on another node"),
            ],
        ),
    ];
    for (endpoints, hints, verdicts) in rows {
        let objects = [service("web", 10, &json!({})), slice("web", &endpoints)];
        let explanation = Fixture::new(&pods(), &objects).explain("web:http", None);
        let json: Value = serde_json::from_str(&explanation.to_json().unwrap()).unwrap();
        let port = &json["ports"][0];
        assert_eq!(port["hints"], hints);
        let said = port["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|endpoint| {
                let reason = |list: &str| endpoint[list]["reason"].as_str().unwrap();
                (reason("cluster"), reason("local"))
            });
        assert_eq!(said.collect::<Vec<_>>(), verdicts);
    }
}

#[test]
fn source_ranges() {
    let spec = json!({"loadBalancerSourceRanges": ["198.51.100.0/24"]});
    let mut fixture = Fixture::new(&pods(), &web(&spec));
    let outcome = |fixture: &mut Fixture, target: &str, source: &str| {
        let explanation = fixture.explain(target, Some(source));
        let path = explanation.ports[0].frontends[0].paths[0].clone();
        (path.outcome, path.reason)
    };
    let (allowed, _) = outcome(&mut fixture, "203.0.113.10:80", CLIENT);
    assert_eq!(allowed, Outcome::Balanced);
    for source in [STRANGER, POD] {
        let (refused, reason) = outcome(&mut fixture, "203.0.113.10:80", source);
        assert_eq!(refused, Outcome::Dropped);
        assert_eq!(reason, "the source is in none of the source ranges");
        // They guard the load balancer only.
        for target in ["10.96.0.10:80", "198.51.100.10:80", "node:30010"] {
            assert_eq!(outcome(&mut fixture, target, source).0, Outcome::Balanced);
        }
    }
    let frontend = &fixture.explain("203.0.113.10:80", None).ports[0].frontends[0];
    assert_eq!(
        frontend.source_ranges.as_ref().unwrap()[0].to_string(),
        "198.51.100.0/24"
    );
}

#[test]
fn an_older_service_wins() {
    let younger = service("younger", 30, &json!({"externalIPs": ["198.51.100.10"]}));
    let mut fixture = Fixture::new(
        &pods(),
        &web(&json!({}))
            .into_iter()
            .chain([younger])
            .collect::<Vec<_>>(),
    );
    let explanation = fixture.explain("198.51.100.10:80", Some(CLIENT));
    let [port] = explanation.ports.as_slice() else {
        panic!("{explanation:?}");
    };
    assert_eq!(port.service.to_string(), "default/web");
    assert_eq!(
        port.frontends[0].refused_to[0].to_string(),
        "default/younger"
    );
    assert_eq!(port.frontends[0].lost_to, None);
    let explanation = fixture.explain("younger", Some(CLIENT));
    let lost = explanation.ports[0]
        .frontends
        .iter()
        .filter(|frontend| frontend.lost_to.is_some());
    let [lost] = lost.collect::<Vec<_>>()[..] else {
        panic!("{explanation:?}");
    };
    assert_eq!(lost.frontend.to_string(), "198.51.100.10:80/tcp");
    assert_eq!(lost.lost_to.as_ref().unwrap().to_string(), "default/web");
    assert!(lost.paths.is_empty());
}

#[test]
fn a_name_stands_for_every_frontend_and_an_address_for_one() {
    let mut fixture = Fixture::new(&pods(), &web(&json!({"sessionAffinity": "ClientIP"})));
    let names = |explanation: &crate::explain::Explanation| {
        let json = serde_json::to_value(explanation).unwrap();
        let of = |list: &str| {
            let frontends = json["ports"][0][list].as_array().unwrap().iter();
            let name = |frontend: &Value| {
                let text = |field: &str| frontend[field].as_str().unwrap();
                format!("{} {}", text("kind"), text("frontend"))
            };
            frontends.map(name).collect::<Vec<_>>()
        };
        (of("frontends"), of("otherFrontends"))
    };
    let all = [
        "clusterIP 10.96.0.10:80/tcp",
        "loadBalancer 203.0.113.10:80/tcp",
        "externalIP 198.51.100.10:80/tcp",
        "nodePort node-ip:30010/tcp",
    ];
    let explanation = fixture.explain("default/web:80/tcp", None);
    assert_eq!(
        names(&explanation),
        (all.map(str::to_owned).to_vec(), vec![])
    );
    let affinity = SessionAffinity {
        timeout_seconds: 10800,
    };
    assert_eq!(explanation.ports[0].session_affinity, Some(affinity));
    let (meant, others) = names(&fixture.explain("192.0.2.1:30010", None));
    assert_eq!(meant, ["nodePort node-ip:30010/tcp"]);
    assert_eq!(others, all[..3]);
}

#[test]
fn what_nobody_has() {
    let rows = [
        (
            "10.96.0.10:81",
            Rule::ClusterIpPort,
            Outcome::Rejected,
            "the cluster IP of `default/web`, which has no port `81`",
        ),
        (
            "10.96.0.10:80/udp",
            Rule::ClusterIpPort,
            Outcome::Rejected,
            "no port `80/udp`",
        ),
        (
            "10.96.9.9:80",
            Rule::UnallocatedServiceIp,
            Outcome::Dropped,
            "in the service range `10.96.0.0/16`",
        ),
        (
            "[fd00:96::9]:80",
            Rule::UnallocatedServiceIp,
            Outcome::Dropped,
            "`fd00:96::/112`",
        ),
        (
            "203.0.113.10:81",
            Rule::None,
            Outcome::Passed,
            "leads to `default/web`, but `81`",
        ),
        (
            "8.8.8.8:53",
            Rule::None,
            Outcome::Passed,
            "no Service has `8.8.8.8`",
        ),
        (
            "8.8.8.8:30010",
            Rule::None,
            Outcome::Passed,
            "node port `30010` of `default/web` answers on 192.0.2.1",
        ),
        (
            "192.0.2.2:30010",
            Rule::NodePort,
            Outcome::Passed,
            "do not answer on `192.0.2.2`, only on 192.0.2.1",
        ),
        (
            "127.0.0.1:30010",
            Rule::NodePort,
            Outcome::Passed,
            "do not answer on `127.0.0.1`",
        ),
        (
            "192.0.2.1:22",
            Rule::NodePort,
            Outcome::Passed,
            "no Service has `22` as a node port",
        ),
        (
            "node:22/tcp",
            Rule::NodePort,
            Outcome::Passed,
            "no Service has `22/tcp` as a node port",
        ),
    ];
    let mut fixture = Fixture::new(&pods(), &web(&json!({})));
    for (target, rule, outcome, reason) in rows {
        let explanation = fixture.explain(target, None);
        assert!(explanation.ports.is_empty(), "{target}");
        let unserved = explanation.unserved.unwrap();
        assert_eq!(
            (unserved.rule, unserved.outcome),
            (rule, outcome),
            "{target}"
        );
        assert!(
            unserved.reason.contains(reason),
            "{target}: {}",
            unserved.reason
        );
    }
}

#[test]
fn both_families_of_a_node_port() {
    let spec = json!({
        "clusterIPs": ["10.96.0.10", "fd00:96::10"], "ipFamilies": ["IPv4", "IPv6"],
    });
    let mut fixture = Fixture::new(&pods(), &web(&spec));
    let explanation = fixture.explain("node:30010", None);
    let outcomes = explanation
        .ports
        .iter()
        .map(|port| port.frontends[0].paths.last().unwrap());
    let outcomes: Vec<_> = outcomes.map(|path| path.outcome).collect();
    assert_eq!(outcomes, [Outcome::Balanced, Outcome::Rejected]);
    assert_eq!(
        fixture.explain("node:30010", Some("fd00::7")).ports.len(),
        1
    );
}
