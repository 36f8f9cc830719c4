//! The objects, and parts of objects, that are left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Kind, NamespacedName, Rejection};

/// How many rejections of objects without a name or a kind are remembered.
const UNIDENTIFIED_KEPT: usize = 64;

/// The objects, and parts of objects, that are left out.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    of_object: BTreeMap<(Kind, NamespacedName), Vec<Rejection>>,
    unidentified: BTreeSet<Rejection>,
}

impl Rejections {
    /// Sets what is left out of an object, instead of what was before.
    pub(super) fn set(&mut self, kind: Kind, name: &NamespacedName, rejections: Vec<Rejection>) {
        // Most objects have none, and never had one.
        if rejections.is_empty() && self.of_object.is_empty() {
            return;
        }
        let key = (kind, name.clone());
        if rejections.is_empty() {
            self.of_object.remove(&key);
        } else {
            self.of_object.insert(key, rejections);
        }
    }

    /// Adds an object that cannot be told from others; forgets it if there are too many.
    pub(super) fn add_unidentified(&mut self, rejection: Rejection) {
        if self.unidentified.len() < UNIDENTIFIED_KEPT {
            self.unidentified.insert(rejection);
        }
    }

    /// Forgets the objects of a kind that cannot be told apart.
    pub(super) fn forget_unidentified(&mut self, kind: Kind) {
        self.unidentified
            .retain(|rejection| rejection.kind != kind.as_str());
    }

    /// Every rejection, by kind and name; those without come first.
    pub(super) fn all(&self) -> Vec<&Rejection> {
        let of_object = self.of_object.values().flatten();
        self.unidentified.iter().chain(of_object).collect()
    }

    /// The names of the objects of a kind of which something is left out, sorted; and whether
    /// that is the whole object.
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&NamespacedName, bool)> {
        self.of_object
            .iter()
            .filter(move |((of_kind, _), _)| *of_kind == kind)
            .map(|((_, name), rejections)| (name, rejections.iter().any(|one| one.whole)))
    }
}
