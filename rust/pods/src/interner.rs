//! What many Pods have in common, kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Slices of values, each kept once for as long as anybody holds it.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    known: HashSet<Arc<[T]>, RandomState>,
    /// With how many values what nobody holds any more is next looked for.
    sweep_at: usize,
}

const FIRST_SWEEP: usize = 1024;

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            known: HashSet::default(),
            sweep_at: FIRST_SWEEP,
        }
    }
}

impl<T: Eq + Hash> Interner<T> {
    /// The one copy of a slice.
    pub(crate) fn intern(&mut self, values: Vec<T>) -> Arc<[T]> {
        if let Some(known) = self.known.get(values.as_slice()) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.sweep_at = FIRST_SWEEP.max(2 * self.known.len());
        }
        let new: Arc<[T]> = values.into();
        self.known.insert(Arc::clone(&new));
        new
    }
}
