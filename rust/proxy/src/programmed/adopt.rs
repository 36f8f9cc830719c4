//! Reads a dump of the kernel in the terms of Services.

use std::sync::Arc;

use kpx_nftables::{Data, Element, Family, Ruleset, Set, SetContents, TableContents, Verdict};

use super::{
    Counting, EndpointSlots, FrontendElements, Programmed, ProgrammedTable, Refusal, Slots, Stray,
};
use crate::frontend::{Destination, FrontendKey};
use crate::hash::HashMap;
use crate::layout::{
    Balancer, SetId, SetShape, SetTable, decode_destination, decode_key, decode_member,
    decode_range, decode_slot, decode_slot_key, encode_slot_key,
};
use crate::names::chain;

impl Programmed {
    /// Takes over what a dump of the kernel shows, whoever wrote it. Nothing is lost: an element
    /// that kpx would never write is kept as a [`Stray`].
    pub fn adopt(ruleset: Ruleset, sets: &SetTable) -> Self {
        let mut programmed = Self {
            generation: ruleset.generation,
            ..Self::default()
        };
        for (table, contents) in ruleset.tables {
            programmed.adopt_table(table.family, contents, sets);
        }
        programmed
    }

    fn adopt_table(&mut self, family: Family, contents: TableContents, sets: &SetTable) {
        let mut table = ProgrammedTable {
            chains: contents.chains,
            ..ProgrammedTable::default()
        };
        let mut adopter = Adopter {
            family,
            programmed: self,
            slots: HashMap::default(),
            numbers: HashMap::default(),
        };
        for (name, SetContents { set, elements }) in contents.sets {
            let id = SetId::ALL.into_iter().find(|id| id.name() == name.as_str());
            // A set of another shape is no set of this layout: its table is made anew.
            if let Some(id) = id.filter(|id| sets.get(family, *id) == &set) {
                adopter.adopt_set(id, &set, elements.into_values().map(|element| *element));
            }
            table.sets.insert(name, set);
        }
        adopter.adopt_slots(sets);
        self.tables.insert(family, table);
    }
}

/// The endpoints found for a frontend, by slot, and whether their elements count.
#[derive(Default)]
struct FoundSlots {
    slots: Vec<(u32, Destination)>,
    counting: Counting,
}

struct Adopter<'a> {
    family: Family,
    programmed: &'a mut Programmed,
    slots: HashMap<(SetId, FrontendKey), FoundSlots>,
    numbers: HashMap<(SetId, FrontendKey), Vec<(u32, u32)>>,
}

impl Adopter<'_> {
    fn adopt_set(&mut self, id: SetId, set: &Arc<Set>, elements: impl Iterator<Item = Element>) {
        for element in elements {
            let known = match id.shape() {
                SetShape::Addresses | SetShape::Hairpins => self.adopt_member(id, &element),
                SetShape::Verdicts => self.adopt_verdict(id, &element),
                SetShape::Endpoints | SetShape::StickyEndpoints => self.adopt_slot(id, &element),
                SetShape::Numbers => self.adopt_number(id, &element),
                // What clients did is theirs.
                SetShape::Clients => Some(()),
                SetShape::Keys => self.adopt_firewall(&element),
                SetShape::Ranges => self.adopt_range(&element),
            };
            if known.is_none() {
                self.programmed.strays.push(Stray {
                    set: set.clone(),
                    element,
                });
            }
        }
    }

    fn adopt_member(&mut self, id: SetId, element: &Element) -> Option<()> {
        let member = decode_member(self.family, id, &element.key)?;
        self.programmed.members.insert(member);
        Some(())
    }

    fn frontend(&mut self, key: FrontendKey) -> &mut FrontendElements {
        Arc::make_mut(self.programmed.frontends.entry(key).or_default())
    }

    /// Verdict elements say whose they are. Two of one frontend that name different owners are
    /// not both right: the one that comes second is a stray.
    fn adopt_verdict(&mut self, id: SetId, element: &Element) -> Option<()> {
        let key = decode_key(self.family, id.is_node_port(), &element.key)?;
        let Data::Verdict(verdict) = &element.data else {
            return None;
        };
        let owner = element.comment.clone().filter(|owner| !owner.is_empty())?;
        let balancer = || match verdict {
            Verdict::Goto(name) => Balancer::from_name(name),
            _ => None,
        };
        let (dispatch, refusal, short_circuit) = match id {
            SetId::ServiceIps | SetId::ServiceNodePorts => (Some(balancer()?), None, None),
            SetId::ShortCircuitIps | SetId::ShortCircuitNodePorts => {
                (None, None, Some(balancer()?))
            }
            _ => match verdict {
                Verdict::Drop => (None, Some(Refusal::Drop), None),
                Verdict::Goto(name) if name == chain::REJECT => (None, Some(Refusal::Reject), None),
                _ => return None,
            },
        };
        let frontend = self.frontend(key);
        if frontend.owner.is_empty() {
            frontend.owner = owner;
        } else if frontend.owner != owner {
            return None;
        }
        if id.is_counted() {
            frontend.counting = frontend.counting.and(counting(element));
        }
        frontend.dispatch = frontend.dispatch.or(dispatch);
        frontend.refusal = frontend.refusal.or(refusal);
        frontend.short_circuit = frontend.short_circuit.or(short_circuit);
        Some(())
    }

    fn adopt_slot(&mut self, id: SetId, element: &Element) -> Option<()> {
        let (key, slot) = decode_slot_key(self.family, id.is_node_port(), &element.key)?;
        let Data::Value(value) = &element.data else {
            return None;
        };
        let destination = decode_destination(self.family, value)?;
        let found = self.slots.entry((id, key)).or_default();
        found.slots.push((slot, destination));
        found.counting = found.counting.and(counting(element));
        Some(())
    }

    fn adopt_number(&mut self, id: SetId, element: &Element) -> Option<()> {
        let (key, number) = decode_slot_key(self.family, id.is_node_port(), &element.key)?;
        let Data::Value(value) = &element.data else {
            return None;
        };
        let slot = decode_slot(value)?;
        self.numbers
            .entry((id, key))
            .or_default()
            .push((number, slot));
        Some(())
    }

    /// Gives the slots found to their frontends, when all of them are known.
    fn adopt_slots(&mut self, sets: &SetTable) {
        for ((id, key), found) in std::mem::take(&mut self.slots) {
            let FoundSlots { slots, counting } = found;
            let (slots, strays) = Slots::observed(slots);
            self.push_strays(sets.get(self.family, id), &key, strays);
            if slots.is_empty() {
                continue;
            }
            let frontend = self.frontend(key);
            frontend.counting = frontend.counting.and(counting);
            let lists = self.endpoint_slots(id, key);
            match id.shape() {
                SetShape::StickyEndpoints => lists.sticky = slots,
                _ => lists.balanced = slots,
            }
        }
        for ((id, key), found) in std::mem::take(&mut self.numbers) {
            let (numbers, strays) = Slots::observed(found);
            self.push_strays(sets.get(self.family, id), &key, strays);
            if !numbers.is_empty() {
                self.endpoint_slots(id, key).numbers = numbers;
            }
        }
    }

    fn push_strays<T>(&mut self, set: &Arc<Set>, key: &FrontendKey, strays: Vec<(u32, T)>) {
        let strays = strays.into_iter().map(|(slot, _)| Stray {
            set: set.clone(),
            element: Element::new(encode_slot_key(key, slot), Data::None),
        });
        self.programmed.strays.extend(strays);
    }

    fn endpoint_slots(&mut self, id: SetId, key: FrontendKey) -> &mut EndpointSlots {
        let frontend = self.frontend(key);
        if id.is_local() {
            &mut frontend.local_endpoints
        } else {
            &mut frontend.endpoints
        }
    }

    fn adopt_firewall(&mut self, element: &Element) -> Option<()> {
        let key = decode_key(self.family, false, &element.key)?;
        self.frontend(key).firewalled = true;
        Some(())
    }

    fn adopt_range(&mut self, element: &Element) -> Option<()> {
        let last = element.key_end.as_ref().unwrap_or(&element.key);
        let (key, range) = decode_range(self.family, &element.key, last)?;
        let ranges = &mut self.frontend(key).source_ranges;
        let position = ranges
            .binary_search(&range)
            .unwrap_or_else(|position| position);
        ranges.insert(position, range);
        Some(())
    }
}

fn counting(element: &Element) -> Counting {
    Counting::all(element.counter.is_some())
}
