//! Commands that between them use everything that can be asked for, by name.

use kpx_ipvs::{
    Command, Destination, DestinationKey, Family, Forwarding, Persistence, Protocol, Scheduler,
    Service, ServiceKey, Thresholds, Timeouts,
};

/// A service on an address.
pub(crate) fn at(protocol: Protocol, address: &str, port: u16) -> ServiceKey {
    ServiceKey::Address {
        protocol,
        address: address.parse().unwrap(),
        port,
    }
}

/// A destination.
pub(crate) fn to(address: &str, port: u16) -> DestinationKey {
    DestinationKey {
        address: address.parse().unwrap(),
        port,
    }
}

/// The samples, in an order in which every command succeeds.
pub(crate) fn samples() -> Vec<(&'static str, Command)> {
    let web = at(Protocol::Tcp, "10.96.0.10", 80);
    let web6 = at(Protocol::Sctp, "fd00:10:96::a", 8080);
    let dns = at(Protocol::Udp, "10.96.0.53", 53);
    let mark = ServiceKey::Mark {
        family: Family::Ipv6,
        mark: 7,
    };
    let maglev = Scheduler::MaglevHashing {
        fallback: true,
        port: true,
    };
    let sticky = Service {
        persistence: Some(Persistence {
            seconds: 10_800,
            prefix: 24,
        }),
        ..Service::new(web, maglev.clone())
    };
    let sticky6 = Service {
        persistence: Some(Persistence {
            seconds: 300,
            prefix: 64,
        }),
        ..Service::new(web6, Scheduler::WeightedLeastConnection)
    };
    let one_packet = Service {
        one_packet: true,
        owned: false,
        ..Service::new(dns, Scheduler::RoundRobin)
    };
    let first = Destination::new(to("10.244.1.11", 8080), 1);
    let bounded = Destination {
        forwarding: Forwarding::Route,
        thresholds: Thresholds {
            upper: 100,
            lower: 50,
        },
        ..Destination::new(to("10.244.2.12", 80), 65_535)
    };
    let drained = Destination::new(first.key, 0);
    let far6 = Destination::new(to("fd00:10:244::b", 8080), 3);
    vec![
        (
            "add-service",
            Command::AddService(Service::new(web, Scheduler::RoundRobin)),
        ),
        ("add-service-ipv6", Command::AddService(sticky6)),
        ("add-service-one-packet", Command::AddService(one_packet)),
        (
            "add-service-mark",
            Command::AddService(Service::new(mark, Scheduler::NeverQueue)),
        ),
        ("change-service", Command::ChangeService(sticky)),
        ("add-destination", Command::AddDestination(web, first)),
        (
            "add-destination-bounded",
            Command::AddDestination(web, bounded),
        ),
        ("add-destination-ipv6", Command::AddDestination(web6, far6)),
        (
            "change-destination",
            Command::ChangeDestination(web, drained),
        ),
        (
            "delete-destination",
            Command::DeleteDestination(web, bounded.key),
        ),
        ("delete-service", Command::DeleteService(mark)),
        (
            "set-timeouts",
            Command::SetTimeouts(Timeouts {
                tcp: Some(900),
                tcp_fin: None,
                udp: Some(250),
            }),
        ),
    ]
}
