//! Any answers about devices and addresses: no panic.
//!
//! The input is a run of datagrams, each behind its length (two bytes, big endian).

#![no_main]

use kpx_fuzz::Script;
use kpx_link::Client;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut client = Client::new(Script::new(input));
    let _ = client.link("kpx-ipvs0");
    if let Ok(addresses) = client.addresses() {
        assert!(addresses.is_sorted());
    }
});
