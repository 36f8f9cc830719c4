//! What changed since the last look.

use std::collections::BTreeSet;

use crate::NamespacedName;

/// What changed since the last look. An object that is as it was does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The Services that changed, came or went, themselves or their endpoints; whether or not
    /// the Service exists.
    pub services: BTreeSet<NamespacedName>,
    /// Whether the node's own Node changed.
    pub node: bool,
    /// Whether the ranges of Service addresses changed.
    pub service_cidrs: bool,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && !self.node && !self.service_cidrs
    }
}

/// How many changes there were, and how many of them nobody has taken yet. What came undone is no
/// pending change, but was two. By family, as [`Family::ALL`](kpx_nftables::Family::ALL).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeTally {
    /// Changes of Services so far.
    pub service_changes: u64,
    /// Changes of EndpointSlices so far, by family.
    pub slice_changes: [u64; 2],
    /// Services that changed and were not taken yet.
    pub pending_services: usize,
    /// EndpointSlices that changed and were not taken yet, by family.
    pub pending_slices: [usize; 2],
}
