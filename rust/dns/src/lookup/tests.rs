//! Lookups agree with a naive model: a list of all records, searched as RFC 1034 says.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Answer, Name, RecordType, Store, ZoneConfig};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const CONFIG: &str = r#"{"zone": "cluster.local", "ttl": 5,
    "reverse_zones": ["10.in-addr.arpa", "d.f.ip6.arpa"]}"#;
const TYPES: [&str; 6] = ["A", "AAAA", "SRV", "PTR", "TXT", "CNAME"];

#[derive(Clone, Debug)]
enum Target {
    ClusterIp { v4: bool, v6: bool },
    Headless,
    External(&'static str),
}

#[derive(Clone, Debug)]
struct Service {
    target: Target,
    /// Name and number; all are TCP, or UDP if the number is odd.
    ports: Vec<(&'static str, u16)>,
}

#[derive(Clone, Debug)]
struct Endpoint {
    address: u8,
    hostname: Option<&'static str>,
    is_ready: bool,
}

#[derive(Clone, Debug)]
struct Slice {
    is_ipv6: bool,
    endpoints: Vec<Endpoint>,
    ports: Vec<(&'static str, u16)>,
}

#[derive(Clone, Debug)]
enum Step {
    Service(&'static str, &'static str, Option<Service>),
    /// The slice of a number, of a Service.
    Slice(&'static str, &'static str, u8, Option<Slice>),
}

#[derive(Default)]
struct World {
    services: BTreeMap<(&'static str, &'static str), Service>,
    slices: BTreeMap<(&'static str, &'static str, u8), Slice>,
}

const NAMESPACES: [&str; 2] = ["shop", "ops"];
const SERVICES: [&str; 3] = ["web", "db", "away"];
const HOSTNAMES: [&str; 3] = ["h-0", "h-1", "10-1-0-2"];
const PORT_NAMES: [&str; 3] = ["", "http", "sql"];
const ALIASES: [&str; 4] = [
    "web.shop.svc.cluster.local",
    "away.ops.svc.cluster.local",
    "h-0.db.shop.svc.cluster.local",
    "no.svc.cluster.local",
];

fn ports() -> impl Strategy<Value = Vec<(&'static str, u16)>> {
    vec((prop::sample::select(&PORT_NAMES[..]), 80_u16..83), 0..3).prop_map(|mut ports| {
        // The API server takes a name but once, and no name only for a port alone.
        ports.sort_unstable();
        ports.dedup_by_key(|(name, _)| *name);
        if ports.len() > 1 {
            ports.retain(|(name, _)| !name.is_empty());
        }
        ports
    })
}

/// No number twice either, as for a Service.
fn distinct_ports() -> impl Strategy<Value = Vec<(&'static str, u16)>> {
    ports().prop_map(|mut ports| {
        ports.sort_unstable_by_key(|(_, number)| *number);
        ports.dedup_by_key(|(_, number)| *number);
        ports
    })
}

fn service() -> impl Strategy<Value = Service> {
    let target = prop_oneof![
        (any::<bool>(), any::<bool>()).prop_map(|(v4, v6)| Target::ClusterIp { v4: v4 || !v6, v6 }),
        Just(Target::Headless),
        prop::sample::select(&ALIASES[..]).prop_map(Target::External),
    ];
    (target, distinct_ports()).prop_map(|(target, ports)| Service { target, ports })
}

fn slice() -> impl Strategy<Value = Slice> {
    let hostname = prop::option::of(prop::sample::select(&HOSTNAMES[..]));
    let endpoint = (0_u8..5, hostname, prop::bool::weighted(0.7));
    let endpoint = endpoint.prop_map(|(address, hostname, is_ready)| Endpoint {
        address,
        hostname,
        is_ready,
    });
    (any::<bool>(), vec(endpoint, 0..4), ports()).prop_map(|(is_ipv6, endpoints, ports)| Slice {
        is_ipv6,
        endpoints,
        ports,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let place = || {
        (
            prop::sample::select(&NAMESPACES[..]),
            prop::sample::select(&SERVICES[..]),
        )
    };
    let there = |one: BoxedStrategy<Service>| prop::option::weighted(0.8, one);
    prop_oneof![
        (place(), there(service().boxed()))
            .prop_map(|((ns, name), one)| Step::Service(ns, name, one)),
        (place(), 0_u8..3, prop::option::weighted(0.8, slice()))
            .prop_map(|((ns, name), number, one)| Step::Slice(ns, name, number, one)),
    ]
}

fn protocol(port: u16) -> &'static str {
    if port.is_multiple_of(2) { "TCP" } else { "UDP" }
}

fn ports_json(ports: &[(&str, u16)]) -> Vec<Value> {
    let ports = ports.iter();
    let ports =
        ports.map(|(name, port)| json!({"name": name, "port": port, "protocol": protocol(*port)}));
    ports.collect()
}

/// The addresses of a Service are its own alone.
fn cluster_ips(ns: &str, name: &str, v4: bool, v6: bool) -> Vec<String> {
    let number = 1
        + NAMESPACES.iter().position(|one| *one == ns).unwrap() * 8
        + SERVICES.iter().position(|one| *one == name).unwrap();
    let v4 = v4.then(|| format!("10.96.0.{number}"));
    let v6 = v6.then(|| format!("fd00:96::{number:x}"));
    v4.into_iter().chain(v6).collect()
}

fn endpoint_address(is_ipv6: bool, number: u8) -> String {
    match (is_ipv6, number) {
        // One that would end in a dash.
        (true, 0) => "fd00:244::".to_owned(),
        (true, _) => format!("fd00:244::{number:x}"),
        (false, _) => format!("10.1.0.{number}"),
    }
}

fn event(world: &mut World, step: &Step) -> Value {
    let (is_there, object) = match step {
        Step::Service(ns, name, service) => {
            let metadata = json!({"namespace": ns, "name": name});
            let spec = service.as_ref().map(|service| match &service.target {
                Target::ClusterIp { v4, v6 } => {
                    let ips = cluster_ips(ns, name, *v4, *v6);
                    json!({"clusterIP": ips[0], "clusterIPs": ips, "ports": ports_json(&service.ports)})
                }
                Target::Headless => json!({"clusterIP": "None", "ports": ports_json(&service.ports)}),
                Target::External(target) => json!({"type": "ExternalName", "externalName": target}),
            });
            match service {
                Some(service) => world.services.insert((ns, name), service.clone()),
                None => world.services.remove(&(*ns, *name)),
            };
            let object =
                json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
            (service.is_some(), object)
        }
        Step::Slice(ns, name, number, slice) => {
            let metadata = json!({"namespace": ns, "name": format!("{name}-{number}"),
                "labels": {"kubernetes.io/service-name": name}});
            let shown = slice.clone().unwrap_or(Slice {
                is_ipv6: false,
                endpoints: Vec::new(),
                ports: Vec::new(),
            });
            let endpoints = shown.endpoints.iter().map(|one| {
                json!({"addresses": [endpoint_address(shown.is_ipv6, one.address)],
                    "hostname": one.hostname, "conditions": {"ready": one.is_ready}})
            });
            let family = if shown.is_ipv6 { "IPv6" } else { "IPv4" };
            let object = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": metadata, "addressType": family, "ports": ports_json(&shown.ports),
                "endpoints": endpoints.collect::<Vec<_>>()});
            match slice {
                Some(slice) => world.slices.insert((ns, name, *number), slice.clone()),
                None => world.slices.remove(&(*ns, *name, *number)),
            };
            (slice.is_some(), object)
        }
    };
    let kind = if is_there { "MODIFIED" } else { "DELETED" };
    json!({"type": kind, "object": object})
}

/// All records, by name and type, as text; and names that exist without one.
#[derive(Default)]
struct Model {
    records: BTreeMap<(String, &'static str), BTreeSet<String>>,
}

impl Model {
    fn add(&mut self, name: &str, record_type: &'static str, data: String) {
        let key = (name.to_owned(), record_type);
        self.records.entry(key).or_default().insert(data);
    }

    fn of(world: &World) -> Self {
        let mut model = Self::default();
        model.add("dns-version.cluster.local.", "TXT", "\"1.1.0\"".to_owned());
        for ((ns, name), service) in &world.services {
            model.add_service(world, ns, name, service);
        }
        model
    }

    fn add_service(
        &mut self,
        world: &World,
        ns: &'static str,
        name: &'static str,
        service: &Service,
    ) {
        let own = format!("{name}.{ns}.svc.cluster.local.");
        if let Target::External(target) = &service.target {
            self.add(&own, "CNAME", format!("{target}."));
            return;
        }
        let slices = (0..3).filter_map(|number| world.slices.get(&(ns, name, number)));
        // Of each ready endpoint: its label, its address, and the ports of its slice.
        let mut ready = Vec::new();
        for slice in slices {
            for one in slice.endpoints.iter().filter(|one| one.is_ready) {
                let address = endpoint_address(slice.is_ipv6, one.address);
                let dashed = address.replace([':', '.'], "-");
                let dashed = if dashed.ends_with('-') {
                    dashed + "0"
                } else {
                    dashed
                };
                let label = one.hostname.map_or(dashed, str::to_owned);
                ready.push((label, address, slice.ports.clone()));
            }
        }
        for (label, address, _) in &ready {
            let name = format!("{label}.{own}");
            self.add(&name, family(address), address.clone());
            self.add(&reverse(address), "PTR", name);
        }
        if let Target::ClusterIp { v4, v6 } = &service.target {
            for address in cluster_ips(ns, name, *v4, *v6) {
                self.add(&own, family(&address), address.clone());
                self.add(&reverse(&address), "PTR", own.clone());
            }
            for (port, number) in &service.ports {
                let data = format!("0 100 {number} {own}");
                self.add(&own, "SRV", data.clone());
                if !port.is_empty() {
                    self.add(&port_name(port, *number, &own), "SRV", data);
                }
            }
            return;
        }
        let mut places: BTreeMap<String, BTreeSet<(String, u16)>> = BTreeMap::new();
        for (label, address, ports) in &ready {
            self.add(&own, family(address), address.clone());
            for (port, number) in ports {
                let place = (label.clone(), *number);
                places.entry(own.clone()).or_default().insert(place.clone());
                if !port.is_empty() {
                    let name = port_name(port, *number, &own);
                    places.entry(name).or_default().insert(place);
                }
            }
        }
        for (name, places) in places {
            let weight = (100 / places.len()).max(1);
            for (label, number) in places {
                self.add(&name, "SRV", format!("0 {weight} {number} {label}.{own}"));
            }
        }
    }

    /// The outcome, the data of the records, aliases among them, and whether the last name has none.
    fn answer(
        &self,
        name: &str,
        record_type: &'static str,
    ) -> (&'static str, BTreeSet<String>, bool) {
        let mut data = BTreeSet::new();
        let mut name = name.to_owned();
        loop {
            if let Some(found) = self.records.get(&(name.clone(), record_type)) {
                data.extend(found.iter().cloned());
                return ("NOERROR", data, false);
            }
            let alias = self.records.get(&(name.clone(), "CNAME"));
            let Some(target) = alias.and_then(|all| all.first()) else {
                break;
            };
            if !data.insert(target.clone()) {
                return ("NOERROR", data, false);
            }
            name.clone_from(target);
        }
        let below = format!(".{name}");
        let exists = |(one, _): &(String, _)| *one == name || one.ends_with(&below);
        let is_apex =
            ["cluster.local.", "10.in-addr.arpa.", "d.f.ip6.arpa."].contains(&name.as_str());
        if is_apex || self.records.keys().any(exists) {
            ("NOERROR", data, true)
        } else {
            ("NXDOMAIN", data, true)
        }
    }

    /// Every name there is, those above it, and some that may not be there.
    fn questions(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for ns in NAMESPACES {
            for name in SERVICES {
                let own = format!("{name}.{ns}.svc.cluster.local.");
                for port in ["http", "sql", "no", ""] {
                    names.insert(format!("_{port}._tcp.{own}"));
                    names.insert(format!("_{port}._udp.{own}"));
                }
                for label in HOSTNAMES
                    .iter()
                    .copied()
                    .chain(["10-1-0-1", "fd00-244--0", "a.b.c"])
                {
                    names.insert(format!("{label}.{own}"));
                }
            }
        }
        names.extend((0..5).flat_map(|number| {
            [false, true].map(|is_ipv6| reverse(&endpoint_address(is_ipv6, number)))
        }));
        names.extend(self.records.keys().map(|(name, _)| name.clone()));
        let mut above = BTreeSet::new();
        for name in &names {
            let mut rest = name.as_str();
            while let Some((_, parent)) = rest.split_once('.') {
                let zones = ["cluster.local.", "10.in-addr.arpa.", "d.f.ip6.arpa."];
                if !zones.iter().any(|zone| parent.ends_with(zone)) {
                    break;
                }
                above.insert(parent.to_owned());
                rest = parent;
            }
        }
        &names | &above
    }
}

fn family(address: &str) -> &'static str {
    if address.contains(':') { "AAAA" } else { "A" }
}

fn reverse(address: &str) -> String {
    Name::of_address(address.parse().unwrap())
        .unwrap()
        .to_string()
}

fn port_name(port: &str, number: u16, own: &str) -> String {
    format!("_{port}._{}.{own}", protocol(number).to_lowercase())
}

/// The data of all records; no set has one twice.
fn data(answer: &Answer) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for set in &answer.answer {
        let records = set.records.iter().map(|record| record.data.to_string());
        let distinct: BTreeSet<_> = records.collect();
        assert_eq!(distinct.len(), set.records.len(), "{set:?}");
        all.extend(distinct);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn lookups_agree_with_a_list_of_all_records(steps in vec(step(), 1..24)) {
        let store = Store::new(ZoneConfig::from_json(CONFIG).unwrap());
        store.complete();
        let mut world = World::default();
        for step in &steps {
            let event = event(&mut world, step);
            store.feed_event(event.to_string().as_bytes()).unwrap();
        }
        prop_assert!(store.rejections().is_empty());
        let model = Model::of(&world);
        for name in model.questions() {
            let parsed = Name::parse(&name).unwrap();
            for record_type in TYPES {
                let answer = store.query(&parsed, RecordType::parse(record_type).unwrap());
                let answer = answer.expect("the name is in a zone");
                let (rcode, records, is_negative) = model.answer(&name, record_type);
                prop_assert_eq!(answer.rcode.as_str(), rcode, "{} {}", name, record_type);
                prop_assert_eq!(data(&answer), records, "{} {}", name, record_type);
                prop_assert_eq!(answer.authority.is_some(), is_negative, "{} {}", name, record_type);
            }
        }
        // What is listed, and transferred, is what is answered.
        let mut listed = BTreeMap::new();
        for zone in ["cluster.local", "10.in-addr.arpa", "d.f.ip6.arpa"] {
            for set in store.record_sets(&Name::parse(zone).unwrap()) {
                let record_type = set.record_type().to_string();
                if !["SOA", "NS"].contains(&record_type.as_str()) {
                    let records = set.records.iter().map(|record| record.data.to_string());
                    listed.insert((set.owner.to_string(), record_type), records.collect());
                }
            }
        }
        let records = model.records.into_iter();
        let records: BTreeMap<_, BTreeSet<String>> =
            records.map(|((name, kind), data)| ((name, kind.to_owned()), data)).collect();
        prop_assert_eq!(listed, records);
    }
}
