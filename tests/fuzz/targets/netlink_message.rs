//! Any bytes as a datagram from the kernel: no panic, and every attribute read can be written again.

#![no_main]

use kpx_netlink::{Attributes, Messages, Reply, Writer};
use libfuzzer_sys::fuzz_target;

/// Deeper than anything the kernel nests.
const MAX_DEPTH: usize = 8;

fuzz_target!(|datagram: &[u8]| {
    for message in Messages::new(datagram) {
        visit(&message.attributes(4), MAX_DEPTH);
        if let Reply::Failed(error) = message.reply() {
            assert_ne!(error.errno, 0);
            let _ = error.to_string();
        }
    }
});

fn visit(attributes: &Attributes<'_>, depth: usize) {
    for attribute in attributes.clone() {
        let _ = (attribute.as_str(), attribute.as_u8(), attribute.as_u32());
        let _ = (
            attribute.as_be16(),
            attribute.as_be32(),
            attribute.as_be64(),
        );
        let mut writer = Writer::new();
        writer.put(attribute.kind, attribute.payload);
        let again = Attributes::new(writer.as_bytes()).next();
        assert_eq!(again, Some(attribute));
        if depth > 0 {
            visit(&attribute.nested(), depth - 1);
        }
    }
}
