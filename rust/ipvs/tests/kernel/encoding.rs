//! Commands are written as others write them.
//!
//! `messages.txt` is what pyroute2 writes: `tests/ipvs/test_messages.py` holds it against pyroute2.
//! `ipvsadm.txt` is what `ipvsadm` was seen to send: `tests/netns/ipvs/test_wire.py` captures it
//! again.

use kpx_ipvs::Command;
use kpx_netlink::generic::HEADER_LENGTH;
use kpx_netlink::message::{HEADER_LENGTH as MESSAGE_HEADER_LENGTH, NLM_F_ACK};
use kpx_netlink::{Attributes, Writer};

use crate::samples::samples;

/// Lines of a name and the bytes of a message in hexadecimal.
const MESSAGES: &str = include_str!("../messages.txt");
/// Lines of options and the bytes of a message behind its header.
const IPVSADM: &str = include_str!("../ipvsadm.txt");
/// The family's number in `messages.txt`.
const FAMILY: u16 = 0x1f;

/// What of a service `ipvsadm` sends beside what identifies it, where only that is asked for
/// (`IPVS_SVC_ATTR_SCHED_NAME`, `_FLAGS`, `_TIMEOUT`, `_NETMASK`; `uapi/linux/ip_vs.h`).
const OF_A_SERVICE: [u16; 4] = [6, 7, 8, 9];
/// What of a destination it sends beside: the tunnel (`IPVS_DEST_ATTR_TUN_TYPE`, `_PORT`,
/// `_FLAGS`), and to delete one the method, the weight and the bounds.
const OF_A_DESTINATION: [u16; 7] = [13, 14, 15, 3, 4, 5, 6];

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

fn written(command: &Command, sequence: u32) -> Vec<u8> {
    let mut writer = Writer::new();
    command.write(&mut writer, FAMILY, NLM_F_ACK, sequence);
    writer.into_bytes()
}

fn lines(text: &str, separator: char) -> Vec<(&str, &str)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(separator))
        .collect()
}

#[test]
fn every_byte_is_pyroute2s() {
    let ours: Vec<_> = (1..)
        .zip(samples())
        .map(|(sequence, (name, command))| (name, hex(&written(&command, sequence))))
        .collect();
    let ours: Vec<_> = ours
        .iter()
        .map(|(name, hex)| (*name, hex.as_str()))
        .collect();
    assert_eq!(ours, lines(MESSAGES, ' '));
}

/// The command without the mark of ownership, which `ipvsadm` does not know.
fn unowned(command: Command) -> Command {
    match command {
        Command::AddService(mut service) => {
            service.owned = false;
            Command::AddService(service)
        }
        Command::ChangeService(mut service) => {
            service.owned = false;
            Command::ChangeService(service)
        }
        other => other,
    }
}

/// The kinds of the attributes within each attribute.
fn kinds(command: &[u8]) -> Vec<Vec<u16>> {
    let within = |nested: Attributes<'_>| nested.map(|attribute| attribute.kind).collect();
    Attributes::new(&command[HEADER_LENGTH..])
        .map(|attribute| within(attribute.nested()))
        .collect()
}

/// The command with only those of the attributes within attributes that `kept` has.
fn reduced(command: &[u8], kept: &[Vec<u16>]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.put_raw(&command[..HEADER_LENGTH]);
    for (attribute, kept) in Attributes::new(&command[HEADER_LENGTH..]).zip(kept) {
        let nest = writer.open(attribute.kind);
        for inner in attribute
            .nested()
            .filter(|inner| kept.contains(&inner.kind))
        {
            writer.put_pieces(inner.kind, &[inner.payload]);
        }
        writer.close(nest);
    }
    writer.into_bytes()
}

#[test]
fn every_byte_is_ipvsadms() {
    let captured = lines(IPVSADM, '\t');
    assert_eq!(captured.len(), samples().len());
    for ((name, command), (options, theirs)) in samples().into_iter().zip(captured) {
        let command = unowned(command);
        assert_eq!(command.to_string(), options, "{name}");
        let ours = written(&command, 1).split_off(MESSAGE_HEADER_LENGTH);
        if matches!(
            command,
            Command::AddService(_) | Command::ChangeService(_) | Command::SetTimeouts(_)
        ) {
            assert_eq!(hex(&ours), theirs, "{name}");
            continue;
        }
        // It always sends a whole service and a whole destination; we send what is asked for.
        let theirs: Vec<u8> = (0..theirs.len() / 2)
            .map(|at| u8::from_str_radix(&theirs[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let kept = kinds(&ours);
        assert_eq!(hex(&ours), hex(&reduced(&theirs, &kept)), "{name}");
        for ((theirs, kept), more) in kinds(&theirs)
            .iter()
            .zip(&kept)
            .zip([&OF_A_SERVICE[..], &OF_A_DESTINATION])
        {
            let dropped = theirs.iter().filter(|kind| !kept.contains(kind));
            assert!(
                dropped.clone().all(|kind| more.contains(kind)),
                "{name}: {theirs:?}"
            );
        }
    }
}
