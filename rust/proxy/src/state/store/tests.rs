//! What frames and watch lines do to the state.

mod histories;

use std::time::{Duration, Instant};

use super::*;

const NODE: &str = "node-a";

fn name(name: &str) -> NamespacedName {
    NamespacedName {
        namespace: "default".into(),
        name: name.into(),
    }
}

/// A Service with a selector, and with a number to tell versions apart.
fn service(name: &str, port: u32) -> String {
    format!(
        r#"{{"kind": "Service", "apiVersion": "v1", "metadata": {{"name": "{name}",
            "resourceVersion": "5"}}, "spec": {{"clusterIP": "10.96.0.1",
            "selector": {{"app": "web"}}, "ports": [{{"port": {port}}}]}}}}"#
    )
}

fn headless(name: &str) -> String {
    service(name, 80).replace("10.96.0.1", "None")
}

/// A slice of a Service, with a number to tell versions apart.
fn slice(name: &str, service: &str, last: u8) -> String {
    format!(
        r#"{{"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": {{"name": "{name}", "labels": {{"kubernetes.io/service-name": "{service}"}},
            "annotations": {{"endpoints.kubernetes.io/last-change-trigger-time": "{last}"}}}},
            "addressType": "IPv4", "endpoints": [{{"addresses": ["10.0.0.{last}"]}}],
            "ports": [{{"name": "", "port": 8080}}]}}"#
    )
}

fn endpoints(name: &str, last: u8) -> String {
    format!(
        r#"{{"kind": "Endpoints", "apiVersion": "v1", "metadata": {{"name": "{name}"}},
            "subsets": [{{"addresses": [{{"ip": "10.0.1.{last}"}}], "ports": [{{"port": 80}}]}}]}}"#
    )
}

fn node(name: &str, zone: &str) -> String {
    format!(
        r#"{{"kind": "Node", "apiVersion": "v1", "metadata": {{"name": "{name}",
            "labels": {{"topology.kubernetes.io/zone": "{zone}"}}}}}}"#
    )
}

fn service_cidr(name: &str, range: &str) -> String {
    format!(
        r#"{{"kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1",
            "metadata": {{"name": "{name}"}}, "spec": {{"cidrs": ["{range}"]}}}}"#
    )
}

fn list(items: &[String]) -> String {
    let items = items.join(",");
    format!(r#"{{"kind": "List", "apiVersion": "v1", "items": [{items}]}}"#)
}

fn event(event_type: &str, object: &str) -> String {
    format!(r#"{{"type": "{event_type}", "object": {object}}}"#)
}

fn feed(state: &mut State, frame: &str) -> FeedReport {
    state.feed(frame.as_bytes()).unwrap()
}

fn feed_event(state: &mut State, event_type: &str, object: &str) -> EventReport {
    let line = event(event_type, object);
    state.feed_event(line.as_bytes()).unwrap()
}

/// A state that was fed objects, and told of them.
fn state_of(objects: &[String]) -> State {
    let mut state = State::new(NODE);
    feed(&mut state, &list(objects));
    state.take_changes();
    state
}

/// The names of the Services that changed.
fn changed(state: &mut State) -> Vec<String> {
    let changes = state.take_changes();
    assert!(!changes.node);
    assert!(!changes.service_cidrs);
    changes
        .services
        .into_iter()
        .map(|name| name.name.to_string())
        .collect()
}

/// The last numbers of the addresses of a Service's endpoints.
fn addresses(state: &State, service: &str) -> Vec<String> {
    let slices = state.slices(&name(service));
    let endpoints = slices.flat_map(|slice| &slice.endpoints);
    endpoints
        .map(|endpoint| endpoint.address.to_string())
        .collect()
}

fn reasons(state: &State) -> Vec<String> {
    state.rejections().iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_as_it_was_does_not_show() {
    let mut state = state_of(&[service("web", 80), slice("web-1", "web", 1)]);
    feed_event(&mut state, "MODIFIED", &service("web", 80));
    let annotated = service("web", 80).replace(
        r#""resourceVersion": "5""#,
        r#""resourceVersion": "6", "annotations": {"a": "b"}"#,
    );
    feed_event(&mut state, "MODIFIED", &annotated);
    // The time of the last change is no change.
    let later = slice("web-1", "web", 1).replace(r#"time": "1""#, r#"time": "2""#);
    assert_ne!(later, slice("web-1", "web", 1));
    feed_event(&mut state, "MODIFIED", &later);
    assert!(state.take_changes().is_empty());
    let kept = state.slices(&name("web")).next().unwrap();
    assert_eq!(kept.last_change_trigger_time.as_deref(), Some("2"));
}

#[test]
fn what_changes_shows_once() {
    let mut state = State::new(NODE);
    feed(&mut state, &service("web", 80));
    assert_eq!(changed(&mut state), ["web"]);
    assert_eq!(changed(&mut state), [""; 0]);
    feed_event(&mut state, "MODIFIED", &service("web", 81));
    feed_event(&mut state, "ADDED", &slice("other-1", "other", 1));
    assert_eq!(changed(&mut state), ["other", "web"]);
    feed_event(&mut state, "DELETED", &service("web", 80));
    feed_event(&mut state, "DELETED", &slice("other-1", "other", 9));
    assert_eq!(changed(&mut state), ["other", "web"]);
    assert!(state.service(&name("web")).is_none());
    assert_eq!(state.services().count(), 0);
}

#[test]
fn a_flap_does_not_show() {
    // Row 35.
    let mut state = state_of(&[service("web", 80), slice("web-1", "web", 1)]);
    for (event_type, object) in [
        ("MODIFIED", service("web", 81)),
        ("MODIFIED", slice("web-1", "web", 2)),
        ("DELETED", slice("web-1", "web", 2)),
        ("ADDED", slice("web-2", "web", 3)),
        ("DELETED", service("web", 81)),
        ("ADDED", service("web", 80)),
        ("ADDED", slice("web-1", "web", 1)),
        ("DELETED", slice("web-2", "web", 3)),
        ("ADDED", endpoints("web", 1)),
        ("DELETED", endpoints("web", 1)),
    ] {
        feed_event(&mut state, event_type, &object);
    }
    assert!(state.take_changes().is_empty());
}

#[test]
fn slices_may_come_before_their_service_and_outlive_it() {
    let mut state = State::new(NODE);
    feed(&mut state, &slice("web-2", "web", 2));
    feed(&mut state, &slice("web-1", "web", 1));
    feed(&mut state, &service("web", 80));
    assert_eq!(addresses(&state, "web"), ["10.0.0.1", "10.0.0.2"]);
    feed_event(&mut state, "DELETED", &service("web", 80));
    feed_event(&mut state, "ADDED", &service("web", 80));
    assert_eq!(addresses(&state, "web"), ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn a_slice_may_move_to_another_service() {
    let mut state = state_of(&[slice("x", "one", 1), slice("y", "one", 2)]);
    feed_event(&mut state, "MODIFIED", &slice("x", "two", 1));
    assert_eq!(changed(&mut state), ["one", "two"]);
    assert_eq!(addresses(&state, "one"), ["10.0.0.2"]);
    assert_eq!(addresses(&state, "two"), ["10.0.0.1"]);
    // A label that is gone takes the slice away; it comes back with the label.
    let without = slice("x", "two", 1).replace(r#""two""#, r#""""#);
    feed_event(&mut state, "MODIFIED", &without);
    assert_eq!(changed(&mut state), ["two"]);
    assert_eq!(addresses(&state, "two"), [""; 0]);
}

#[test]
fn a_service_may_become_headless_and_return() {
    // Row 3.
    let external =
        service("web", 80).replace(r#""spec": {"#, r#""spec": {"type": "ExternalName","#);
    for without_proxy in [headless("web"), external] {
        let mut state = state_of(&[service("web", 80)]);
        let report = feed_event(&mut state, "MODIFIED", &without_proxy);
        assert!(!report.rejected);
        assert!(state.service(&name("web")).is_none());
        assert_eq!(changed(&mut state), ["web"]);
        feed_event(&mut state, "MODIFIED", &service("web", 80));
        assert_eq!(changed(&mut state), ["web"]);
    }
}

#[test]
fn endpoints_count_where_there_are_no_slices() {
    let mut state = state_of(&[service("web", 80), endpoints("web", 1)]);
    assert_eq!(addresses(&state, "web"), ["10.0.1.1"]);
    feed_event(&mut state, "MODIFIED", &endpoints("web", 2));
    assert_eq!(changed(&mut state), ["web"]);
    feed_event(&mut state, "ADDED", &slice("web-1", "web", 1));
    assert_eq!(changed(&mut state), ["web"]);
    assert_eq!(addresses(&state, "web"), ["10.0.0.1"]);
    feed_event(&mut state, "MODIFIED", &endpoints("web", 3));
    assert_eq!(changed(&mut state), [""; 0]);
    feed_event(&mut state, "DELETED", &slice("web-1", "web", 1));
    assert_eq!(changed(&mut state), ["web"]);
    assert_eq!(addresses(&state, "web"), ["10.0.1.3"]);
}

#[test]
fn services_without_slices_are_those_with_a_selector_and_nothing_else() {
    let without_selector = service("static", 80)
        .replace(r#""app""#, "")
        .replace(r#": "web"}"#, "}");
    let state = state_of(&[
        service("b", 80),
        service("a", 80),
        service("sliced", 80),
        slice("x", "sliced", 1),
        service("old", 80),
        endpoints("old", 1),
        without_selector,
    ]);
    assert_eq!(state.services().count(), 5);
    assert_eq!(state.services_without_slices(), [name("a"), name("b")]);
}

#[test]
fn the_last_good_version_stays() {
    let mut state = state_of(&[service("web", 80), slice("web-1", "web", 1)]);
    let report = feed_event(&mut state, "MODIFIED", &service("web", 70000));
    assert!(report.rejected);
    assert_eq!(report.resource_version.as_deref(), Some("5"));
    let bad_slice = slice("web-1", "web", 2).replace("8080", r#""http""#);
    feed_event(&mut state, "MODIFIED", &bad_slice);
    assert!(state.take_changes().is_empty());
    assert_eq!(state.service(&name("web")).unwrap().ports[0].port, 80);
    assert_eq!(addresses(&state, "web"), ["10.0.0.1"]);
    assert_eq!(
        reasons(&state),
        [
            "Service default/web: spec.ports[0].port: 70000 is not between 1 and 65535",
            "EndpointSlice default/web-1: ports[0].port: invalid type: string \"http\", \
             expected i64",
        ]
    );
    assert!(state.rejections()[0].whole);
    assert_eq!(state.held(), []);
    // Good versions end the rejections, as does deletion.
    feed_event(&mut state, "MODIFIED", &service("web", 80));
    feed_event(&mut state, "DELETED", &bad_slice);
    assert_eq!(reasons(&state), [""; 0]);
    assert_eq!(changed(&mut state), ["web"]);
}

#[test]
fn services_never_seen_valid_are_held() {
    let mut state = state_of(&[service("b", 0), service("a", 0), service("good", 80)]);
    assert_eq!(state.held(), [name("a"), name("b")]);
    feed_event(&mut state, "MODIFIED", &service("a", 80));
    feed_event(&mut state, "DELETED", &service("b", 0));
    assert_eq!(state.held(), []);
    assert_eq!(reasons(&state), [""; 0]);
    // A Service that turns headless is not the proxy's any more.
    feed_event(&mut state, "ADDED", &service("c", 0));
    feed_event(&mut state, "MODIFIED", &headless("c"));
    assert_eq!(state.held(), []);
}

#[test]
fn a_part_that_is_left_out_leaves_the_rest() {
    let bad_ip =
        service("web", 80).replace(r#""clusterIP""#, r#""externalIPs": ["x"], "clusterIP""#);
    let mut state = State::new(NODE);
    let report = feed(&mut state, &bad_ip);
    assert_eq!(report.accepted.get("Service"), Some(&1));
    assert!(state.service(&name("web")).is_some());
    assert_eq!(state.held(), []);
    let expected = "Service default/web: spec.externalIPs[0]: `x` is not an IP address";
    assert_eq!(reasons(&state), [expected]);
    assert!(!state.rejections()[0].whole);
    feed(&mut state, &service("web", 80));
    assert_eq!(reasons(&state), [""; 0]);
}

#[test]
fn a_new_list_replaces_what_it_does_not_hold() {
    let mut state = state_of(&[
        service("kept", 80),
        service("gone", 80),
        service("broken", 80),
        service("headless", 80),
        service("bad-and-gone", 0),
        slice("x", "kept", 1),
    ]);
    state.begin_replace(Kind::Service);
    feed(
        &mut state,
        &list(&[service("kept", 80), service("broken", 0)]),
    );
    assert_eq!(changed(&mut state), [""; 0]);
    feed(
        &mut state,
        &list(&[headless("headless"), service("new", 80)]),
    );
    state.end_replace(Kind::Service);
    assert_eq!(changed(&mut state), ["gone", "headless", "new"]);
    let mut names: Vec<_> = state
        .services()
        .map(|service| service.name.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["broken", "kept", "new"]);
    assert_eq!(reasons(&state).len(), 1);
    // Other kinds are not affected, and an end without a beginning does nothing.
    assert_eq!(addresses(&state, "kept"), ["10.0.0.1"]);
    state.end_replace(Kind::EndpointSlice);
    assert_eq!(addresses(&state, "kept"), ["10.0.0.1"]);
}

#[test]
fn every_kind_can_be_replaced_by_nothing() {
    let mut state = state_of(&[
        service("web", 80),
        slice("web-1", "web", 1),
        endpoints("old", 1),
        node(NODE, "zone-a"),
        service_cidr("kubernetes", "10.96.0.0/12"),
    ]);
    for kind in Kind::ALL {
        state.begin_replace(kind);
        state.end_replace(kind);
    }
    let changes = state.take_changes();
    assert_eq!(
        changes.services.into_iter().collect::<Vec<_>>(),
        [name("old"), name("web")]
    );
    assert!(changes.node && changes.service_cidrs);
    assert_eq!(addresses(&state, "web"), [""; 0]);
    assert_eq!(addresses(&state, "old"), [""; 0]);
    assert_eq!(state.node(), None);
}

#[test]
fn objects_without_a_name_are_forgotten_with_the_next_list() {
    let nameless = r#"{"kind": "Service", "apiVersion": "v1"}"#;
    let mut state = State::new(NODE);
    let report = feed(&mut state, nameless);
    assert_eq!(report.rejected.get("Service"), Some(&1));
    feed(&mut state, nameless);
    assert_eq!(reasons(&state), ["Service : metadata.name: missing"]);
    state.begin_replace(Kind::EndpointSlice);
    assert_eq!(reasons(&state).len(), 1);
    state.begin_replace(Kind::Service);
    assert_eq!(reasons(&state), [""; 0]);
}

#[test]
fn only_the_own_node_counts() {
    // Row 4.
    let mut state = State::new(NODE);
    let nodes = [node("node-b", "zone-b"), node(NODE, "zone-a")];
    let report = feed(&mut state, &list(&nodes));
    assert_eq!(report.accepted.get("Node"), Some(&1));
    assert_eq!(report.ignored.get("Node"), Some(&1));
    assert_eq!(state.node().unwrap().zone.as_deref(), Some("zone-a"));
    assert!(state.take_changes().node);
    feed_event(&mut state, "DELETED", &node("node-b", "zone-b"));
    feed_event(
        &mut state,
        "MODIFIED",
        r#"{"kind": "Node", "metadata": {"name": "c"}, "spec": 5}"#,
    );
    feed_event(&mut state, "MODIFIED", &node(NODE, "zone-c"));
    feed_event(&mut state, "MODIFIED", &node(NODE, "zone-a"));
    assert!(state.take_changes().is_empty());
    assert_eq!(reasons(&state), [""; 0]);
    feed_event(&mut state, "DELETED", &node(NODE, "zone-a"));
    assert_eq!(state.node(), None);
    assert!(state.take_changes().node);
}

#[test]
fn service_cidrs_are_united_and_sorted() {
    // Row 5.
    let mut state = State::new(NODE);
    feed(&mut state, &service_cidr("b", "10.96.0.0/12"));
    feed(&mut state, &service_cidr("a", "fd00::/108"));
    feed(&mut state, &service_cidr("c", "10.96.0.0/12"));
    let ranges = ["10.96.0.0/12", "fd00::/108"].map(|range| range.parse().unwrap());
    assert_eq!(state.service_cidrs(), ranges);
    assert!(state.take_changes().service_cidrs);
    feed_event(&mut state, "DELETED", &service_cidr("c", "10.96.0.0/12"));
    assert!(state.take_changes().is_empty());
    feed_event(&mut state, "DELETED", &service_cidr("b", "10.96.0.0/12"));
    assert!(state.take_changes().service_cidrs);
    assert_eq!(state.service_cidrs(), ranges[1..]);
}

#[test]
fn a_frame_that_fails_changes_nothing() {
    let mut state = state_of(&[service("web", 80)]);
    let whole = list(&[service("new", 80), service("web", 81), headless("web")]);
    for length in (0..whole.len()).step_by(7) {
        assert!(state.feed(&whole.as_bytes()[..length]).is_err());
    }
    let line = event("DELETED", &service("web", 80));
    assert!(
        state
            .feed_event(&line.as_bytes()[..line.len() - 1])
            .is_err()
    );
    assert!(state.take_changes().is_empty());
    assert_eq!(state.services().count(), 1);
}

#[test]
fn frames_are_counted_by_kind() {
    let mut state = State::new(NODE);
    let report = feed(
        &mut state,
        &list(&[
            service("a", 80),
            service("b", 0),
            headless("c"),
            slice("x", "a", 1),
            r#"{"kind": "Pod", "apiVersion": "v1"}"#.to_owned(),
            r#"{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "d"}}"#.to_owned(),
        ]),
    );
    let counts = |counts: &[(&str, usize)]| -> BTreeMap<SmolStr, usize> {
        counts
            .iter()
            .map(|&(kind, count)| (kind.into(), count))
            .collect()
    };
    let accepted = [("Service", 1), ("EndpointSlice", 1), ("Namespace", 1)];
    assert_eq!(report.accepted, counts(&accepted));
    assert_eq!(report.ignored, counts(&[("Service", 1), ("Pod", 1)]));
    assert_eq!(report.rejected, counts(&[("Service", 1)]));
    let report = feed(
        &mut state,
        r#"{"kind": "ServiceList", "apiVersion": "v1", "items": [],
            "metadata": {"resourceVersion": "77", "continue": "more"}}"#,
    );
    assert_eq!(report.resource_version.as_deref(), Some("77"));
    assert_eq!(report.continue_token.as_deref(), Some("more"));
}

#[test]
fn events_report_what_a_watch_needs() {
    let mut state = State::new(NODE);
    let report = feed_event(&mut state, "ADDED", &service("web", 80));
    let expected = EventReport {
        event: WatchEvent::Added,
        kind: "Service".into(),
        resource_version: Some("5".into()),
        rejected: false,
    };
    assert_eq!(report, expected);
    let report = feed_event(&mut state, "DELETED", &service("web", 70000));
    assert_eq!(report.event, WatchEvent::Deleted);
    assert_eq!(report.resource_version.as_deref(), Some("5"));
    for (annotations, initial_events_end) in [
        ("", false),
        (
            r#", "annotations": {"k8s.io/initial-events-end": "true"}"#,
            true,
        ),
    ] {
        let report = feed_event(
            &mut state,
            "BOOKMARK",
            &format!(
                r#"{{"kind": "Service", "apiVersion": "v1",
                    "metadata": {{"resourceVersion": "99" {annotations}}}}}"#
            ),
        );
        assert_eq!(report.event, WatchEvent::Bookmark { initial_events_end });
        assert_eq!(report.kind, "Service");
        assert_eq!(report.resource_version.as_deref(), Some("99"));
    }
    let report = feed_event(
        &mut state,
        "ERROR",
        r#"{"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version", "reason": "Expired", "code": 410}"#,
    );
    let expected = WatchEvent::Error {
        code: 410,
        reason: "Expired".into(),
        message: "too old resource version".to_owned(),
    };
    assert_eq!(report.event, expected);
    assert_eq!(reasons(&state), [""; 0]);
}

#[test]
fn nothing_is_left_of_what_is_deleted() {
    // Row 36.
    let mut state = State::new(NODE);
    for index in 0..100 {
        let service_name = format!("web-{index}");
        for (object, bad) in [
            (service(&service_name, 80), service(&service_name, 0)),
            (
                slice(&service_name, &service_name, 1),
                slice(&service_name, "", 1),
            ),
            (
                endpoints(&service_name, 1),
                endpoints(&service_name, 1).replace(r#""port": 80"#, r#""port": """#),
            ),
        ] {
            feed_event(&mut state, "ADDED", &object);
            feed_event(&mut state, "MODIFIED", &bad);
            feed_event(&mut state, "DELETED", &object);
        }
    }
    assert!(state.take_changes().is_empty());
    // What goes on is the count of what came.
    let empty = State {
        tally: ChangeTally {
            service_changes: 200,
            slice_changes: [200, 0],
            ..ChangeTally::default()
        },
        ..State::new(NODE)
    };
    assert_eq!(format!("{state:?}"), format!("{empty:?}"));
}

/// The time that one change of an endpoint takes, among a number of Services: the median.
fn time_of_a_change(services: usize) -> Duration {
    let objects = (0..services).flat_map(|index| {
        let service_name = format!("web-{index}");
        [
            service(&service_name, 80),
            slice(&service_name, &service_name, 1),
        ]
    });
    let mut state = state_of(&objects.collect::<Vec<_>>());
    let lines = [2, 1].map(|last| event("MODIFIED", &slice("web-7", "web-7", last)));
    let mut times: Vec<_> = (0..201)
        .map(|round| {
            let start = Instant::now();
            state.feed_event(lines[round % 2].as_bytes()).unwrap();
            let changes = state.take_changes();
            assert_eq!(changes.services.len(), 1);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn a_change_costs_the_same_among_many_services() {
    let (few, many) = (time_of_a_change(20), time_of_a_change(10_000));
    assert!(
        many < few * 5,
        "{few:?} among 20 Services, {many:?} among 10,000"
    );
}

#[test]
fn an_endpoint_is_small() {
    assert!(size_of::<crate::state::Endpoint>() <= 104);
}
