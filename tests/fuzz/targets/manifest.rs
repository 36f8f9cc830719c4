//! Any bytes as a manifest: no panic, and a frame that does not decode leaves the state as it was.

#![no_main]

use kpx_proxy::state::State;
use libfuzzer_sys::fuzz_target;

const KNOWN: &[u8] = include_bytes!("../seeds/manifest/list.json");

fuzz_target!(|frame: &[u8]| {
    let mut state = State::new("node-a");
    state.feed(KNOWN).expect("the seed decodes");
    drop(state.take_changes());
    let services = state.services().count();

    if state.feed(frame).is_err() {
        assert!(state.take_changes().is_empty());
        assert_eq!(state.services().count(), services);
    } else {
        // What was just taken in is no change when it comes again.
        drop(state.take_changes());
        state
            .feed(frame)
            .expect("a frame that decoded decodes again");
        assert!(state.take_changes().is_empty());
    }
});
