//! Faults of the netlink socket under a whole proxier, on the real kernel.

use std::io;

use kpx_netlink::socket::NETLINK_NETFILTER;
use kpx_netlink::{Fault, FaultyTransport, Interrupting, Socket, Transport};
use kpx_nftables::{
    Batch, Client, CommitError, Family, ObserveError, Operation, Ruleset, TransactionError,
};
use kpx_proxy::names::TABLE;
use kpx_proxy::plan::Summary;
use kpx_proxy::{Config, Dataplane, Proxier};
use serde_json::json;

use crate::manifest;
use crate::namespace::in_namespace;

/// How often a fault may make a pass fail, one after the other, before it is a defect.
const PASSES: usize = 4;

fn socket() -> Socket {
    Socket::open(NETLINK_NETFILTER).unwrap()
}

/// nftables over a transport, and no IPVS.
struct Nftables<T>(Client<T>);

impl<T: Transport> Dataplane for Nftables<T> {
    type ObserveError = ObserveError;
    type CommitError = CommitError;

    fn observe(&mut self) -> Result<Ruleset, ObserveError> {
        self.0.dump(TABLE)
    }

    fn generation(&mut self) -> Result<u32, ObserveError> {
        self.0.generation()
    }

    fn commit(
        &mut self,
        operations: impl Iterator<Item = Result<Operation, TransactionError>>,
        generation: Option<u32>,
    ) -> Result<u32, CommitError> {
        self.0.submit(&Batch::encode(operations, generation)?)
    }
}

/// A proxier that knows a Service with these endpoints.
fn proxier<T: Transport>(transport: T, hosts: &[u8]) -> Proxier<Nftables<T>> {
    let config = Config::from_json(&manifest::config().to_string()).unwrap();
    let mut proxier = Proxier::new(config, Nftables(Client::new(transport)));
    let spec = json!({"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80}]});
    let service = manifest::service("web", &spec, &[]);
    proxier.feed_event(&manifest::modified(&service)).unwrap();
    set_endpoints(&mut proxier, hosts);
    proxier
}

fn set_endpoints<T: Transport>(proxier: &mut Proxier<Nftables<T>>, hosts: &[u8]) {
    let ports = json!([{"name": "http", "port": 8080}]);
    let endpoint = |host| manifest::endpoint(&format!("10.244.0.{host}"), "elsewhere");
    let endpoints: Vec<_> = hosts.iter().map(endpoint).collect();
    let slice = manifest::slice("web", Family::Ipv4, &ports, &endpoints);
    proxier.feed_event(&manifest::modified(&slice)).unwrap();
}

/// Passes until one succeeds, and holds the kernel against what a fresh start would ask of it.
fn sync<T: Transport>(proxier: &mut Proxier<Nftables<T>>, hosts: &[u8], what: &str) {
    let done = (0..PASSES).any(|pass| proxier.sync(pass > 0).is_ok());
    assert!(done, "{what}");
    let plan = self::proxier(socket(), hosts).plan_all().unwrap();
    assert!(
        plan.frontends.is_empty() && plan.members.is_empty(),
        "{what}"
    );
    assert!(
        plan.definitions.is_empty() && plan.strays.is_empty(),
        "{what}"
    );
}

#[test]
fn no_lost_failed_or_dropped_datagram_makes_a_difference() {
    // A start takes some twenty receives, a change two.
    for position in 0..24 {
        for fault in [
            Fault::Fail(nix::libc::ENOBUFS),
            Fault::Fail(nix::libc::EIO),
            Fault::Lose,
        ] {
            // The kernel has handled what was sent when the send returns.
            for is_send in [false, fault != Fault::Lose] {
                in_namespace(move |_| {
                    let script = std::iter::repeat_n(Fault::Pass, position).chain([fault]);
                    let transport = FaultyTransport::new(socket());
                    let transport = if is_send {
                        transport.on_send(script)
                    } else {
                        transport.on_receive(script)
                    };
                    let what = format!("{fault:?} at {position}, of sends: {is_send}");
                    let mut proxier = proxier(transport, &[1, 2]);
                    sync(&mut proxier, &[1, 2], &what);
                    set_endpoints(&mut proxier, &[2, 3, 4]);
                    sync(&mut proxier, &[2, 3, 4], &what);
                    set_endpoints(&mut proxier, &[]);
                    sync(&mut proxier, &[], &what);
                });
            }
        }
    }
}

#[test]
fn a_kernel_that_cannot_be_read_for_a_while_is_read_later() {
    in_namespace(|_| {
        sync(&mut proxier(socket(), &[1, 2]), &[1, 2], "the first");
        // A list is tried ten times in one pass.
        let mut second = proxier(Interrupting::new(socket(), 25), &[2, 3]);
        assert!(second.sync(false).is_err());
        sync(&mut second, &[2, 3], "the second");
    });
}

/// Takes no datagram larger than so many bytes, as where buffers are limited.
struct Limited {
    socket: Socket,
    limit: usize,
}

impl Transport for Limited {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.limit {
            return Err(io::Error::from_raw_os_error(nix::libc::EMSGSIZE));
        }
        self.socket.send(bytes)
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.socket.receive(buffer)
    }
}

/// Lets a proxier know so many Services, each with five endpoints.
fn set_services<T: Transport>(proxier: &mut Proxier<Nftables<T>>, count: u8) {
    let ports = json!([{"name": "http", "port": 8080}]);
    for index in 0..count {
        let name = format!("s{index}");
        let spec = json!({"clusterIP": format!("10.96.1.{index}"),
            "ports": [{"name": "http", "port": 80}]});
        let service = manifest::service(&name, &spec, &[]);
        proxier.feed_event(&manifest::modified(&service)).unwrap();
        let endpoint = |host| manifest::endpoint(&format!("10.244.{index}.{host}"), "elsewhere");
        let endpoints: Vec<_> = (1..6).map(endpoint).collect();
        let slice = manifest::slice(&name, Family::Ipv4, &ports, &endpoints);
        proxier.feed_event(&manifest::modified(&slice)).unwrap();
    }
}

#[test]
fn what_is_too_large_for_one_transaction_is_split() {
    in_namespace(|_| {
        // The definitions alone take half of this, two hundred Services five times as much.
        let limit = 32 << 10;
        let mut limited = proxier(
            Limited {
                socket: socket(),
                limit,
            },
            &[1, 2],
        );
        set_services(&mut limited, 200);
        let report = limited.sync(false).unwrap();
        assert_eq!((report.services, report.endpoints), (201, 1002));
        assert_eq!(report.failures, []);
        let mut fresh = proxier(socket(), &[1, 2]);
        set_services(&mut fresh, 200);
        assert_eq!(fresh.plan_all().unwrap().summary(), Summary::default());
    });
}
