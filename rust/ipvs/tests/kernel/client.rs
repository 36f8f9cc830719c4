//! The client, on a kernel in memory: batches, refusals, and what the network may do to either.

use kpx_ipvs::{
    Client, Command, ConnectError, Destination, FakeKernel, Protocol, Scheduler, Service,
};
use kpx_netlink::{Fault, FaultyTransport};

use crate::samples::{at, samples, to};

fn client() -> Client<FakeKernel> {
    Client::connect(FakeKernel::default()).unwrap()
}

/// A service with `count` destinations.
fn service(number: u16, count: u8) -> Vec<Command> {
    let key = at(Protocol::Tcp, "10.96.0.10", number);
    let destinations = (1..=count).map(|last| {
        let destination = to(&format!("10.244.0.{last}"), 8080);
        Command::AddDestination(key, Destination::new(destination, 1))
    });
    let service = Command::AddService(Service::new(key, Scheduler::RoundRobin));
    [service].into_iter().chain(destinations).collect()
}

#[test]
fn every_command_is_carried_out() {
    let mut client = client();
    let commands: Vec<_> = samples().into_iter().map(|(_, command)| command).collect();
    assert_eq!(client.submit(&commands).unwrap(), []);
    let services = client.services().unwrap();
    let shown: Vec<_> = services
        .iter()
        .map(|observed| observed.service.to_string())
        .collect();
    assert_eq!(
        shown,
        [
            "-t 10.96.0.10:80 -s mh -p 10800 -M 255.255.255.0 -b mh-fallback,mh-port",
            "-u 10.96.0.53:53 -s rr -o",
            "--sctp-service [fd00:10:96::a]:8080 -s wlc -p 300 -M 64",
        ]
    );
    let web = services[0].service.key;
    let destinations = client.destinations(&web).unwrap();
    let [only] = destinations.as_slice() else {
        panic!("{destinations:?}");
    };
    assert_eq!(only.destination.to_string(), "-r 10.244.1.11:8080 -m -w 0");
    assert!(only.is_idle());
    let timeouts = client.timeouts().unwrap();
    assert_eq!(
        (timeouts.tcp, timeouts.tcp_fin, timeouts.udp),
        (Some(900), Some(120), Some(250))
    );
}

#[test]
fn many_commands_share_a_datagram() {
    let mut client = client();
    let before = client.transport().sends;
    let commands: Vec<_> = (1..=200).flat_map(|port| service(port, 10)).collect();
    assert_eq!(client.submit(&commands).unwrap(), []);
    let sends = client.transport().sends - before;
    assert!(sends <= commands.len() / 400, "{sends} datagrams");
    assert_eq!(client.services().unwrap().len(), 200);
    let last = at(Protocol::Tcp, "10.96.0.10", 200);
    assert_eq!(client.destinations(&last).unwrap().len(), 10);
}

#[test]
fn a_refusal_names_its_command_and_stops_no_other() {
    let mut client = client();
    let mut commands: Vec<_> = (1..=300).flat_map(|port| service(port, 3)).collect();
    // In the first datagram, in a later one, and the last of all.
    let unknown = at(Protocol::Udp, "10.96.0.99", 1);
    let wrong = Service::new(unknown, Scheduler::Other("fastest".into()));
    commands.insert(2, commands[0].clone());
    commands.insert(1000, Command::AddService(wrong));
    commands.push(Command::DeleteService(unknown));
    let refusals = client.submit(&commands).unwrap();
    let found: Vec<_> = refusals
        .iter()
        .map(|refusal| (refusal.index, refusal.source.errno))
        .collect();
    let last = commands.len() - 1;
    assert_eq!(
        found,
        [(2, libc::EEXIST), (1000, libc::ENOENT), (last, libc::ESRCH)]
    );
    assert_eq!(refusals[0].hint(), None);
    assert!(refusals[1].is_scheduler_missing());
    assert_eq!(
        refusals[1].hint().unwrap(),
        "the kernel has no scheduler `fastest`: load it with `modprobe ip_vs_fastest`"
    );
    assert_eq!(
        refusals[1].to_string(),
        "cannot run `ipvsadm -A -u 10.96.0.99:1 -s fastest`"
    );
    assert_eq!(client.services().unwrap().len(), 300);
}

#[test]
fn a_lost_answer_is_no_success() {
    let faulty = FaultyTransport::new(FakeKernel::default()).on_receive([
        Fault::Pass,
        Fault::Pass,
        Fault::Lose,
    ]);
    let mut client = Client::connect(faulty).unwrap();
    client.submit(&service(1, 1)).unwrap_err();
    // What is left of old answers does not disturb the next.
    assert_eq!(client.submit(&service(2, 1)).unwrap(), []);
}

#[test]
fn a_kernel_without_ipvs_is_told_from_one_that_refuses() {
    let connect = |errno| {
        let faults = [Fault::Refuse(errno)];
        Client::connect(FaultyTransport::new(FakeKernel::default()).on_send(faults)).unwrap_err()
    };
    let missing = connect(libc::ENOENT);
    assert!(matches!(missing, ConnectError::Missing(_)), "{missing:?}");
    assert_eq!(missing.to_string(), "the kernel has no IPVS");
    assert!(missing.hint().unwrap().contains("modprobe -a ip_vs"));
    let refused = connect(libc::EPERM);
    assert!(matches!(refused, ConnectError::Failed(_)), "{refused:?}");
    assert!(refused.hint().unwrap().contains("CAP_NET_ADMIN"));
}
