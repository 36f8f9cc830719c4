//! Any bytes as the reply of another name server: no panic, and an answer that its client takes.

#![no_main]

use std::sync::LazyLock;

use kpx_dns::{Limits, Response, Store, ZoneConfig, respond};
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = r#"{"zone": "cluster.local", "ttl": 5}"#;
const AWAY: &str = r#"{"apiVersion": "v1", "kind": "Service",
    "metadata": {"name": "away", "namespace": "shop"},
    "spec": {"type": "ExternalName", "externalName": "www.example.org"}}"#;

/// A question that wishes for recursion and has EDNS.
fn question(name: &[u8]) -> Vec<u8> {
    let mut request = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    request.extend_from_slice(name);
    request.extend_from_slice(&[0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    request
}

/// What is asked of others for a name outside the zones, and for where an alias leads.
static QUESTIONS: LazyLock<[Response; 2]> = LazyLock::new(|| {
    let store = Store::new(ZoneConfig::from_json(CONFIG).expect("the configuration is valid"));
    store.feed(AWAY.as_bytes()).expect("the Service decodes");
    store.complete();
    [
        &b"\x03www\x07example\x03org\0"[..],
        b"\x04away\x04shop\x03svc\x07cluster\x05local\0",
    ]
    .map(|name| {
        let limits = Limits::Udp(1232);
        let answer = respond(&store.zones(), &question(name), limits, 1_700_000_000, 0);
        answer
            .filter(|answer| answer.missing.is_some())
            .expect("others must be asked")
    })
});

fuzz_target!(|reply: &[u8]| {
    for question in QUESTIONS.iter() {
        let answer = question.clone().completed(Some(reply)).message;
        assert!((12..=1232).contains(&answer.len()));
        assert_eq!(answer[..2], [0x12, 0x34]);
    }
});
