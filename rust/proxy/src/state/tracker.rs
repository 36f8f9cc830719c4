//! What objects were before they changed.

use crate::NamespacedName;
use crate::hash::HashMap;

/// What objects were before they changed, by name; `None` if there was none.
pub(super) type Previous<V> = HashMap<NamespacedName, Option<Box<V>>>;

/// Remembers, for every object that changed, what it was before. One that ends where it began is
/// forgotten, so that a flap is no change.
#[derive(Debug)]
pub(super) struct ChangeTracker<V: ?Sized> {
    previous: Previous<V>,
}

impl<V: ?Sized> Default for ChangeTracker<V> {
    fn default() -> Self {
        Self {
            previous: HashMap::default(),
        }
    }
}

impl<V: ?Sized> ChangeTracker<V> {
    /// Notes that an object was replaced, came or went, and says whether that is a change. `is_same`
    /// says whether two versions mean the same.
    pub(super) fn record(
        &mut self,
        name: NamespacedName,
        replaced: Option<Box<V>>,
        current: Option<&V>,
        is_same: impl Fn(&V, &V) -> bool,
    ) -> bool {
        let is_unchanged = |first: Option<&V>| match (first, current) {
            (Some(first), Some(current)) => is_same(first, current),
            (first, current) => first.is_none() && current.is_none(),
        };
        let is_change = !is_unchanged(replaced.as_deref());
        match self.previous.get(&name) {
            Some(first) if is_unchanged(first.as_deref()) => {
                self.previous.remove(&name);
            }
            Some(_) => {}
            None if !is_change => {}
            None => {
                self.previous.insert(name, replaced);
            }
        }
        is_change
    }

    /// Whether nothing changed.
    pub(super) fn is_empty(&self) -> bool {
        self.previous.is_empty()
    }

    /// What changed, and what it was before.
    pub(super) const fn previous(&self) -> &Previous<V> {
        &self.previous
    }

    /// Takes what changed.
    pub(super) fn take(&mut self) -> Previous<V> {
        std::mem::take(&mut self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> NamespacedName {
        NamespacedName {
            namespace: "default".into(),
            name: "web".into(),
        }
    }

    /// Applies versions of one object in turn; returns what the tracker then says of it.
    fn track(versions: &[Option<i32>]) -> Vec<Option<i32>> {
        let mut tracker = ChangeTracker::default();
        for pair in versions.windows(2) {
            tracker.record(name(), pair[0].map(Box::new), pair[1].as_ref(), i32::eq);
        }
        let previous = tracker.take().into_values();
        previous
            .map(|version| version.map(|version| *version))
            .collect()
    }

    #[test]
    fn what_ends_where_it_began_is_no_change() {
        for (versions, expected) in [
            (&[Some(1), Some(1)][..], vec![]),
            (&[Some(1), Some(2)], vec![Some(1)]),
            (&[Some(1), Some(2), Some(1)], vec![]),
            (&[Some(1), Some(2), Some(1), Some(3)], vec![Some(1)]),
            (&[Some(1), Some(2), Some(3)], vec![Some(1)]),
            (&[Some(1), None, Some(1)], vec![]),
            (&[Some(1), None], vec![Some(1)]),
            (&[None, None], vec![]),
            (&[None, Some(1)], vec![None]),
            (&[None, Some(1), None], vec![]),
            (&[None, Some(1), Some(2), None], vec![]),
        ] {
            assert_eq!(track(versions), expected, "{versions:?}");
        }
    }

    #[test]
    fn taking_empties() {
        let mut tracker = ChangeTracker::default();
        tracker.record(name(), None, Some(&1), i32::eq);
        assert_eq!(tracker.take().len(), 1);
        assert!(tracker.take().is_empty());
    }
}
