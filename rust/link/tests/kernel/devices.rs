//! Dummy devices and their addresses, held against `ip`.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command as Process, Output};
use std::thread;

use kpx_link::{AddressChange, Client, Error, Link, LinkAddress};
use kpx_netlink::socket::NETLINK_ROUTE;
use kpx_netlink::{Fault, FaultyTransport, Socket};
use nix::sched::{CloneFlags, unshare};

const NAME: &str = "kpx-test0";

#[expect(clippy::disallowed_methods, reason = "`ip` is the tests' oracle")]
fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Process::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("`{program}` does not run: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    output
}

/// What `ip` prints, a line for each object.
fn ip(arguments: &[&str]) -> Vec<String> {
    let output = run("ip", &[&["-o"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn in_namespace(test: impl FnOnce(&mut Client<Socket>) + Send + 'static) {
    let namespaced = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("kernel tests need root");
        test(&mut Client::new(Socket::open(NETLINK_ROUTE).unwrap()));
    };
    thread::spawn(namespaced).join().unwrap();
}

/// Runs a test on a dummy device. Tests that do are ignored unless asked for, as few kernels that
/// code is developed on have such devices: `make test-ipvs` boots Debian's kernels and runs them.
fn with_dummy(test: impl FnOnce(&mut Client<Socket>, &Link) + Send + 'static) {
    in_namespace(|client| {
        run("modprobe", &["dummy", "numdummies=0"]);
        let link = client.ensure_dummy(NAME).unwrap();
        test(client, &link);
    });
}

#[test]
#[ignore = "needs dummy devices: `make test-ipvs`"]
fn a_device_is_made_once_and_deleted() {
    with_dummy(|client, link| {
        assert!(link.is_dummy && link.is_up);
        assert_eq!(client.ensure_dummy(NAME).unwrap(), *link);
        run("ip", &["link", "set", NAME, "down"]);
        assert!(client.ensure_dummy(NAME).unwrap().is_up);
        assert!(client.delete_dummy(NAME).unwrap());
        assert!(!client.delete_dummy(NAME).unwrap());
        assert_eq!(client.link(NAME).unwrap(), None);
    });
}

#[test]
fn a_kernel_without_dummy_devices_is_said_to_be_one() {
    in_namespace(|_| {
        let socket = Socket::open(NETLINK_ROUTE).unwrap();
        let faults = [Fault::Pass, Fault::Refuse(libc::EOPNOTSUPP)];
        let mut client = Client::new(FaultyTransport::new(socket).on_send(faults));
        let error = client.ensure_dummy(NAME).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        let expected = format!("cannot make the dummy device `{NAME}`");
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().unwrap().contains("modprobe dummy"));
    });
}

#[test]
fn a_device_of_another_kind_stays() {
    in_namespace(|client| {
        run(
            "ip",
            &["link", "add", NAME, "type", "veth", "peer", "name", "other"],
        );
        for error in [
            client.ensure_dummy(NAME).unwrap_err(),
            client.delete_dummy(NAME).unwrap_err(),
        ] {
            assert_eq!(
                error.to_string(),
                format!("the device `{NAME}` is not of kind `dummy`")
            );
        }
        assert_eq!(ip(&["link", "show", NAME]).len(), 1);
    });
}

#[test]
#[ignore = "needs dummy devices: `make test-ipvs`"]
fn addresses_come_and_go_in_batches() {
    with_dummy(|client, link| {
        let index = link.index;
        let mut addresses: Vec<IpAddr> = (0..1500_u32)
            .map(|number| Ipv4Addr::from(0x0a60_0000 + number).into())
            .collect();
        addresses.push("fd00:10:96::a".parse().unwrap());
        let each = addresses.iter();
        let each: Vec<_> = each
            .map(|address| LinkAddress {
                index,
                address: *address,
            })
            .collect();
        let mut added: Vec<_> = each.iter().copied().map(AddressChange::Add).collect();
        // One that is there already is refused, and stops no other.
        added.insert(700, added[0]);
        let refusals = client.submit(&added).unwrap();
        let [refusal] = refusals.as_slice() else {
            panic!("{refusals:?}");
        };
        assert!(refusal.source.is_exists());
        assert_eq!(refusal.to_string(), "cannot add address `10.96.0.0`");

        let found = client.addresses().unwrap();
        let ours: Vec<_> = found.iter().filter(|found| found.index == index).collect();
        let automatic =
            |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let ours: Vec<_> = ours
            .into_iter()
            .filter(|found| !automatic(&found.address))
            .copied()
            .collect();
        assert_eq!(ours, each);
        let shown = ip(&["-4", "address", "show", "dev", NAME]);
        assert_eq!(shown.len(), 1500);
        assert!(
            shown.iter().all(|line| line.contains("/32 scope host")),
            "{}",
            shown[0]
        );
        let shown = ip(&["-6", "address", "show", "dev", NAME, "to", "fd00::/8"]);
        let [only] = shown.as_slice() else {
            panic!("{shown:?}");
        };
        assert!(
            only.contains("fd00:10:96::a/128") && only.contains("deprecated"),
            "{only}"
        );
        assert!(!only.contains("tentative"), "{only}");

        let deleted: Vec<_> = each.into_iter().map(AddressChange::Delete).collect();
        assert_eq!(client.submit(&deleted).unwrap(), []);
        assert_eq!(ip(&["-4", "address", "show", "dev", NAME]), [""; 0]);
    });
}

#[test]
fn the_addresses_of_every_device_are_listed() {
    in_namespace(|client| {
        run("ip", &["link", "set", "lo", "up"]);
        run(
            "ip",
            &[
                "link", "add", "first", "type", "veth", "peer", "name", "second",
            ],
        );
        run("ip", &["address", "add", "192.0.2.1/24", "dev", "first"]);
        let found: Vec<_> = client.addresses().unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|found| found.address.to_string())
            .collect();
        assert_eq!(found, ["127.0.0.1", "::1", "192.0.2.1"]);
    });
}
