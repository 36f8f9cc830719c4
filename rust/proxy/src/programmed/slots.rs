//! Slots: the places a balancing chain picks from.

use std::hash::Hash;

use crate::frontend::Destination;
use crate::hash::HashSet;

/// Values by slot. Which value is in which slot does not matter, and stays as it is for as long as
/// it can: so one that comes or goes touches a slot or two, whatever their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots<T>(Vec<Option<T>>);

/// What is done to one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotChange<T> {
    /// Fill an empty slot.
    Add(u32, T),
    /// Put another value into the slot.
    Replace(u32, T),
    /// Empty the slot.
    Delete(u32),
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Eq + Hash> Slots<T> {
    /// How much further than their number found slots may reach before they count as strays:
    /// bounds what a foreign element with a huge slot number can make us hold.
    const SLACK: usize = 64;

    /// The slots as found in the kernel, in any order. What lies too far out to be ours is given
    /// back.
    pub fn observed(mut found: Vec<(u32, T)>) -> (Self, Vec<(u32, T)>) {
        found.sort_unstable_by_key(|(slot, _)| *slot);
        let bound = 2 * found.len() + Self::SLACK;
        let position = found.partition_point(|(slot, _)| (*slot as usize) < bound);
        let strays = found.split_off(position);
        let mut slots = vec![None; found.last().map_or(0, |(slot, _)| *slot as usize + 1)];
        for (slot, value) in found {
            slots[slot as usize] = Some(value);
        }
        (Self(slots), strays)
    }

    /// Gives each of `values` a slot without gaps, keeping where it is in `self` what can stay
    /// there. No value comes twice.
    #[must_use]
    pub fn settle(&self, values: &[T]) -> Self {
        if self.0.is_empty() {
            return Self(values.iter().copied().map(Some).collect());
        }
        let mut slots = self.0.clone();
        slots.resize(values.len(), None);
        Self(slots).fill(values)
    }

    /// Gives each of `values` a slot, never moving one that has a slot in `self`: there may be
    /// gaps. No value comes twice.
    #[must_use]
    pub fn settle_in_place(&self, values: &[T]) -> Self {
        let mut settled = Self(self.0.clone()).fill(values);
        while let Some(None) = settled.0.last() {
            settled.0.pop();
        }
        settled
    }

    /// Empties the slots whose value is not wanted, and puts the rest of `values` into empty slots,
    /// then behind the last.
    fn fill(mut self, values: &[T]) -> Self {
        let wanted: HashSet<&T> = values.iter().collect();
        let mut kept = HashSet::default();
        for slot in &mut self.0 {
            if !slot.is_some_and(|value| wanted.contains(&value) && kept.insert(value)) {
                *slot = None;
            }
        }
        let mut homeless = values.iter().copied().filter(|value| !kept.contains(value));
        for slot in self.0.iter_mut().filter(|slot| slot.is_none()) {
            *slot = homeless.next();
        }
        self.0.extend(homeless.map(Some));
        self
    }

    /// What turns these slots into `after`.
    pub fn changes<'a>(&'a self, after: &'a Self) -> impl Iterator<Item = SlotChange<T>> + 'a {
        let length = self.0.len().max(after.0.len());
        (0..).zip(0..length).filter_map(|(slot, index)| {
            let before = self.0.get(index).copied().flatten();
            match (before, after.0.get(index).copied().flatten()) {
                (None, Some(value)) => Some(SlotChange::Add(slot, value)),
                (Some(before), Some(value)) if before != value => {
                    Some(SlotChange::Replace(slot, value))
                }
                (Some(_), None) => Some(SlotChange::Delete(slot)),
                _ => None,
            }
        })
    }

    /// The slots that are filled.
    pub fn filled(&self) -> impl Iterator<Item = u32> {
        (0..)
            .zip(&self.0)
            .filter(|(_, value)| value.is_some())
            .map(|(slot, _)| slot)
    }

    /// The values, in the order of their slots.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    /// Whether every slot is empty.
    pub fn is_empty(&self) -> bool {
        self.values().next().is_none()
    }
}

/// A list of endpoints as the maps hold it. Only what the balancing chain reads is filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSlots {
    /// The endpoints a chain without affinity picks from, without gaps.
    pub balanced: Slots<Destination>,
    /// The endpoints a chain with affinity picks from. Clients remember the slot, so an endpoint
    /// never moves; there may be gaps.
    pub sticky: Slots<Destination>,
    /// The filled slots of `sticky`, numbered without gaps: a random number picks one.
    pub numbers: Slots<u32>,
}

impl EndpointSlots {
    /// The maps for these endpoints, none of which comes twice, keeping what can stay.
    #[must_use]
    pub fn settle(&self, endpoints: &[Destination], has_affinity: bool) -> Self {
        if !has_affinity {
            return Self {
                balanced: self.balanced.settle(endpoints),
                ..Self::default()
            };
        }
        let sticky = self.sticky.settle_in_place(endpoints);
        let filled: Vec<u32> = sticky.filled().collect();
        Self {
            balanced: Slots::default(),
            numbers: self.numbers.settle(&filled),
            sticky,
        }
    }

    /// The endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = &Destination> {
        self.balanced.values().chain(self.sticky.values())
    }

    /// Whether the maps hold nothing.
    pub fn is_empty(&self) -> bool {
        self.balanced.is_empty() && self.sticky.is_empty() && self.numbers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(number: u8) -> Destination {
        Destination {
            address: [10, 0, 0, number].into(),
            port: 80,
        }
    }

    fn slots(numbers: &[u8]) -> Slots<Destination> {
        Slots(
            numbers
                .iter()
                .map(|number| (*number > 0).then(|| endpoint(*number)))
                .collect(),
        )
    }

    fn settle(before: &[u8], endpoints: &[u8]) -> Slots<Destination> {
        let endpoints: Vec<_> = endpoints.iter().copied().map(endpoint).collect();
        slots(before).settle(&endpoints)
    }

    #[test]
    fn endpoints_stay_where_they_are() {
        assert_eq!(settle(&[3, 1, 2], &[1, 2, 3]), slots(&[3, 1, 2]));
    }

    #[test]
    fn a_replacement_takes_the_free_slot() {
        assert_eq!(settle(&[1, 2, 3], &[1, 3, 4]), slots(&[1, 4, 3]));
    }

    #[test]
    fn the_last_one_fills_the_hole() {
        let after = settle(&[1, 2, 3, 4], &[1, 3, 4]);
        assert_eq!(after, slots(&[1, 4, 3]));
        let changes: Vec<_> = slots(&[1, 2, 3, 4]).changes(&after).collect();
        assert_eq!(
            changes,
            [SlotChange::Replace(1, endpoint(4)), SlotChange::Delete(3)]
        );
    }

    #[test]
    fn gaps_and_doubles_found_are_repaired() {
        assert_eq!(settle(&[1, 1, 0, 2], &[1, 2, 3]), slots(&[1, 2, 3]));
    }

    #[test]
    fn with_affinity_nothing_moves() {
        let before = EndpointSlots::default().settle(&[1, 2, 3].map(endpoint), true);
        let after = before.settle(&[1, 3].map(endpoint), true);
        assert_eq!(after.sticky, slots(&[1, 0, 3]));
        assert_eq!(after.numbers.values().collect::<Vec<_>>(), [&0, &2]);
        let refilled = after.settle(&[1, 3, 4].map(endpoint), true);
        assert_eq!(refilled.sticky, slots(&[1, 4, 3]));
        let without = refilled.settle(&[1, 3, 4].map(endpoint), false);
        assert_eq!(
            (without.sticky, without.numbers),
            (Slots::default(), Slots::default())
        );
    }

    #[test]
    fn far_slots_are_strays() {
        let (found, strays) = Slots::observed(vec![(u32::MAX, endpoint(9)), (1, endpoint(1))]);
        assert_eq!(found, slots(&[0, 1]));
        assert_eq!(strays, [(u32::MAX, endpoint(9))]);
    }
}
