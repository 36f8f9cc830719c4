//! Any answers of IPVS: no panic, and what was read can be shown.
//!
//! The input is a run of datagrams, each behind its length (two bytes, big endian).

#![no_main]

use kpx_fuzz::Script;
use kpx_ipvs::Client;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(mut client) = Client::connect(Script::new(input)) else {
        return;
    };
    let Ok(services) = client.services() else {
        return;
    };
    for observed in services {
        let _ = observed.service.to_string();
        if let Ok(destinations) = client.destinations(&observed.service.key) {
            for found in destinations {
                let _ = (found.destination.to_string(), found.is_idle());
            }
        }
    }
    let _ = client.timeouts();
});
