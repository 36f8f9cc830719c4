//! A whole proxier, from watch events to packets: over a fake kernel and, sampled, the real one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod convergence;
mod dataplane;
mod drift;
mod edit;
mod failures;
mod fake_node;
mod flows;
mod harness;
mod manifest;
mod model;
#[path = "../../../nftables/tests/kernel/namespace.rs"]
mod namespace;
mod netlink;
mod ownership;
mod packets;
mod restless;
mod servers;
mod slots;
mod strides;
mod universe;
