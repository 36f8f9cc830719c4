//! Any datagram as a list of flows: no panic, and a flow that was read can be named and looked up.

#![no_main]

use kpx_conntrack::{Filter, Flow, NodePort, Serving};
use kpx_netlink::{Messages, Writer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    for flow in Messages::new(datagram).filter_map(|message| Flow::parse(&message)) {
        let mut writer = Writer::new();
        flow.write_identity(&mut writer);
        assert!(!writer.is_empty());

        let serving: Serving = [flow.reply.source].into();
        let mut filter = Filter::default();
        filter.insert(flow.original.destination, serving.clone());
        assert!(!filter.is_stale(&flow));
        let mut filter = Filter::default();
        let node_port = NodePort {
            addresses: vec![flow.original.destination.ip()],
            others: false,
            serving: Serving::default(),
        };
        let destination = flow.original.destination;
        filter.insert_node_port(destination.is_ipv6(), destination.port(), node_port);
        assert_eq!(
            filter.is_stale(&flow),
            flow.original.protocol == kpx_conntrack::UDP
        );
    }
});
