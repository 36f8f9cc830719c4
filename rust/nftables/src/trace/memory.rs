//! What rules changed in sets while packets passed.

use std::collections::HashMap;

use crate::expression::DynamicSetOperation;
use crate::fake::covers;
use crate::{Bytes, Data, Name, SetContents, Table};

/// The elements that packets added to or deleted from the sets of a ruleset; `None` for a deleted
/// one.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    elements: HashMap<(Table, Name), HashMap<Bytes, Option<Data>>>,
}

impl Memory {
    /// Finds a key in a set as packets left it.
    pub(super) fn find<'a>(&'a self, contents: &'a SetContents, key: &Bytes) -> Option<&'a Data> {
        let SetContents { set, elements } = contents;
        let changed = self.elements.get(&(set.table.clone(), set.name.clone()));
        if let Some(changed) = changed.and_then(|changed| changed.get(key)) {
            return changed.as_ref();
        }
        let element = if set.flags.interval {
            elements.values().find(|element| covers(set, element, key))
        } else {
            elements.get(key)
        };
        element.map(|element| &element.data)
    }

    /// Changes a set as a rule asks for. Adding a key that is there changes nothing but its
    /// timeout.
    pub(super) fn change(
        &mut self,
        contents: &SetContents,
        operation: DynamicSetOperation,
        key: Bytes,
        data: Data,
    ) {
        let is_there = self.find(contents, &key).is_some();
        let set = (contents.set.table.clone(), contents.set.name.clone());
        let changed = self.elements.entry(set).or_default();
        match operation {
            DynamicSetOperation::Delete => {
                changed.insert(key, None);
            }
            DynamicSetOperation::Add | DynamicSetOperation::Update if !is_there => {
                changed.insert(key, Some(data));
            }
            DynamicSetOperation::Add | DynamicSetOperation::Update => {}
        }
    }
}
