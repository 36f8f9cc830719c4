use super::*;
use crate::wire::{Limits, RECURSION_AVAILABLE, respond};
use crate::{Store, ZoneConfig};

const AWAY: &[u8] = b"\x04away\x04shop\x03svc\x07cluster\x05local\0";
const TARGET: &[u8] = b"\x03www\x07example\x03org\0";
const SERVICE: &str = r#"{"apiVersion": "v1", "kind": "Service",
    "metadata": {"name": "away", "namespace": "shop"},
    "spec": {"type": "ExternalName", "externalName": "www.example.org"}}"#;

fn request(name: &[u8], record_type: u8, flags: u8) -> Vec<u8> {
    let mut request = vec![0x12, 0x34, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    request.extend_from_slice(name);
    request.extend_from_slice(&[0, record_type, 0, 1]);
    request
}

/// What is answered without anybody else, over UDP and without EDNS.
fn answered(request: &[u8]) -> Response {
    let store =
        Store::new(ZoneConfig::from_json(r#"{"zone": "cluster.local", "ttl": 5}"#).unwrap());
    store.feed(SERVICE.as_bytes()).unwrap();
    store.complete();
    respond(&store.zones(), request, Limits::Udp(1232), 7, 0).unwrap()
}

/// A reply to the question that `answered` leaves open, with records after it.
fn reply(response: &Response, flags: [u8; 2], counts: [u8; 2], records: &[u8]) -> Vec<u8> {
    let mut reply = response.upstream_query().unwrap().with_id(0);
    reply[2..4].copy_from_slice(&flags);
    (reply[7], reply[9]) = (counts[0], counts[1]);
    reply.extend_from_slice(records);
    reply
}

fn contains(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}

#[test]
fn only_those_who_wish_for_recursion_have_others_asked() {
    assert!(answered(&request(TARGET, 1, 1)).missing.is_some());
    assert!(answered(&request(AWAY, 1, 1)).missing.is_some());
    assert!(answered(&request(TARGET, 1, 0)).missing.is_none());
    assert!(answered(&request(AWAY, 1, 0)).missing.is_none());
    assert!(
        answered(&request(AWAY, 5, 1)).missing.is_none(),
        "the alias itself"
    );
}

#[test]
fn reply_counts_only_with_its_id_and_question() {
    let response = answered(&request(TARGET, 1, 1));
    let query = response.upstream_query().unwrap();
    let mut reply = query.with_id(0x0908);
    assert!(
        !query.is_answered_by(0x0908, &reply),
        "a question is no reply"
    );
    reply[2] |= RESPONSE;
    assert!(query.is_answered_by(0x0908, &reply));
    assert!(!query.is_answered_by(0x0909, &reply));
    assert!(!query.is_answered_by(0x0908, &reply[..11]));
    reply[13] = b'x';
    assert!(!query.is_answered_by(0x0908, &reply), "another name");
}

#[test]
fn names_in_the_data_of_a_reply_are_written_out() {
    let response = answered(&request(AWAY, 15, 1));
    // The mail exchanger of `www.example.org`: `10 mail`, then a pointer to `example.org`.
    let record = b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x09\x00\x0a\x04mail\xc0\x10";
    let reply = reply(&response, [0x81, 0x80], [1, 0], record);
    let message = response.completed(Some(&reply)).message;
    assert_eq!(message[..2], [0x12, 0x34]);
    assert_eq!(
        message[6..12],
        [0, 2, 0, 0, 0, 0],
        "the alias and the record"
    );
    assert_ne!(message[3] & RECURSION_AVAILABLE, 0);
    let written = b"\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x14\x00\x0a\x04mail\x07example\x03org\0";
    assert!(contains(&message, &[TARGET, written].concat()));
}

#[test]
fn pointers_that_lead_nowhere_fail() {
    let response = answered(&request(AWAY, 1, 1));
    let at = u8::try_from(HEADER_LENGTH + TARGET.len() + 4).unwrap();
    let tail = b"\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
    for pointer in [at, at + 1, 0xff] {
        let record = [&[0xc0, pointer][..], tail].concat();
        let reply = reply(&response, [0x81, 0x80], [1, 0], &record);
        let answer = response.clone().completed(Some(&reply));
        assert_eq!(answer.rcode, Rcode::ServFail, "{pointer}");
    }
}

#[test]
fn missing_target_shows_the_alias_and_for_how_long() {
    let response = answered(&request(AWAY, 1, 1));
    let soa = [
        b"\xc0\x10\x00\x06\x00\x01\x00\x00\x00\x3c\x00\x18\xc0\x10\xc0\x10".as_slice(),
        &[0; 20],
    ]
    .concat();
    let reply = reply(&response, [0x81, 0x83], [0, 1], &soa);
    let answer = response.completed(Some(&reply));
    assert_eq!(answer.rcode, Rcode::NxDomain);
    assert_eq!(answer.message[6..10], [0, 1, 0, 1]);
    assert_eq!(answer.message[3] & 0xf, 3);
}

#[test]
fn no_reply_is_a_failure() {
    for name in [TARGET, AWAY] {
        let answer = answered(&request(name, 1, 1)).completed(None);
        assert_eq!(answer.rcode, Rcode::ServFail);
        assert_eq!(answer.message[3], RECURSION_AVAILABLE | 2);
    }
}

#[test]
fn what_the_client_does_not_take_is_cut_off() {
    let text = [
        &b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\xf0\xef"[..],
        &[b'x'; 239],
    ]
    .concat();
    for (name, kept) in [(TARGET, 0), (AWAY, 2)] {
        let response = answered(&request(name, 16, 1));
        let reply = reply(&response, [0x81, 0x80], [3, 0], &text.repeat(3));
        let message = response.completed(Some(&reply)).message;
        assert!(message.len() <= 512);
        assert!(is_truncated(&message));
        assert_eq!(message[7], kept, "{name:?}");
    }
}
