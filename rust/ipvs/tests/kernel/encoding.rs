//! Commands are written as an independent encoder writes them.
//!
//! `messages.txt` is pyroute2's: `tests/ipvs/test_messages.py` holds it against pyroute2.
use kpx_netlink::Writer;
use kpx_netlink::message::NLM_F_ACK;

use crate::samples::samples;

/// Lines of a name and the bytes of a message in hexadecimal.
const MESSAGES: &str = include_str!("../messages.txt");
/// The family's number in `messages.txt`.
const FAMILY: u16 = 0x1f;

#[test]
fn every_byte_is_pyroute2s() {
    let lines = MESSAGES.lines().filter(|line| !line.starts_with('#'));
    let expected: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(' ')).collect();
    let written: Vec<(&str, String)> = (1..)
        .zip(samples())
        .map(|(sequence, (name, command))| {
            let mut writer = Writer::new();
            command.write(&mut writer, FAMILY, NLM_F_ACK, sequence);
            let hex = writer.as_bytes().iter().map(|byte| format!("{byte:02x}"));
            (name, hex.collect())
        })
        .collect();
    let written: Vec<(&str, &str)> = written
        .iter()
        .map(|(name, hex)| (*name, hex.as_str()))
        .collect();
    assert_eq!(written, expected);
}
