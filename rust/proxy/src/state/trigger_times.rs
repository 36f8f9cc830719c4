//! When the changes of endpoints happened that are still to be programmed.

use std::mem;
use std::time::UNIX_EPOCH;

use super::EndpointSlice;
use crate::NamespacedName;
use crate::hash::HashMap;

/// The most times remembered for one Service between two commits.
const KEPT: usize = 64;

/// When the changes of each Service's endpoints happened, in seconds since the epoch.
#[derive(Debug, Default)]
pub(super) struct TriggerTimes {
    /// Older changes do not count; `None` if none does.
    since: Option<f64>,
    of_service: HashMap<NamespacedName, Vec<f64>>,
}

impl TriggerTimes {
    pub(super) fn since(start: f64) -> Self {
        Self {
            since: Some(start),
            ..Self::default()
        }
    }

    /// Notes the time of the change that led to a slice (`EndpointsChangeTracker` of
    /// `pkg/proxy`: a change that is no news, or older than the proxy, does not count).
    pub(super) fn record(&mut self, replaced: Option<&EndpointSlice>, current: &EndpointSlice) {
        let Some(since) = self.since else { return };
        if replaced.is_some_and(|replaced| replaced.is_equivalent(current)) {
            return;
        }
        let time = current.last_change_trigger_time.as_deref();
        let Some(time) = time.and_then(seconds).filter(|time| *time >= since) else {
            return;
        };
        let times = self.of_service.entry(current.service.clone()).or_default();
        if times.len() < KEPT {
            times.push(time);
        }
    }

    pub(super) fn take(&mut self) -> HashMap<NamespacedName, Vec<f64>> {
        mem::take(&mut self.of_service)
    }
}

/// A time as RFC 3339 writes it, in UTC, in seconds since the epoch.
fn seconds(text: &str) -> Option<f64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_api_writes_them() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1.0)),
            ("2024-02-29T12:00:00.5Z", Some(1_709_208_000.5)),
            ("2024-02-29", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
