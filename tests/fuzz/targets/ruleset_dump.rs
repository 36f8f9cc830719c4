//! Any answers to the requests of a dump: no panic, and what was read can be shown.
//!
//! The input is a run of datagrams, each behind its length (two bytes, big endian); the empty one ends
//! an answer early.

#![no_main]

use kpx_fuzz::Script;
use kpx_nftables::Client;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(ruleset) = Client::new(Script::new(input)).dump("kpx") {
        let _ = ruleset.to_string();
    }
});
