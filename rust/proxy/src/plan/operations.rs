//! Turns a plan into the operations that carry it out.

use std::collections::BTreeMap;
use std::hash::Hash;

use kpx_nftables::expression::Counter;
use kpx_nftables::{
    Bytes, Chain, Data, Element, Elements, Family, Name, Object, Operation, Table,
    TransactionError, Verb, Verdict,
};

use super::{DefinitionChange, FrontendChange, MemberChange, Plan};
use crate::frontend::FrontendKey;
use crate::layout::{
    Balancer, SetId, SetTable, encode_destination, encode_key, encode_member, encode_range,
    encode_slot, encode_slot_key,
};
use crate::names::chain;
use crate::programmed::{EndpointSlots, FrontendElements, Refusal, SlotChange, Slots};

/// How many changes are turned into operations at a time: few, so that the elements of a whole
/// cluster are never in memory together, and enough to fill the kernel's messages.
const STRIDE: usize = 512;

impl Plan {
    /// The operations that carry out all but the pruning, made one after the other as they are
    /// asked for.
    ///
    /// Everything a later operation refers to comes before it; deletions of elements come before
    /// additions of the same keys, so that an element can be replaced.
    pub fn operations<'a>(
        &'a self,
        sets: &'a SetTable,
    ) -> impl Iterator<Item = Result<Operation, TransactionError>> + 'a {
        let strays = self.strays.iter().map(|stray| {
            let elements = Elements {
                set: stray.set.clone(),
                elements: vec![stray.element.clone()],
            };
            (Verb::Delete, Object::Elements(elements))
        });
        // No two changes are about the same key.
        let members = in_strides(&self.members, sets, ElementChanges::push_member);
        let frontends = in_strides(&self.frontends, sets, ElementChanges::push_frontend);
        definitions(&self.definitions)
            .into_iter()
            .chain(strays)
            .chain(members)
            .chain(frontends)
            .map(|(verb, object)| Operation::new(verb, object))
    }

    /// The operations that delete what nothing needs any more.
    pub fn prune_operations(&self) -> impl Iterator<Item = Result<Operation, TransactionError>> {
        definitions(&self.prune)
            .into_iter()
            .map(|(verb, object)| Operation::new(verb, object))
    }
}

/// What changes do to elements, a stride at a time.
fn in_strides<'a, C>(
    changes: &'a [C],
    sets: &'a SetTable,
    push: fn(&mut ElementChanges, &C),
) -> impl Iterator<Item = (Verb, Object)> + 'a {
    changes.chunks(STRIDE).flat_map(move |stride| {
        let mut elements = ElementChanges::default();
        for change in stride {
            push(&mut elements, change);
        }
        elements.into_steps(sets)
    })
}

fn definitions(changes: &[DefinitionChange]) -> Vec<(Verb, Object)> {
    let mut steps = Vec::new();
    // Rules may refer to any chain, so they come when all chains are there.
    let mut rules = Vec::new();
    let flush = |table: &Table, name: &Name| {
        Object::Chain(Chain {
            table: table.clone(),
            name: name.clone(),
            base: None,
        })
    };
    for change in changes {
        match change {
            DefinitionChange::AddTable(table) => {
                steps.push((Verb::Add, Object::Table(table.clone())));
            }
            DefinitionChange::RemakeTable(table) => {
                steps.push((Verb::Delete, Object::Table(table.clone())));
                steps.push((Verb::Add, Object::Table(table.clone())));
            }
            DefinitionChange::AddSet(set) => {
                steps.push((Verb::Add, Object::Set(set.clone())));
            }
            DefinitionChange::AddChain(contents) => {
                steps.push((Verb::Add, Object::Chain(contents.chain.clone())));
                rules.extend(&contents.rules);
            }
            DefinitionChange::ReplaceRules(contents) => {
                let chain = &contents.chain;
                steps.push((Verb::Flush, flush(&chain.table, &chain.name)));
                rules.extend(&contents.rules);
            }
            DefinitionChange::DeleteChain(chain) => {
                steps.push((Verb::Flush, flush(&chain.table, &chain.name)));
            }
            DefinitionChange::DeleteSet(_) => {}
        }
    }
    for rule in rules {
        steps.push((Verb::Add, Object::Rule(rule.clone())));
    }
    for change in changes {
        match change {
            DefinitionChange::DeleteChain(chain) => {
                steps.push((Verb::Delete, Object::Chain(chain.clone())));
            }
            DefinitionChange::DeleteSet(set) => {
                steps.push((Verb::Delete, Object::Set(set.clone())));
            }
            _ => {}
        }
    }
    steps
}

/// The sets a frontend's elements are in.
struct FrontendSets {
    dispatch: SetId,
    refusal: SetId,
    short_circuit: SetId,
    endpoints: EndpointSets,
    local_endpoints: EndpointSets,
}

/// The maps a list of endpoints is in, as [`EndpointSlots`].
struct EndpointSets {
    balanced: SetId,
    sticky: SetId,
    numbers: SetId,
}

const ADDRESS_SETS: FrontendSets = FrontendSets {
    dispatch: SetId::ServiceIps,
    refusal: SetId::NoEndpointServices,
    short_circuit: SetId::ShortCircuitIps,
    endpoints: EndpointSets {
        balanced: SetId::Endpoints,
        sticky: SetId::AffinityEndpoints,
        numbers: SetId::AffinitySlots,
    },
    local_endpoints: EndpointSets {
        balanced: SetId::EndpointsLocal,
        sticky: SetId::AffinityEndpointsLocal,
        numbers: SetId::AffinitySlotsLocal,
    },
};

const NODE_PORT_SETS: FrontendSets = FrontendSets {
    dispatch: SetId::ServiceNodePorts,
    refusal: SetId::NoEndpointNodePorts,
    short_circuit: SetId::ShortCircuitNodePorts,
    endpoints: EndpointSets {
        balanced: SetId::NodePortEndpoints,
        sticky: SetId::NodePortAffinityEndpoints,
        numbers: SetId::NodePortAffinitySlots,
    },
    local_endpoints: EndpointSets {
        balanced: SetId::NodePortEndpointsLocal,
        sticky: SetId::NodePortAffinityEndpointsLocal,
        numbers: SetId::NodePortAffinitySlotsLocal,
    },
};

/// Elements by table, whether they are added, and set: in each table deletions come first.
#[derive(Default)]
struct ElementChanges(BTreeMap<(Family, bool, SetId), Vec<Element>>);

impl ElementChanges {
    fn push(&mut self, family: Family, set: SetId, present: bool, element: Element) {
        let elements = self.0.entry((family, present, set)).or_default();
        elements.push(element);
    }

    fn push_member(&mut self, change: &MemberChange) {
        let element = Element::new(encode_member(&change.member), Data::None);
        let MemberChange { member, present } = change;
        self.push(member.family(), member.set(), *present, element);
    }

    fn push_frontend(&mut self, change: &FrontendChange) {
        let FrontendChange { key, before, after } = change;
        let sets = if key.is_node_port() {
            &NODE_PORT_SETS
        } else {
            &ADDRESS_SETS
        };
        let table = &mut FrontendTable {
            changes: self,
            family: key.family(),
            counts: after.counting.on,
            // An element begins or ends to count only by being made anew.
            recounts: before.counting != after.counting,
        };
        let verdicts = |elements: &FrontendElements| {
            [
                (sets.dispatch, elements.dispatch.map(balancer_verdict)),
                (sets.refusal, elements.refusal.map(refusal_verdict)),
                (
                    sets.short_circuit,
                    elements.short_circuit.map(balancer_verdict),
                ),
            ]
        };
        for ((set, was), (_, will_be)) in verdicts(before).into_iter().zip(verdicts(after)) {
            push_verdict(
                table,
                set,
                key,
                (&before.owner, was),
                (&after.owner, will_be),
            );
        }
        let (endpoints, local) = (&sets.endpoints, &sets.local_endpoints);
        push_endpoints(table, endpoints, key, &before.endpoints, &after.endpoints);
        push_endpoints(
            table,
            local,
            key,
            &before.local_endpoints,
            &after.local_endpoints,
        );
        if before.firewalled != after.firewalled {
            let element = Element::new(encode_key(key), Data::None);
            table.push(SetId::FirewallIps, after.firewalled, element);
        }
        let ranges = [
            (false, &before.source_ranges, &after.source_ranges),
            (true, &after.source_ranges, &before.source_ranges),
        ];
        for (present, these, others) in ranges {
            for range in these.iter().filter(|range| !others.contains(range)) {
                let (first, last) = encode_range(key, *range);
                let element = Element {
                    key_end: Some(last),
                    ..Element::new(first, Data::None)
                };
                table.push(SetId::SourceRanges, present, element);
            }
        }
    }

    /// An operation for each set and what is done to it.
    fn into_steps(self, sets: &SetTable) -> impl Iterator<Item = (Verb, Object)> {
        self.0
            .into_iter()
            .map(|((family, is_added, set), elements)| {
                let verb = if is_added { Verb::Add } else { Verb::Delete };
                let set = sets.get(family, set).clone();
                (verb, Object::Elements(Elements { set, elements }))
            })
    }
}

/// The changes to a table that come from one frontend.
struct FrontendTable<'a> {
    changes: &'a mut ElementChanges,
    family: Family,
    /// Whether elements that come count.
    counts: bool,
    /// Whether elements that may count are made anew even if they stay as they are.
    recounts: bool,
}

impl FrontendTable<'_> {
    fn push(&mut self, set: SetId, present: bool, element: Element) {
        self.changes.push(self.family, set, present, element);
    }

    fn delete(&mut self, set: SetId, element: Element) {
        self.push(set, false, element);
    }

    fn add(&mut self, set: SetId, mut element: Element) {
        if self.counts && set.is_counted() {
            element.counter = Some(Counter::default());
        }
        self.push(set, true, element);
    }

    fn remakes(&self, set: SetId) -> bool {
        self.recounts && set.is_counted()
    }
}

fn balancer_verdict(balancer: Balancer) -> Verdict {
    Verdict::Goto(balancer.name())
}

fn refusal_verdict(refusal: Refusal) -> Verdict {
    match refusal {
        Refusal::Drop => Verdict::Drop,
        Refusal::Reject => Verdict::Goto(Name::new_static(chain::REJECT)),
    }
}

/// Replaces a verdict element where the verdict or the owner in its comment changes.
fn push_verdict(
    table: &mut FrontendTable<'_>,
    set: SetId,
    key: &FrontendKey,
    (owner_before, was): (&Name, Option<Verdict>),
    (owner_after, will_be): (&Name, Option<Verdict>),
) {
    if was == will_be && owner_before == owner_after && !table.remakes(set) {
        return;
    }
    let element = |verdict, owner: &Name| Element {
        comment: Some(owner.clone()),
        ..Element::new(encode_key(key), Data::Verdict(verdict))
    };
    if let Some(verdict) = was {
        table.delete(set, element(verdict, owner_before));
    }
    if let Some(verdict) = will_be {
        table.add(set, element(verdict, owner_after));
    }
}

fn push_endpoints(
    table: &mut FrontendTable<'_>,
    sets: &EndpointSets,
    key: &FrontendKey,
    before: &EndpointSlots,
    after: &EndpointSlots,
) {
    let endpoint = encode_destination;
    push_slots(
        table,
        sets.balanced,
        key,
        (&before.balanced, &after.balanced),
        endpoint,
    );
    push_slots(
        table,
        sets.sticky,
        key,
        (&before.sticky, &after.sticky),
        endpoint,
    );
    let slot = |slot: &u32| encode_slot(*slot);
    push_slots(
        table,
        sets.numbers,
        key,
        (&before.numbers, &after.numbers),
        slot,
    );
}

fn push_slots<T: Copy + Eq + Hash>(
    table: &mut FrontendTable<'_>,
    set: SetId,
    key: &FrontendKey,
    (before, after): (&Slots<T>, &Slots<T>),
    encode: impl Fn(&T) -> Bytes,
) {
    let none = Slots::default();
    let steps = if table.remakes(set) {
        [(before, &none), (&none, after)]
    } else {
        [(before, after), (&none, &none)]
    };
    for change in steps
        .into_iter()
        .flat_map(|(before, after)| before.changes(after))
    {
        let (slot, is_deleted, value) = match change {
            SlotChange::Add(slot, value) => (slot, false, Some(value)),
            SlotChange::Replace(slot, value) => (slot, true, Some(value)),
            SlotChange::Delete(slot) => (slot, true, None),
        };
        let slot_key = encode_slot_key(key, slot);
        if is_deleted {
            table.delete(set, Element::new(slot_key.clone(), Data::None));
        }
        if let Some(value) = value {
            table.add(set, Element::new(slot_key, Data::Value(encode(&value))));
        }
    }
}
