//! Messages: what is written is what is read, answers are told apart, any bytes can be read.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kpx_netlink::message::{
    NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR,
};
use kpx_netlink::{Error, Header, Messages, Reply, Writer};
use proptest::prelude::*;

const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;

fn message(kind: u16, flags: u16, sequence: u32, payload: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    put(&mut writer, kind, flags, sequence, payload);
    writer.into_bytes()
}

fn put(
    writer: &mut Writer,
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: impl FnOnce(&mut Writer),
) {
    let start = writer.begin_message(Header {
        kind,
        flags,
        sequence,
    });
    payload(writer);
    writer.end_message(start);
}

fn reply(bytes: &[u8]) -> Reply<'_> {
    Messages::new(bytes).next().unwrap().reply()
}

/// The header of a refused request: `struct nlmsghdr` of 20 bytes in all.
fn request_header() -> Vec<u8> {
    message(0xa00, 1, 9, |writer| writer.put_raw(&[2, 0, 0, 0]))[..16].to_vec()
}

#[test]
fn messages_of_a_datagram_are_read_in_order() {
    let mut writer = Writer::new();
    put(&mut writer, 0x10, 1, 5, |writer| writer.put_raw(b"abcd"));
    put(&mut writer, 0x11, 2, 6, |_| ());
    let read: Vec<_> = Messages::new(writer.as_bytes()).collect();
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].payload, b"abcd");
    assert_eq!(
        read[1].header,
        Header {
            kind: 0x11,
            flags: 2,
            sequence: 6
        }
    );
    assert!(matches!(read[0].reply(), Reply::Data(_)));
}

#[test]
fn an_error_number_zero_is_an_acknowledgement() {
    let bytes = message(NLMSG_ERROR, NLM_F_CAPPED, 9, |writer| {
        writer.put_raw(&0_i32.to_ne_bytes());
        writer.put_raw(&request_header());
    });
    assert_eq!(reply(&bytes), Reply::Acknowledged);
}

fn extended(flags: u16, repeated: &[u8]) -> Vec<u8> {
    message(NLMSG_ERROR, NLM_F_ACK_TLVS | flags, 9, |writer| {
        writer.put_raw(&(-2_i32).to_ne_bytes());
        writer.put_raw(&request_header());
        writer.put_raw(repeated);
        writer.put_string(NLMSGERR_ATTR_MSG, "no such thing");
        writer.put_u32(NLMSGERR_ATTR_OFFS, 36);
    })
}

#[test]
fn an_extended_error_says_where_and_why() {
    let expected = Error {
        errno: 2,
        message: Some("no such thing".to_owned()),
        offset: Some(36),
        sequence: 9,
    };
    // Capped, and with the four bytes repeated that the request has behind its header.
    for bytes in [extended(NLM_F_CAPPED, &[]), extended(0, &[2, 0, 0, 0])] {
        assert_eq!(reply(&bytes), Reply::Failed(expected.clone()));
    }
    assert!(expected.is_not_found());
    let text = expected.to_string();
    assert!(text.ends_with(": no such thing"), "{text}");
}

#[test]
fn the_end_of_a_dump_may_carry_an_error() {
    let done = |error: i32| {
        message(NLMSG_DONE, NLM_F_DUMP_INTR, 9, |writer| {
            writer.put_raw(&error.to_ne_bytes());
        })
    };
    assert_eq!(reply(&done(0)), Reply::Done);
    assert!(Messages::new(&done(0)).next().unwrap().is_interrupted());
    match reply(&done(-4)) {
        Reply::Failed(error) => assert_eq!((error.errno, error.sequence), (4, 9)),
        other => panic!("{other:?}"),
    }
    assert_eq!(reply(&message(NLMSG_DONE, 0, 9, |_| ())), Reply::Done);
}

#[test]
fn a_message_cut_short_is_not_read() {
    let bytes = message(0x10, 0, 1, |writer| writer.put_raw(b"abcd"));
    for length in 0..bytes.len() {
        assert_eq!(Messages::new(&bytes[..length]).count(), 0);
    }
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(bytes in any::<Vec<u8>>()) {
        let mut total = 0;
        for message in Messages::new(&bytes) {
            total += message.payload.len() + 16;
            let _ = message.reply();
        }
        prop_assert!(total <= bytes.len());
    }

    #[test]
    fn any_control_message_can_be_classified(
        kind in 0_u16..6,
        flags in any::<u16>(),
        payload in any::<Vec<u8>>(),
    ) {
        let bytes = message(kind, flags, 1, |writer| writer.put_raw(&payload));
        let _ = reply(&bytes);
    }
}
