//! What a meter makes of counters that rise, fall, come and go.

use kpx_nftables::expression::Counter;
use kpx_nftables::{Bytes, Verdict};

use super::*;
use crate::Protocol;
use crate::frontend::Location;
use crate::layout::{encode_destination, encode_key, encode_slot_key};

const KEY: FrontendKey = FrontendKey {
    location: Location::Address(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 96, 0, 1))),
    protocol: Protocol::Tcp,
    port: 80,
};

fn counted(key: Bytes, data: Data, packets: u64) -> Element {
    let bytes = 60 * packets;
    Element {
        comment: Some("default/web:http".into()),
        counter: Some(Counter { packets, bytes }),
        ..Element::new(key, data)
    }
}

fn dispatch(packets: u64) -> (SetId, Element) {
    let data = Data::Verdict(Verdict::Goto("lb-2".into()));
    (SetId::ServiceIps, counted(encode_key(&KEY), data, packets))
}

fn endpoint(slot: u32, host: u8, packets: u64) -> (SetId, Element) {
    let destination = Destination {
        address: [10, 0, 0, host].into(),
        port: 80,
    };
    let data = Data::Value(encode_destination(&destination));
    let element = counted(encode_slot_key(&KEY, slot), data, packets);
    (SetId::Endpoints, element)
}

fn read(meter: &mut Meter, elements: &[(SetId, Element)]) -> Traffic {
    let mut reading = Reading::default();
    for (set, element) in elements {
        meter.visit(&mut reading, Family::Ipv4, *set, element);
    }
    meter.finish(reading)
}

/// The connections of the Service, and of each endpoint.
fn web(traffic: &Traffic) -> (u64, Vec<(&str, u64)>) {
    let web = &traffic.services["default/web"];
    let endpoints = web.endpoints.iter();
    let endpoints = endpoints.map(|(name, count)| (name.as_str(), *count));
    (web.connections, endpoints.collect())
}

#[test]
fn the_first_reading_is_where_counting_begins() {
    let mut meter = Meter::default();
    let first = read(&mut meter, &[dispatch(900), endpoint(0, 1, 900)]);
    assert_eq!(web(&first), (0, vec![("10.0.0.1:80", 0)]));
    let second = read(&mut meter, &[dispatch(907), endpoint(0, 1, 907)]);
    assert_eq!(web(&second), (7, vec![("10.0.0.1:80", 7)]));
    assert_eq!((second.counting, second.silent), (2, 0));
}

#[test]
fn what_is_replaced_begins_anew_and_loses_nothing_that_others_counted() {
    let mut meter = Meter::default();
    read(
        &mut meter,
        &[dispatch(100), endpoint(0, 1, 50), endpoint(1, 2, 50)],
    );
    // A third endpoint comes after six connections, so the frontend leads to another chain; one
    // more connection follows.
    let after = [
        dispatch(1),
        endpoint(0, 1, 53),
        endpoint(1, 2, 53),
        endpoint(2, 3, 1),
    ];
    let traffic = read(&mut meter, &after);
    let endpoints = vec![("10.0.0.1:80", 3), ("10.0.0.2:80", 3), ("10.0.0.3:80", 1)];
    assert_eq!(web(&traffic), (7, endpoints));
}

#[test]
fn an_endpoint_that_moved_to_another_slot_is_counted_from_there() {
    let mut meter = Meter::default();
    read(
        &mut meter,
        &[endpoint(0, 1, 40), endpoint(1, 2, 40), dispatch(80)],
    );
    let traffic = read(&mut meter, &[endpoint(0, 2, 5), dispatch(5)]);
    assert_eq!(web(&traffic), (5, vec![("10.0.0.2:80", 5)]));
}

#[test]
fn what_a_replaced_endpoint_got_is_still_the_frontends() {
    let mut meter = Meter::default();
    read(&mut meter, &[dispatch(80), endpoint(0, 1, 80)]);
    let traffic = read(&mut meter, &[dispatch(90), endpoint(0, 2, 4)]);
    assert_eq!(web(&traffic), (10, vec![("10.0.0.2:80", 4)]));
}

#[test]
fn an_element_left_out_of_a_list_is_not_counted_twice() {
    let mut meter = Meter::default();
    read(&mut meter, &[dispatch(100), endpoint(0, 1, 100)]);
    read(&mut meter, &[dispatch(110)]);
    let traffic = read(&mut meter, &[dispatch(120), endpoint(0, 1, 120)]);
    assert_eq!(web(&traffic), (20, vec![("10.0.0.1:80", 20)]));
}

#[test]
fn what_is_gone_for_long_is_forgotten() {
    let mut meter = Meter::default();
    read(&mut meter, &[dispatch(100)]);
    for _ in 0..=MISSES {
        read(&mut meter, &[]);
    }
    assert!(meter.counts.is_empty());
}

#[test]
fn refusals_and_elements_that_do_not_count_are_told_apart() {
    let mut meter = Meter::default();
    let refusal = |packets| {
        let element = counted(encode_key(&KEY), Data::Verdict(Verdict::Drop), packets);
        (SetId::NoEndpointServices, element)
    };
    let (set, mut silent) = endpoint(0, 1, 0);
    silent.counter = None;
    let silent = (set, silent);
    read(&mut meter, &[refusal(3), silent.clone()]);
    let traffic = read(&mut meter, &[refusal(5), silent]);
    assert_eq!(traffic.services["default/web"].refused, 2);
    assert_eq!((traffic.counting, traffic.silent), (1, 1));
}
