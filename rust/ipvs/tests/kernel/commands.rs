//! The real kernel, in a network namespace of each test's own.
//!
//! They are ignored unless asked for, as few kernels that code is developed on have IPVS: `make
//! test-ipvs` boots Debian's kernels and runs them there.

use std::cell::RefCell;
use std::process::{Command as Process, Output};
use std::thread;

use kpx_ipvs::{
    Client, Command, Destination, FakeKernel, Flags, Persistence, Protocol, Scheduler, Service,
    ServiceKey,
};
use kpx_netlink::Socket;
use kpx_netlink::socket::NETLINK_GENERIC;
use nix::sched::{CloneFlags, unshare};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::samples::{at, samples, to};

#[expect(clippy::disallowed_methods, reason = "`ipvsadm` is the tests' oracle")]
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    Process::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("`{program}` does not run: {error}"))
}

/// Runs a test on the kernel's IPVS, in a thread with a network namespace of its own.
pub(crate) fn with_ipvs(test: impl FnOnce(&mut Client<Socket>) + Send + 'static) {
    let namespaced = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("kernel tests need root");
        // Until there is an address, no IPv4 address is unicast to the kernel (`inet_addr_type`).
        let up = run("ip", &["link", "set", "lo", "up"]);
        assert!(up.status.success(), "{up:?}");
        let loaded = run("modprobe", &["ip_vs"]);
        assert!(loaded.status.success(), "{loaded:?}");
        test(&mut Client::connect(Socket::open(NETLINK_GENERIC).unwrap()).unwrap());
    };
    thread::spawn(namespaced).join().unwrap();
}

/// What `ipvsadm -Sn` prints, as a sorted list of lines. It leaves thresholds out.
fn ipvsadm() -> Vec<String> {
    let output = run("ipvsadm", &["-Sn"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.sort();
    lines
}

/// What the client reads, as the same lines.
fn observed<T: kpx_netlink::Transport>(client: &mut Client<T>) -> Vec<String> {
    let mut lines = Vec::new();
    for observed in client.services().unwrap() {
        let key = observed.service.key;
        lines.push(Command::AddService(observed.service).to_string());
        for observed in client.destinations(&key).unwrap() {
            let line = Command::AddDestination(key, observed.destination).to_string();
            let (saved, _thresholds) = line.split_once(" -x ").unwrap_or((&line, ""));
            lines.push(saved.to_owned());
        }
    }
    lines.sort();
    lines
}

#[test]
#[ignore = "needs IPVS: `make test-ipvs`"]
fn what_is_written_is_what_ipvsadm_lists() {
    with_ipvs(|client| {
        for (name, command) in samples() {
            assert_eq!(client.submit(&[command]).unwrap(), [], "{name}");
            assert_eq!(observed(client), ipvsadm(), "{name}");
        }
        assert_eq!(ipvsadm().len(), 5);
        assert_eq!(client.timeouts().unwrap().udp, Some(250));
    });
}

#[test]
#[ignore = "needs IPVS: `make test-ipvs`"]
fn every_scheduler_is_known() {
    with_ipvs(|client| {
        let flagged = ["sh-fallback-port", "mh-fallback-port", "mh-port"];
        for (port, name) in (1..).zip(Scheduler::NAMES.into_iter().chain(flagged)) {
            let key = at(Protocol::Tcp, "10.96.0.10", port);
            let service = Service::new(key, name.parse().unwrap());
            assert_eq!(
                client.submit(&[Command::AddService(service)]).unwrap(),
                [],
                "{name}"
            );
        }
        let services = client.services().unwrap();
        let names: Vec<_> = services
            .iter()
            .map(|found| found.service.scheduler.to_string())
            .collect();
        assert_eq!(names[..11], Scheduler::NAMES);
        assert_eq!(names[11..], flagged);
        assert_eq!(observed(client), ipvsadm());
    });
}

#[test]
#[ignore = "needs IPVS: `make test-ipvs`"]
fn the_mark_of_ownership_is_kept_and_others_have_none() {
    with_ipvs(|client| {
        let foreign = run("ipvsadm", &["-A", "-t", "10.96.0.1:443", "-s", "rr"]);
        assert!(foreign.status.success(), "{foreign:?}");
        let ours = Service::new(at(Protocol::Tcp, "10.96.0.2", 443), Scheduler::RoundRobin);
        assert!(ours.flags().contains(Flags::OWNED));
        assert_eq!(
            client.submit(&[Command::AddService(ours.clone())]).unwrap(),
            []
        );
        let sticky = Service {
            persistence: Some(Persistence {
                seconds: 60,
                prefix: 32,
            }),
            ..ours
        };
        assert_eq!(
            client
                .submit(&[Command::ChangeService(sticky.clone())])
                .unwrap(),
            []
        );
        let services = client.services().unwrap();
        let owned: Vec<_> = services.iter().map(|found| found.service.owned).collect();
        assert_eq!(owned, [false, true]);
        assert_eq!(services[1].service, sticky);
    });
}

/// Any command on few keys, so that many meet.
fn any_command() -> impl Strategy<Value = Command> {
    let key = (0_u8..3).prop_map(|number| match number {
        0 => at(Protocol::Tcp, "10.96.0.10", 80),
        1 => at(Protocol::Udp, "10.96.0.10", 80),
        _ => at(Protocol::Tcp, "fd00:10:96::a", 80),
    });
    let scheduler = prop::sample::select(vec!["rr", "wrr", "lc", "mh", "mh-port", "fastest"]);
    let scheduler = scheduler.prop_map(|name| {
        name.parse()
            .unwrap_or_else(|_| Scheduler::Other(name.into()))
    });
    let parts = (0_u8..6, key, scheduler, 1_u8..4, 0_u32..3);
    parts.prop_map(|(kind, key, scheduler, last, weight)| {
        let is_ipv4 = matches!(key, ServiceKey::Address { address, .. } if address.is_ipv4());
        let network = if is_ipv4 {
            "10.244.0."
        } else {
            "fd00:10:244::"
        };
        let endpoint = to(&format!("{network}{last}"), 8080);
        let destination = Destination::new(endpoint, weight);
        match kind {
            0 => Command::AddService(Service::new(key, scheduler)),
            1 => Command::ChangeService(Service::new(key, scheduler)),
            2 => Command::DeleteService(key),
            3 => Command::AddDestination(key, destination),
            4 => Command::ChangeDestination(key, destination),
            _ => Command::DeleteDestination(key, endpoint),
        }
    })
}

#[test]
#[ignore = "needs IPVS: `make test-ipvs`"]
fn the_fake_kernel_does_as_the_real_one() {
    with_ipvs(|client| {
        // Both go on from what the last history left behind, so a failure is not shrunk.
        let fake = RefCell::new(Client::connect(FakeKernel::default()).unwrap());
        let client = RefCell::new(client);
        let config = Config {
            cases: 40,
            failure_persistence: None,
            max_shrink_iters: 0,
            ..Config::default()
        };
        let histories = prop::collection::vec(any_command(), 1..60);
        let outcome = TestRunner::new(config).run(&histories, |commands| {
            let refused = |refusals: Vec<kpx_ipvs::Refusal>| -> Vec<_> {
                let each = refusals.iter();
                each.map(|refusal| (refusal.index, refusal.source.errno))
                    .collect()
            };
            let (mut client, mut fake) = (client.borrow_mut(), fake.borrow_mut());
            let real = refused(client.submit(&commands).unwrap());
            prop_assert_eq!(real, refused(fake.submit(&commands).unwrap()));
            let found = observed(&mut client);
            prop_assert_eq!(&found, &observed(&mut fake));
            prop_assert_eq!(found, ipvsadm());
            Ok(())
        });
        outcome.unwrap();
    });
}
