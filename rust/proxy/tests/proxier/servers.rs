//! Virtual servers: IPVS ends up holding what the frontends ask for, by the fewest commands, whatever
//! happened before, and what others made stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kpx_ipvs::{
    Command, Destination, DestinationKey, Persistence, Protocol as IpvsProtocol, Scheduler,
    Service, ServiceKey,
};
use kpx_nftables::Family;
use kpx_nftables::fake::FakeRuleset;
use kpx_proxy::frontend::{Location, family_of};
use kpx_proxy::{Config, Protocol, Proxier};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::dataplane::SharedKernel;
use crate::manifest;
use crate::model::Model;
use crate::namespace::{in_namespace, nft};
use crate::universe::{self, Identity, NODE_ADDRESSES, Object, identity, object};

type Kernel = SharedKernel<FakeRuleset>;

/// Made by somebody else: one where a Service may be, one that is nobody's business.
const FOREIGN: [([u8; 4], u16); 2] = [([203, 0, 113, 2], 80), ([172, 16, 0, 1], 22)];

fn key(address: impl Into<IpAddr>, protocol: IpvsProtocol, port: u16) -> ServiceKey {
    ServiceKey::Address {
        protocol,
        address: address.into(),
        port,
    }
}

fn foreign() -> impl Iterator<Item = Service> {
    let keys = FOREIGN.into_iter();
    keys.map(|(address, port)| Service {
        owned: false,
        ..Service::new(key(address, IpvsProtocol::Tcp, port), Scheduler::default())
    })
}

/// A proxier with the backend IPVS, and what it is to go by.
struct World {
    kernel: Kernel,
    proxier: Proxier<Kernel>,
    model: Model,
    config: Config,
}

type Servers = BTreeMap<ServiceKey, (Service, BTreeMap<DestinationKey, u32>)>;

impl World {
    fn new(config: &Value) -> Self {
        let config = Config::from_json(&config.to_string()).unwrap();
        let kernel = SharedKernel::new(FakeRuleset::new());
        kernel.node().addresses = ["192.0.2.1", "127.0.0.1", "2001:db8:a::1", "fe80::1"]
            .map(|address| address.parse().unwrap())
            .into();
        for service in foreign() {
            let entry = (service.clone(), BTreeMap::new());
            kernel.node().ipvs().services.insert(service.key, entry);
        }
        Self {
            proxier: Proxier::new(config.clone(), kernel.share()),
            kernel,
            model: Model::default(),
            config,
        }
    }

    fn set(&mut self, object: &Object) {
        let line = self.model.set(object);
        self.proxier.feed_event(line.as_bytes()).unwrap();
    }

    fn restart(&mut self) {
        self.model.restart();
        self.proxier = Proxier::new(self.config.clone(), self.kernel.share());
        self.proxier.feed(self.model.list().as_bytes()).unwrap();
    }

    fn sync(&mut self, full: bool) {
        let report = self.proxier.sync(full).unwrap();
        assert_eq!(report.failures, []);
        self.check();
    }

    /// What kpx made in IPVS.
    fn servers(&self) -> Servers {
        let mut node = self.kernel.node();
        let services = node.ipvs().services.iter();
        let own = services.filter(|(_, (service, _))| service.owned);
        own.map(|(key, (service, destinations))| {
            let weights = destinations
                .iter()
                .map(|(key, destination)| (*key, destination.weight));
            (*key, (service.clone(), weights.collect()))
        })
        .collect()
    }

    /// The addresses on which node ports are to answer.
    fn node_port_addresses(&self, family: Family) -> Vec<IpAddr> {
        let node = self.proxier.state().node().cloned();
        let known = node.map(|node| node.addresses);
        let is_primary = self.config.nodeport_addresses == ["primary"];
        let own = self.kernel.node().addresses.clone();
        let own = own.into_iter().filter(|address| {
            family_of(*address) == family
                && !address.is_loopback()
                && *address != "fe80::1".parse::<IpAddr>().unwrap()
        });
        match known {
            Some(known) if is_primary => {
                let mut known = known.into_iter();
                let primary = known.find(|address| family_of(*address) == family);
                primary.into_iter().collect()
            }
            _ => {
                let others = &self.config.nodeport_addresses;
                let ranges = others.iter().filter_map(|range| range.parse().ok());
                let ranges: Vec<ipnet::IpNet> = ranges.collect();
                let is_within =
                    |address: &IpAddr| ranges.iter().any(|range| range.contains(address));
                own.filter(|address| ranges.is_empty() || is_within(address))
                    .collect()
            }
        }
    }

    /// What the frontends ask for, worked out the simple way.
    fn expected(&mut self) -> (Servers, BTreeSet<IpAddr>) {
        let (mut servers, mut node_ports, mut vips) =
            (Servers::new(), Servers::new(), BTreeSet::new());
        let desired = self.proxier.desired().clone();
        for frontend in desired.frontends() {
            let spec = desired.frontend(frontend).unwrap();
            let protocol = match frontend.protocol {
                Protocol::Tcp => IpvsProtocol::Tcp,
                Protocol::Udp => IpvsProtocol::Udp,
                Protocol::Sctp => IpvsProtocol::Sctp,
            };
            let (addresses, into) = match frontend.location {
                Location::Address(address) => {
                    vips.insert(address);
                    (vec![address], &mut servers)
                }
                Location::NodePort(family) => (self.node_port_addresses(family), &mut node_ports),
            };
            for address in addresses {
                let key = key(address, protocol, frontend.port);
                let service = Service {
                    persistence: spec.affinity.map(|seconds| Persistence {
                        seconds,
                        prefix: if address.is_ipv4() { 32 } else { 128 },
                    }),
                    ..Service::new(key, Scheduler::RoundRobin)
                };
                let destinations = spec.endpoints().iter().map(|endpoint| {
                    let key = DestinationKey {
                        address: endpoint.address,
                        port: endpoint.port,
                    };
                    (key, 1)
                });
                into.insert(key, (service, destinations.collect()));
            }
        }
        for (key, server) in node_ports {
            servers.entry(key).or_insert(server);
        }
        for service in foreign() {
            servers.remove(&service.key);
        }
        servers.retain(|_, (_, destinations)| !destinations.is_empty());
        let own = self.kernel.node().addresses.clone();
        vips.retain(|address| !own.contains(address));
        (servers, vips)
    }

    /// Checks that IPVS holds what it should, and that the proxier knows.
    fn check(&mut self) {
        let plan = self.proxier.plan().unwrap();
        assert!(plan.is_empty(), "a second plan is {plan:#?}");
        for service in foreign() {
            let mut node = self.kernel.node();
            let found = node.ipvs().services.get(&service.key).cloned();
            assert_eq!(found, Some((service, BTreeMap::new())), "foreign");
        }
        if self.model.has_held() {
            return;
        }
        let (expected, vips) = self.expected();
        let device = self.kernel.node().device.clone();
        assert_eq!(device, Some(vips));
        let mut found = self.servers();
        for (key, (service, destinations)) in &mut found {
            let wanted = expected.get(key);
            let drains = matches!(
                key,
                ServiceKey::Address {
                    protocol: IpvsProtocol::Tcp,
                    ..
                }
            );
            destinations.retain(|destination, weight| {
                let is_wanted = wanted.is_some_and(|(_, wanted)| wanted.contains_key(destination));
                assert!(
                    is_wanted || (*weight == 0 && drains),
                    "{key} -r {destination}"
                );
                is_wanted
            });
            if wanted.is_none() && destinations.is_empty() {
                assert!(drains, "{service}");
            }
        }
        found.retain(|_, (_, destinations)| !destinations.is_empty());
        assert_eq!(found, expected);
    }

    /// Lets all that is drained and idle go.
    fn drain(&mut self) {
        self.proxier.drain(0.0).unwrap();
        self.sync(false);
        if self.model.has_held() {
            return;
        }
        let busy = self.kernel.node().busy.clone();
        for (key, (_, destinations)) in self.servers() {
            for (destination, weight) in destinations {
                assert!(weight > 0 || busy.contains(&(key, destination)));
            }
        }
    }
}

/// What others do to IPVS and to the node.
#[derive(Clone, Debug)]
enum Edit {
    DeleteServer(Index),
    DeleteDestinations(Index),
    Reweigh(Index, u32),
    TakeAddress(Index),
    DeleteDevice,
    GiveAddress,
}

#[derive(Clone, Debug)]
enum Step {
    Set(Object),
    Delete(Identity),
    Sync(bool),
    Drain,
    Restart,
    Edit(Edit),
    /// The node gets other addresses.
    Addresses(Vec<&'static str>),
    /// Some destinations have connections from now on.
    Busy(Vec<Index>),
}

fn step() -> impl Strategy<Value = Step> {
    let edit = prop_oneof![
        any::<Index>().prop_map(Edit::DeleteServer),
        any::<Index>().prop_map(Edit::DeleteDestinations),
        (any::<Index>(), 0..3u32).prop_map(|(index, weight)| Edit::Reweigh(index, weight)),
        any::<Index>().prop_map(Edit::TakeAddress),
        Just(Edit::DeleteDevice),
        Just(Edit::GiveAddress),
    ];
    let addresses = subsequence([&NODE_ADDRESSES[..], &["203.0.113.1"]].concat(), 1..4);
    prop_oneof![
        16 => object().prop_map(Step::Set),
        4 => identity().prop_map(Step::Delete),
        8 => any::<bool>().prop_map(Step::Sync),
        2 => Just(Step::Drain),
        1 => Just(Step::Restart),
        2 => edit.prop_map(Step::Edit),
        1 => addresses.prop_map(Step::Addresses),
        2 => proptest::collection::vec(any::<Index>(), 0..6).prop_map(Step::Busy),
    ]
}

fn edit(world: &World, edit: &Edit) {
    let own: Vec<ServiceKey> = world.servers().into_keys().collect();
    let mut node = world.kernel.node();
    match edit {
        Edit::DeleteServer(index) if !own.is_empty() => {
            node.ipvs().services.remove(index.get(&own));
        }
        Edit::DeleteDestinations(index) if !own.is_empty() => {
            let server = node.ipvs().services.get_mut(index.get(&own));
            server.unwrap().1.clear();
        }
        Edit::Reweigh(index, weight) if !own.is_empty() => {
            let server = node.ipvs().services.get_mut(index.get(&own)).unwrap();
            for destination in server.1.values_mut() {
                destination.weight = *weight;
            }
        }
        Edit::TakeAddress(index) => {
            let device = node.device.iter().flatten().copied();
            let addresses: Vec<IpAddr> = device.collect();
            if !addresses.is_empty() {
                node.set_addresses(&[*index.get(&addresses)], false);
            }
        }
        Edit::DeleteDevice => node.device = None,
        Edit::GiveAddress => node.set_addresses(&[[172, 16, 0, 9].into()], true),
        _ => {}
    }
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Set(object) => world.set(object),
        Step::Delete(identity) => {
            if let Some(line) = world.model.delete(*identity) {
                world.proxier.feed_event(line.as_bytes()).unwrap();
            }
        }
        Step::Sync(full) => world.sync(*full),
        Step::Drain => {
            world.sync(false);
            world.drain();
        }
        Step::Restart => {
            world.sync(true);
            // A restart sees for itself what is idle.
            world.drain();
            world.sync(true);
            let survives = world.model.survives_restart();
            world.restart();
            let plan = world.proxier.plan().unwrap();
            if survives && !world.model.has_held() {
                assert_eq!(plan.len(), 0, "a restart plans {plan:#?}");
            }
            world.sync(false);
        }
        Step::Edit(change) => {
            world.sync(false);
            edit(world, change);
            world.sync(true);
        }
        Step::Addresses(addresses) => {
            let addresses = addresses.iter().map(|address| address.parse().unwrap());
            world.kernel.node().addresses = addresses.collect();
            world.sync(true);
        }
        Step::Busy(indexes) => {
            let servers = world.servers().into_iter();
            let all: Vec<_> = servers
                .flat_map(|(key, (_, destinations))| {
                    destinations
                        .into_keys()
                        .map(move |destination| (key, destination))
                })
                .collect();
            if !all.is_empty() {
                let busy = indexes.iter().map(|index| *index.get(&all));
                world.kernel.node().busy = busy.collect();
            }
        }
    }
}

#[test]
fn random_histories_converge() {
    let histories = (universe::config(), proptest::collection::vec(step(), 1..40));
    let mut runner = TestRunner::new(proptest::test_runner::Config {
        cases: 96,
        failure_persistence: None,
        ..Default::default()
    });
    let outcome = runner.run(&histories, |(mut config, steps)| {
        config["backend"] = "ipvs".into();
        let mut world = World::new(&config);
        for step in &steps {
            take(&mut world, step);
        }
        world.sync(false);
        world.sync(true);
        world.kernel.node().busy.clear();
        world.drain();
        // The other backend leaves nothing of this one.
        config["backend"] = "nftables".into();
        world.config = Config::from_json(&config.to_string()).unwrap();
        world.restart();
        world.proxier.sync(false).unwrap();
        if !world.model.has_held() {
            assert_eq!(world.servers(), Servers::new());
        }
        assert_eq!(world.kernel.node().device, None);
        Ok(())
    });
    outcome.unwrap();
}

/// A node with Services `s0` to `s{count - 1}`, each with the endpoints `.1` and `.2` elsewhere.
fn world_of(count: u8) -> World {
    let mut config = manifest::config();
    config["backend"] = "ipvs".into();
    let mut world = World::new(&config);
    for index in 0..count {
        set_service(&mut world, index, &json!({}));
        set_endpoints(&mut world, index, &[1, 2]);
    }
    world.sync(false);
    world.kernel.node().commands.clear();
    world
}

fn set_service(world: &mut World, index: u8, annotations: &Value) {
    let address = format!("10.96.1.{index}");
    let spec = json!({"clusterIP": address, "ports": [{"name": "http", "port": 80}]});
    let mut service = manifest::service(&format!("s{index}"), &spec, &[]);
    service["metadata"]["annotations"] = annotations.clone();
    world
        .proxier
        .feed_event(&manifest::modified(&service))
        .unwrap();
}

fn set_endpoints(world: &mut World, index: u8, hosts: &[u8]) {
    let ports = json!([{"name": "http", "port": 8080}]);
    let endpoints: Vec<Value> = hosts
        .iter()
        .map(|host| manifest::endpoint(&format!("10.244.{index}.{host}"), "elsewhere"))
        .collect();
    let service = format!("s{index}");
    let slice = manifest::slice(&service, Family::Ipv4, &ports, &endpoints);
    world
        .proxier
        .feed_event(&manifest::modified(&slice))
        .unwrap();
}

fn destination(host: u8, weight: u32) -> Destination {
    let key = DestinationKey {
        address: [10, 244, 0, host].into(),
        port: 8080,
    };
    Destination::new(key, weight)
}

const FIRST: ([u8; 4], IpvsProtocol, u16) = ([10, 96, 1, 0], IpvsProtocol::Tcp, 80);

fn first() -> ServiceKey {
    let (address, protocol, port) = FIRST;
    key(address, protocol, port)
}

#[test]
fn one_endpoint_costs_the_same_among_few_and_many() {
    for count in [2, 200] {
        let mut world = world_of(count);
        world.kernel.node().lists = 0;
        set_endpoints(&mut world, 0, &[2, 3]);
        let report = world.proxier.sync(false).unwrap();
        let expected = [
            Command::AddDestination(first(), destination(3, 1)),
            Command::ChangeDestination(first(), destination(1, 0)),
        ];
        assert_eq!(world.kernel.node().commands, expected);
        assert_eq!(report.operations, expected.len());
        assert_eq!(world.kernel.node().lists, 0, "nothing is read");
    }
}

#[test]
fn no_endpoint_is_reached_before_the_rules_that_masquerade() {
    let mut config = manifest::config();
    config["backend"] = "ipvs".into();
    let mut world = World::new(&config);
    let mut reached = |backend: &str, count: u8| {
        config["backend"] = backend.into();
        world.config = Config::from_json(&config.to_string()).unwrap();
        world.restart_with(|world| {
            for index in 0..count {
                set_service(world, index, &json!({}));
                set_endpoints(world, index, &[1, 2]);
            }
        });
        world.kernel.node().at_commits.clear();
        world.sync_without_model();
        world.kernel.node().at_commits[0]
    };
    assert_eq!(reached("ipvs", 3), 0, "a cold start");
    assert_eq!(reached("ipvs", 4), 6, "one Service more");
    assert_eq!(reached("nftables", 4), 8, "IPVS serves until rules do");
    assert_eq!(reached("ipvs", 4), 8, "rules serve until IPVS does");
}

#[test]
fn an_endpoint_that_comes_back_gets_its_weight_again() {
    let mut world = world_of(1);
    world
        .kernel
        .node()
        .busy
        .insert((first(), destination(1, 0).key));
    set_endpoints(&mut world, 0, &[2]);
    world.sync(false);
    assert_eq!(world.proxier.draining(), 1);
    assert_eq!(world.proxier.drain(10.0).unwrap(), 0);
    world.restart_with(|world| {
        set_service(world, 0, &json!({}));
        set_endpoints(world, 0, &[2]);
    });
    world.sync(false);
    assert_eq!(world.proxier.draining(), 1, "a restart goes on draining");
    world.kernel.node().commands.clear();
    set_endpoints(&mut world, 0, &[1, 2]);
    world.sync(false);
    let restored = Command::ChangeDestination(first(), destination(1, 1));
    assert_eq!(world.kernel.node().commands, [restored]);
    assert_eq!(world.proxier.draining(), 0);
}

#[test]
fn what_is_drained_goes_when_it_is_idle_or_has_had_its_time() {
    for is_busy in [false, true] {
        let mut world = world_of(1);
        if is_busy {
            let busy = (first(), destination(1, 0).key);
            world.kernel.node().busy.insert(busy);
        }
        set_endpoints(&mut world, 0, &[2]);
        world.sync(false);
        world.kernel.node().commands.clear();
        assert_eq!(world.proxier.drain(1000.0).unwrap(), usize::from(!is_busy));
        assert_eq!(world.proxier.drain(1899.0).unwrap(), 0);
        assert_eq!(world.proxier.has_changes(), !is_busy);
        assert_eq!(world.proxier.drain(1900.0).unwrap(), usize::from(is_busy));
        world.sync(false);
        let deleted = Command::DeleteDestination(first(), destination(1, 0).key);
        assert_eq!(world.kernel.node().commands, [deleted]);
        assert_eq!(world.proxier.drain(1e6).unwrap(), 0);
    }
}

#[test]
fn what_others_change_is_noticed() {
    let mut world = world_of(2);
    assert!(!world.proxier.drifted().unwrap());
    let vip: IpAddr = [10, 96, 1, 0].into();
    world.kernel.node().set_addresses(&[vip], false);
    assert!(world.proxier.drifted().unwrap());
    world.sync(true);
    assert!(!world.proxier.drifted().unwrap());
    world.kernel.node().addresses.insert([192, 0, 2, 7].into());
    assert!(world.proxier.drifted().unwrap());
    world.sync(true);
    world.kernel.node().ipvs().services.remove(&first());
    let noticed = (0..100).position(|_| world.proxier.drifted().unwrap());
    assert!(
        noticed.is_some(),
        "virtual servers are looked at now and then"
    );
    world.sync(true);
    assert!((0..100).all(|_| !world.proxier.drifted().unwrap()));
}

#[test]
fn schedulers_and_weights_are_those_of_the_service() {
    let mut world = world_of(1);
    let scheduler = |world: &World| world.servers()[&first()].0.scheduler.to_string();
    for (annotations, expected, weights) in [
        (json!({}), "rr", [1, 1]),
        (json!({"kpx.dev/weight": "10.244.0.1=5"}), "wrr", [5, 1]),
        (
            json!({"kpx.dev/weight": "*=2", "kpx.dev/ipvs-scheduler": "mh-port"}),
            "mh-port",
            [2, 2],
        ),
        (
            json!({"kpx.dev/weight": "10.244.0.1=0", "kpx.dev/ipvs-scheduler": "best"}),
            "rr",
            [1, 1],
        ),
    ] {
        set_service(&mut world, 0, &annotations);
        assert_eq!(world.proxier.sync(false).unwrap().failures, []);
        assert_eq!(scheduler(&world), expected);
        let found = world.servers()[&first()]
            .1
            .values()
            .copied()
            .collect::<Vec<_>>();
        assert_eq!(found, weights);
    }
    let reasons: Vec<String> = world
        .proxier
        .rejections()
        .into_iter()
        .map(|rejection| rejection.reason)
        .collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("kpx.dev/ipvs-scheduler]: `best` is not a scheduler"));
    assert!(reasons[1].contains("kpx.dev/weight]: the weight `0` is not between"));
}

#[test]
fn a_scheduler_that_is_missing_fails_its_service_alone() {
    let mut world = world_of(2);
    world.kernel.node().missing_schedulers = vec!["sed".to_owned()];
    set_service(&mut world, 0, &json!({"kpx.dev/ipvs-scheduler": "sed"}));
    set_endpoints(&mut world, 1, &[1, 2, 3]);
    let report = world.proxier.sync(false).unwrap();
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].name, "default/s0");
    assert!(
        report.failures[0]
            .reason
            .contains("load it with `modprobe ip_vs_")
    );
    let servers = world.servers();
    assert_eq!(servers[&first()].0.scheduler, Scheduler::RoundRobin);
    assert_eq!(servers.values().map(|(_, all)| all.len()).sum::<usize>(), 5);
    assert!(!world.proxier.has_changes());
    world.kernel.node().missing_schedulers.clear();
    world.proxier.retry();
    world.sync_without_model();
    let scheduler = world.servers()[&first()].0.scheduler.clone();
    assert_eq!(scheduler, Scheduler::ShortestExpectedDelay);
}

#[test]
fn a_virtual_server_of_somebody_else_is_named_and_left_alone() {
    let mut world = world_of(1);
    let spec = json!({"clusterIP": "10.96.1.9", "externalIPs": ["203.0.113.2"],
                      "ports": [{"name": "http", "port": 80}]});
    let service = manifest::service("s9", &spec, &[]);
    world
        .proxier
        .feed_event(&manifest::modified(&service))
        .unwrap();
    set_endpoints(&mut world, 9, &[1]);
    world.sync(false);
    let rejections = world.proxier.rejections();
    assert_eq!(rejections.len(), 1);
    assert_eq!(rejections[0].name, "default/s9");
    assert_eq!(
        rejections[0].reason,
        "the virtual server `-t 203.0.113.2:80` belongs to another program"
    );
}

#[test]
fn the_real_kernel_takes_the_rules_around_virtual_servers() {
    let mut settings = manifest::config();
    settings["backend"] = "ipvs".into();
    settings["nodeport_addresses"] = json!([]);
    let config = Config::from_json(&settings.to_string()).unwrap();
    in_namespace(move |client| {
        let kernel = SharedKernel::new(client);
        let mut proxier = Proxier::new(config.clone(), kernel.share());
        assert!(proxier.sync(false).unwrap().operations > 0);
        let mut fresh = Proxier::new(config, kernel.share());
        assert_eq!(
            fresh.plan().unwrap().len(),
            0,
            "what is read is what was written"
        );
        let listed = nft(&["list", "ruleset"], "");
        for rule in [
            "ip saddr @virtual-ips meta mark set meta mark | 0x00004000",
            "ip6 daddr @virtual-ips reject",
            "icmp type redirect drop",
            "icmpv6 type nd-redirect drop",
            "ct state new jump virtual-ips-check",
        ] {
            assert!(listed.contains(rule), "{rule}: {listed}");
        }
    });
}

#[test]
fn an_address_of_a_service_comes_before_a_node_port() {
    let mut world = world_of(0);
    let ports =
        |port: u16, node_port: u16| json!([{"name": "http", "port": port, "nodePort": node_port}]);
    let node_port =
        json!({"type": "NodePort", "clusterIP": "10.96.1.0", "ports": ports(80, 30080)});
    let address = json!({"clusterIP": "10.96.1.1", "externalIPs": ["192.0.2.1"],
                         "ports": ports(30080, 0)});
    let services = [
        manifest::service("s0", &node_port, &[]),
        manifest::service("s1", &address, &[]),
    ];
    let endpoint_of = |world: &World| {
        let key = key([192, 0, 2, 1], IpvsProtocol::Tcp, 30080);
        let servers = world.servers();
        let weights = servers[&key].1.iter();
        let serving = weights.filter(|(_, weight)| **weight > 0);
        serving.map(|(key, _)| key.address).collect::<Vec<_>>()
    };
    for (index, service) in (0..).zip(&services) {
        world
            .proxier
            .feed_event(&manifest::modified(service))
            .unwrap();
        set_endpoints(&mut world, index, &[7]);
    }
    world.sync(false);
    assert_eq!(endpoint_of(&world), [IpAddr::from([10, 244, 1, 7])]);
    world
        .proxier
        .feed_event(&manifest::deleted(&services[1]))
        .unwrap();
    world.sync(false);
    assert_eq!(endpoint_of(&world), [IpAddr::from([10, 244, 0, 7])]);
}

impl World {
    /// Starts the proxier anew, which learns what `tell` tells it.
    fn restart_with(&mut self, tell: impl Fn(&mut Self)) {
        self.proxier = Proxier::new(self.config.clone(), self.kernel.share());
        tell(self);
    }

    fn sync_without_model(&mut self) {
        assert_eq!(self.proxier.sync(false).unwrap().failures, []);
        assert!(self.proxier.plan().unwrap().is_empty());
    }
}
