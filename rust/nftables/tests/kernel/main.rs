//! The encoding against the real kernel, in network namespaces made for the purpose.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod faults;
mod names;
mod namespace;
mod rejection;
mod round_trip;
mod rules;
mod samples;
mod verbs;
