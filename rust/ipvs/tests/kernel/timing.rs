//! Time, as ratios within one run, on the real kernel.
//!
//! `KPX_BENCH_SERVICES` says how many Services there are; the default suits a guest whose processor
//! is emulated. `bench/README.md` has the figures of 5,000.

use std::env;
use std::io::Write;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use kpx_ipvs::{Client, Command, Destination, Protocol, Scheduler, Service, ServiceKey};
use kpx_netlink::Socket;

use crate::commands::with_ipvs;
use crate::samples::{at, to};

/// How many services of 10 destinations there are at most. `ipvsadm` takes minutes for 5,000.
fn services() -> u16 {
    let given = env::var("KPX_BENCH_SERVICES").ok();
    given.map_or(50, |number| number.parse().unwrap())
}

fn key(number: u16) -> ServiceKey {
    at(Protocol::Tcp, "10.96.0.10", number)
}

/// The services of some numbers with 10 destinations each.
fn load(numbers: impl Iterator<Item = u16>) -> Vec<Command> {
    let each = |number| {
        let destinations = (1..=10).map(move |last| {
            let endpoint = to(&format!("10.244.0.{last}"), 8080);
            Command::AddDestination(key(number), Destination::new(endpoint, 1))
        });
        let service = Command::AddService(Service::new(key(number), Scheduler::RoundRobin));
        [service].into_iter().chain(destinations)
    };
    numbers.flat_map(each).collect()
}

/// Carries out commands, none of which fails, and says how long that took.
fn timed(client: &mut Client<Socket>, commands: &[Command]) -> Duration {
    let started = Instant::now();
    let refusals = client.submit(commands).unwrap();
    let took = started.elapsed();
    assert_eq!(refusals, []);
    took
}

/// Runs `ipvsadm -R` on lines of `ipvsadm -Sn`.
#[expect(
    clippy::disallowed_methods,
    reason = "`ipvsadm` is what is compared with"
)]
fn restore(lines: &str) -> Duration {
    let started = Instant::now();
    let mut process = Process::new("ipvsadm")
        .arg("-R")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    assert!(process.wait().unwrap().success());
    started.elapsed()
}

/// Loads the same services with one client and with one `ipvsadm -R`, and deletes them again.
#[test]
#[ignore = "needs IPVS: `make test-ipvs`"]
fn a_cold_load_takes_a_third_of_ipvsadms_time() {
    with_ipvs(|client| {
        let count = services();
        let commands = load(1..=count);
        let lines: Vec<_> = commands.iter().map(ToString::to_string).collect();
        let lines = lines.join("\n");
        let deletions: Vec<_> = (1..=count).map(key).map(Command::DeleteService).collect();

        let mut ratios: Vec<f64> = (0..if count > 500 { 1 } else { 3 })
            .map(|_| {
                let ours = timed(client, &commands);
                assert_eq!(client.services().unwrap().len(), deletions.len());
                timed(client, &deletions);
                let theirs = restore(&lines);
                assert_eq!(client.services().unwrap().len(), deletions.len());
                timed(client, &deletions);
                let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
                report(&format!(
                    "{count} services of 10: {ours:?}, ipvsadm {theirs:?}, {ratio:.0} times"
                ));
                ratio
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        assert!(ratios[ratios.len() / 2] > 3.0, "{ratios:?}");
    });
}

/// One destination takes the place of another, among few services and among many.
#[test]
#[ignore = "needs IPVS: `make test-ipvs`"]
fn a_change_costs_the_same_among_many_services() {
    with_ipvs(|client| {
        let (few, many) = (100, services().max(1_000));
        timed(client, &load(1..=few));
        let among_few = median_change(client, few);
        timed(client, &load(few + 1..=many));
        let among_many = median_change(client, many);
        let ratio = among_many.as_secs_f64() / among_few.as_secs_f64();
        report(&format!(
            "one change among {few} services: {among_few:?}, among {many}: {among_many:?}, \
             {ratio:.2} times"
        ));
        // The kernel's table of services has 256 rows (`IP_VS_SVC_TAB_BITS`).
        assert!(ratio < 2.0, "{among_few:?} {among_many:?}");
    });
}

/// How long a change takes that is spread over the services of the numbers up to `count`.
fn median_change(client: &mut Client<Socket>, count: u16) -> Duration {
    let (old, new) = (to("10.244.0.1", 8080), to("10.244.1.1", 8080));
    let mut times: Vec<_> = (0..1_001_u32)
        .map(|turn| {
            let number = u16::try_from(turn * 7 % u32::from(count)).unwrap() + 1;
            let (one, other) = (Destination::new(new, 1), Destination::new(old, 1));
            let took = timed(
                client,
                &[
                    Command::AddDestination(key(number), one),
                    Command::DeleteDestination(key(number), old),
                ],
            );
            timed(
                client,
                &[
                    Command::AddDestination(key(number), other),
                    Command::DeleteDestination(key(number), new),
                ],
            );
            took
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[expect(clippy::print_stderr, reason = "what a benchmark says")]
fn report(line: &str) {
    eprintln!("{line}");
}
