//! Any bytes as a DNS message: no panic, an answer to whatever can be answered to, and none larger
//! than its client takes.

#![no_main]

use std::sync::LazyLock;

use kpx_dns::{Limits, Store, ZoneConfig, respond};
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = r#"{"zone": "cluster.local", "ttl": 5, "reverse_zones": ["10.in-addr.arpa"]}"#;
const SERVICES: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
     "spec": {"clusterIP": "10.96.0.10", "ports": [{"name": "http", "port": 80}]}},
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "away", "namespace": "shop"},
     "spec": {"type": "ExternalName", "externalName": "web.shop.svc.cluster.local"}}]}"#;

static STORE: LazyLock<Store> = LazyLock::new(|| {
    let store = Store::new(ZoneConfig::from_json(CONFIG).expect("the configuration is valid"));
    store
        .feed(SERVICES.as_bytes())
        .expect("the Services decode");
    store.complete();
    store
});

fuzz_target!(|request: &[u8]| {
    let zones = STORE.zones();
    let over_udp = respond(&zones, request, Limits::Udp(1232), 1_700_000_000, 3);
    let over_tcp = respond(&zones, request, Limits::Tcp, 1_700_000_000, 3);
    let is_question = request.len() >= 12 && request[2] & 0x80 == 0;
    assert_eq!(over_udp.is_some(), is_question);
    assert_eq!(over_tcp.is_some(), is_question);
    for (answer, most) in [(over_udp, 1232), (over_tcp, 65_535)] {
        if let Some(answer) = answer {
            let message = answer.message;
            assert!((12..=most).contains(&message.len()));
            assert_eq!(message[..2], request[..2]);
            assert_ne!(message[2] & 0x80, 0);
            assert_eq!(message[3] & 0xf, answer.rcode as u8 & 0xf);
        }
    }
});
