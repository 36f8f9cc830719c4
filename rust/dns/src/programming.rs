//! How long changes of endpoints take until they are answered with.

/// The upper bounds of the buckets in seconds: 20, from 1 ms, doubling (CoreDNS,
/// `plugin/kubernetes/metrics.go`).
pub const BUCKET_COUNT: usize = 20;

/// What kind of Service a change was of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// A Service with addresses of its own.
    ClusterIp,
    /// A headless Service whose endpoints a controller makes from Pods.
    HeadlessWithSelector,
    /// A headless Service whose endpoints are written by hand.
    HeadlessWithoutSelector,
}

impl ServiceKind {
    /// Every kind, with CoreDNS' label.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::ClusterIp, "cluster_ip"),
        (Self::HeadlessWithSelector, "headless_with_selector"),
        (Self::HeadlessWithoutSelector, "headless_without_selector"),
    ];
}

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// How many were at most the bound of each bucket, and above the one before.
    pub buckets: [u64; BUCKET_COUNT],
    /// How many were above the last bound.
    pub longer: u64,
    /// Their sum in seconds.
    pub sum: f64,
}

impl Durations {
    /// The bound of a bucket in seconds.
    pub fn bound(bucket: usize) -> f64 {
        (0..bucket).fold(0.001, |bound, _| bound * 2.0)
    }

    /// Adds a duration; one below zero, of clocks that differ, counts as zero.
    pub(crate) fn add(&mut self, seconds: f64) {
        let seconds = seconds.max(0.0);
        self.sum += seconds;
        match (0..BUCKET_COUNT).find(|bucket| seconds <= Self::bound(*bucket)) {
            Some(bucket) => self.buckets[bucket] += 1,
            None => self.longer += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_buckets_that_double() {
        let mut durations = Durations::default();
        for seconds in [-1.0, 0.001, 0.0011, 524.0, 525.0] {
            durations.add(seconds);
        }
        assert_eq!(durations.buckets[..3], [2, 1, 0]);
        assert_eq!((durations.buckets[19], durations.longer), (1, 1));
    }
}
