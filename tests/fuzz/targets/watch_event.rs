//! Any lines as watch events: no panic, and an event that does not decode leaves the state as it was.

#![no_main]

use kpx_proxy::state::State;
use libfuzzer_sys::fuzz_target;

const KNOWN: &[u8] = include_bytes!("../seeds/manifest/list.json");

fuzz_target!(|stream: &[u8]| {
    let mut state = State::new("node-a");
    state.feed(KNOWN).expect("the seed decodes");
    for line in stream.split(|byte| *byte == b'\n') {
        drop(state.take_changes());
        if state.feed_event(line).is_err() {
            assert!(state.take_changes().is_empty());
        }
    }
});
