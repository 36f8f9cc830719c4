//! Elements under the kernel's rules.

use std::time::Duration;

use super::Rejection;
use super::operation::{Fault, check_target, data_target};
use super::validation;
use crate::transaction::Elements;
use crate::{Bytes, Element, Set, SetContents, TableContents};

/// Adds elements. One that is there already is left as it is, but for its timeout.
pub(super) fn add(contents: &mut TableContents, list: &Elements) -> Result<bool, Fault> {
    let mut is_changed = false;
    let mut leads_on = false;
    for (index, element) in list.elements.iter().enumerate() {
        let fault = |rejection| Fault {
            element: Some(index),
            rejection,
        };
        if let Some(target) = data_target(&element.data) {
            check_target(contents, target).map_err(fault)?;
            leads_on = true;
        }
        let set = contents
            .sets
            .get_mut(&list.set.name)
            .ok_or(Rejection::NotFound)?;
        is_changed |= add_element(set, element).map_err(fault)?;
    }
    if leads_on {
        validation::validate(contents)?;
    }
    Ok(is_changed)
}

fn add_element(contents: &mut SetContents, element: &Element) -> Result<bool, Rejection> {
    let SetContents { set, elements } = contents;
    if element.timeout.is_some() && !set.flags.timeout {
        return Err(Rejection::Invalid);
    }
    if let Some(existing) = elements.get_mut(&element.key) {
        if existing.key_end != element.key_end || existing.data != element.data {
            return Err(Rejection::Exists);
        }
        existing.timeout = element.timeout;
        return Ok(set.flags.timeout);
    }
    if set.flags.interval && elements.values().any(|other| clashes(set, element, other)) {
        return Err(Rejection::Exists);
    }
    if set.size.is_some_and(|size| elements.len() >= size as usize) {
        return Err(Rejection::Full);
    }
    elements.insert(element.key.clone(), Box::new(element.clone()));
    Ok(true)
}

/// Keeps what timeout each element has while the set gets another default.
pub(super) fn keep_timeouts(contents: &mut SetContents, default: Option<Duration>) {
    for element in contents.elements.values_mut() {
        let timeout = element.timeout.or(contents.set.timeout);
        element.timeout = timeout.filter(|_| timeout != default);
    }
}

/// Deletes elements, which must be there.
pub(super) fn delete(contents: &mut TableContents, list: &Elements) -> Result<bool, Fault> {
    let SetContents { set, elements } = contents
        .sets
        .get_mut(&list.set.name)
        .ok_or(Rejection::NotFound)?;
    for (index, element) in list.elements.iter().enumerate() {
        // Of a concatenation of intervals the kernel deletes the element that the first key falls
        // into (`nft_set_pipapo.c`, `nft_pipapo_deactivate`).
        let found = if set.is_concatenation_of_intervals() {
            elements
                .values()
                .find(|other| covers(set, other, &element.key))
        } else {
            let found = elements.get(&element.key);
            found.filter(|other| !set.flags.interval || other.key_end == element.key_end)
        };
        let key = found.map(|found| found.key.clone());
        let removed = key.and_then(|key| elements.remove(&key));
        removed.ok_or(Fault {
            element: Some(index),
            rejection: Rejection::NotFound,
        })?;
    }
    Ok(!list.elements.is_empty())
}

/// Whether an interval cannot stand beside another. Of a concatenation the kernel looks only at
/// the first and the last key (`nft_set_pipapo.c`, `nft_pipapo_insert`).
fn clashes(set: &Set, element: &Element, other: &Element) -> bool {
    let end = element.key_end.as_ref().unwrap_or(&element.key);
    covers(set, other, &element.key)
        || covers(set, other, end)
        || !set.is_concatenation_of_intervals() && covers(set, element, &other.key)
}

/// Whether a key lies in an interval, in each of its fields.
pub(crate) fn covers(set: &Set, interval: &Element, key: &Bytes) -> bool {
    let end = interval.key_end.as_ref().unwrap_or(&interval.key);
    let mut offset = 0;
    set.key.iter().all(|field| {
        let range = offset..offset + field.length();
        offset += field.padded_length();
        let [first, value, last] = [&interval.key, key, end].map(|bytes| bytes.get(range.clone()));
        first <= value && value <= last
    })
}
