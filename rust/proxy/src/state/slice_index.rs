//! EndpointSlices by name, and by the Service they belong to.

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::EndpointSlice;
use crate::NamespacedName;
use crate::hash::HashMap;

/// EndpointSlices by name, and by the Service they belong to.
#[derive(Debug, Default)]
pub(super) struct SliceIndex {
    slices: HashMap<NamespacedName, Box<EndpointSlice>>,
    /// The names of every Service's slices, sorted; the namespace is the Service's.
    of_service: HashMap<NamespacedName, SmallVec<[SmolStr; 1]>>,
}

impl SliceIndex {
    /// Adds a slice, or replaces the one of its name; returns that.
    pub(super) fn insert(&mut self, slice: Box<EndpointSlice>) -> Option<Box<EndpointSlice>> {
        let replaced = self.slices.get(&slice.name);
        if replaced.is_none_or(|replaced| replaced.service != slice.service) {
            if let Some(service) = replaced.map(|replaced| replaced.service.clone()) {
                self.unlink(&service, &slice.name.name);
            }
            let names = self.of_service.entry(slice.service.clone()).or_default();
            if let Err(position) = names.binary_search(&slice.name.name) {
                names.insert(position, slice.name.name.clone());
            }
        }
        self.slices.insert(slice.name.clone(), slice)
    }

    /// Removes a slice and returns it.
    pub(super) fn remove(&mut self, name: &NamespacedName) -> Option<Box<EndpointSlice>> {
        let slice = self.slices.remove(name)?;
        self.unlink(&slice.service, &name.name);
        Some(slice)
    }

    fn unlink(&mut self, service: &NamespacedName, slice: &SmolStr) {
        let Some(names) = self.of_service.get_mut(service) else {
            return;
        };
        if let Ok(position) = names.binary_search(slice) {
            names.remove(position);
        }
        if names.is_empty() {
            self.of_service.remove(service);
        }
    }

    /// The slice of a name.
    pub(super) fn get(&self, name: &NamespacedName) -> Option<&EndpointSlice> {
        self.slices.get(name).map(Box::as_ref)
    }

    /// The names of all slices.
    pub(super) fn names(&self) -> impl Iterator<Item = &NamespacedName> {
        self.slices.keys()
    }

    /// Whether a Service has a slice.
    pub(super) fn has_any(&self, service: &NamespacedName) -> bool {
        self.of_service.contains_key(service)
    }

    /// The slices of a Service, by name.
    pub(super) fn of_service<'a>(
        &'a self,
        service: &NamespacedName,
    ) -> impl Iterator<Item = &'a EndpointSlice> + Clone + use<'a> {
        let entry = self.of_service.get_key_value(service);
        entry.into_iter().flat_map(|(service, names)| {
            names.iter().filter_map(|name| {
                self.get(&NamespacedName {
                    namespace: service.namespace.clone(),
                    name: name.clone(),
                })
            })
        })
    }
}
