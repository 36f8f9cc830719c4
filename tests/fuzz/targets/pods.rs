//! Any lines as pages and watch events of Pods: no panic, what does not decode changes nothing, and
//! the changes that are told, one after another, lead to the Pods there are.

#![no_main]

use std::collections::HashMap;

use kpx_pods::{Change, Store};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|stream: &[u8]| {
    let mut store = Store::default();
    let mut told = HashMap::new();
    let mut apply = |changes: &[Change]| {
        for change in changes {
            let pod = change
                .new
                .as_ref()
                .or(change.old.as_ref())
                .expect("one of both");
            let key = (pod.namespace.clone(), pod.name.clone());
            let before = match &change.new {
                Some(new) => told.insert(key, new.clone()),
                None => told.remove(&key),
            };
            assert_eq!(before, change.old);
            assert_ne!(change.old, change.new);
        }
        told.len()
    };
    for (number, line) in stream.split(|byte| *byte == b'\n').enumerate() {
        if number % 4 == 0 {
            store.begin_replace();
        }
        let event = store.feed_event(line).map(|(_, outcome)| outcome);
        let outcome = event.or_else(|_| store.feed(line).map(|(_, outcome)| outcome));
        let known = apply(&outcome.unwrap_or_default().changes);
        assert_eq!(known, store.len());
        if number % 4 == 3 {
            assert_eq!(apply(&store.end_replace()), store.len());
        }
    }
    for pod in told.values() {
        let labels = pod.labels.iter().map(|(name, value)| (name, value));
        assert!(store.select(&pod.namespace, labels).contains(pod));
        assert!(store.on_node(&pod.node_name).contains(pod));
    }
});
