//! Which tracked flows are checked after a commit.

use kpx_conntrack::{Filter, Flow, Tuple, UDP};
use kpx_nftables::Family;
use kpx_nftables::fake::FakeRuleset;
use kpx_proxy::Proxier;
use serde_json::{Value, json};

use crate::dataplane::SharedKernel;
use crate::manifest::{self, config, endpoint, modified};
use crate::universe::NODE;

type Fake = Proxier<SharedKernel<FakeRuleset>>;

fn set_service(proxier: &mut Fake, name: &str, host: u8) {
    let spec = json!({
        "type": "LoadBalancer", "clusterIP": format!("10.96.1.{host}"),
        "externalIPs": [format!("203.0.113.{host}")],
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30000 + u16::from(host)},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        ],
    });
    let ingress = [format!("198.51.100.{host}")];
    let service = manifest::service(name, &spec, &ingress);
    proxier.feed_event(&modified(&service)).unwrap();
}

fn set_endpoints(proxier: &mut Fake, service: &str, endpoints: &[Value]) {
    let ports = json!([
        {"name": "dns", "protocol": "UDP"}, {"name": "dns-tcp", "protocol": "TCP"},
    ]);
    let slice = manifest::slice(service, Family::Ipv4, &ports, endpoints);
    proxier.feed_event(&modified(&slice)).unwrap();
}

/// A node with an address and a Service `dns` with two endpoints, all programmed and checked.
fn programmed() -> Fake {
    let mut proxier = manifest::proxier(&config());
    let node = json!({
        "kind": "Node", "apiVersion": "v1", "metadata": {"name": NODE},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]},
    });
    proxier.feed_event(&modified(&node)).unwrap();
    set_service(&mut proxier, "dns", 1);
    let both = [one(), other()];
    set_endpoints(&mut proxier, "dns", &both);
    proxier.sync(false).unwrap();
    assert_eq!(proxier.take_stale_flows().len(), 4, "one for each frontend");
    proxier
}

fn one() -> Value {
    endpoint("10.244.0.1", NODE)
}

fn other() -> Value {
    endpoint("10.244.0.2", "elsewhere")
}

fn flow(destination: &str, endpoint: &str) -> Flow {
    let client = "192.0.2.9:4000".parse().unwrap();
    let tuple = |source, destination| Tuple {
        source,
        destination,
        protocol: UDP,
        zone: None,
    };
    Flow {
        original: tuple(client, destination.parse().unwrap()),
        reply: tuple(endpoint.parse().unwrap(), client),
        zone: None,
        id: None,
    }
}

/// Whether flows to an endpoint, through every frontend of `dns`, are stale; all or none.
fn is_stale(filter: &Filter, endpoint: &str) -> bool {
    let frontends = [
        "10.96.1.1:53",
        "203.0.113.1:53",
        "198.51.100.1:53",
        "192.0.2.1:30001",
    ];
    let stale = frontends.map(|frontend| filter.is_stale(&flow(frontend, endpoint)));
    assert_eq!(stale, [stale[0]; 4], "to {endpoint}");
    stale[0]
}

#[test]
fn flows_to_a_removed_endpoint_are_stale_and_no_others() {
    let mut proxier = programmed();
    set_endpoints(&mut proxier, "dns", &[one()]);
    assert!(
        proxier.take_stale_flows().is_empty(),
        "not before the commit"
    );

    proxier.sync(false).unwrap();

    let filter = proxier.take_stale_flows();
    assert!(is_stale(&filter, "10.244.0.2:8080"));
    assert!(!is_stale(&filter, "10.244.0.1:8080"));
    assert!(proxier.take_stale_flows().is_empty(), "once");
}

#[test]
fn without_endpoints_every_flow_is_stale() {
    let mut proxier = programmed();
    set_endpoints(&mut proxier, "dns", &[]);

    proxier.sync(false).unwrap();

    assert!(is_stale(&proxier.take_stale_flows(), "10.244.0.1:8080"));
}

#[test]
fn an_endpoint_keeps_its_flows_until_it_answers_no_more() {
    let mut proxier = programmed();
    let mut leaving = other();
    leaving["conditions"] = json!({"ready": false, "serving": true, "terminating": true});
    set_endpoints(&mut proxier, "dns", &[one(), leaving.clone()]);
    proxier.sync(false).unwrap();
    assert!(!is_stale(&proxier.take_stale_flows(), "10.244.0.2:8080"));

    // No new flow went there, so that nothing is written, but what it had is stale now.
    leaving["conditions"]["serving"] = false.into();
    set_endpoints(&mut proxier, "dns", &[one(), leaving]);
    assert_eq!(proxier.sync(false).unwrap().operations, 0);
    assert!(is_stale(&proxier.take_stale_flows(), "10.244.0.2:8080"));
}

#[test]
fn services_that_did_not_change_are_not_checked() {
    let mut proxier = programmed();
    set_service(&mut proxier, "more", 2);
    set_endpoints(&mut proxier, "more", &[one()]);

    proxier.sync(false).unwrap();

    let filter = proxier.take_stale_flows();
    assert_eq!(filter.len(), 4);
    assert!(!is_stale(&filter, "10.244.9.9:8080"));
}

#[test]
fn a_refused_service_is_checked_once_it_is_programmed() {
    let kernel = SharedKernel::new(FakeRuleset::new());
    let config = kpx_proxy::Config::from_json(&config().to_string()).unwrap();
    let mut proxier = Proxier::new(config, kernel.share());
    set_service(&mut proxier, "dns", 1);
    set_endpoints(&mut proxier, "dns", &[one()]);
    kernel.poison(&["default/dns:"], true);
    assert_eq!(proxier.sync(false).unwrap().failures.len(), 1);
    assert!(proxier.take_stale_flows().is_empty());

    kernel.poison(&[], true);
    proxier.retry();
    assert!(proxier.sync(false).unwrap().failures.is_empty());

    assert_eq!(proxier.take_stale_flows().len(), 4);
}
