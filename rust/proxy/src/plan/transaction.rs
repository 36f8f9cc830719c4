//! Turns a plan into the transaction that carries it out.

use std::hash::Hash;

use kpx_nftables::expression::Counter;
use kpx_nftables::{
    Bytes, Chain, Data, Element, Elements, Family, Name, Object, Table, Transaction,
    TransactionError, Verb, Verdict,
};

use super::{DefinitionChange, FrontendChange, Plan};
use crate::frontend::FrontendKey;
use crate::layout::{
    Balancer, SetId, SetTable, encode_destination, encode_key, encode_member, encode_range,
    encode_slot, encode_slot_key,
};
use crate::names::chain;
use crate::programmed::{EndpointSlots, FrontendElements, Refusal, SlotChange, Slots};

impl Plan {
    /// The transaction that carries out all but the pruning.
    ///
    /// Everything a later operation refers to comes before it; deletions of elements come before
    /// additions, so that an element can be replaced.
    pub fn transaction(&self, sets: &SetTable) -> Result<Transaction, TransactionError> {
        let mut transaction = Transaction::new();
        push_definitions(&self.definitions, &mut transaction)?;
        let mut changes = ElementChanges::default();
        for stray in &self.strays {
            let elements = Elements {
                set: stray.set.clone(),
                elements: vec![stray.element.clone()],
            };
            transaction.push(Verb::Delete, Object::Elements(elements))?;
        }
        for change in &self.members {
            let element = Element::new(encode_member(&change.member), Data::None);
            let table = changes.of(change.member.family());
            table.push(change.member.set(), change.present, element);
        }
        for change in &self.frontends {
            changes.push_frontend(change);
        }
        changes.into_transaction(sets, &mut transaction)?;
        Ok(transaction)
    }

    /// The transaction that deletes what nothing needs any more.
    pub fn prune_transaction(&self) -> Result<Transaction, TransactionError> {
        let mut transaction = Transaction::new();
        push_definitions(&self.prune, &mut transaction)?;
        Ok(transaction)
    }
}

fn push_definitions(
    changes: &[DefinitionChange],
    transaction: &mut Transaction,
) -> Result<(), TransactionError> {
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
                transaction.push(Verb::Add, Object::Table(table.clone()))?;
            }
            DefinitionChange::RemakeTable(table) => {
                transaction.push(Verb::Delete, Object::Table(table.clone()))?;
                transaction.push(Verb::Add, Object::Table(table.clone()))?;
            }
            DefinitionChange::AddSet(set) => {
                transaction.push(Verb::Add, Object::Set(set.clone()))?;
            }
            DefinitionChange::AddChain(contents) => {
                transaction.push(Verb::Add, Object::Chain(contents.chain.clone()))?;
                rules.extend(&contents.rules);
            }
            DefinitionChange::ReplaceRules(contents) => {
                let chain = &contents.chain;
                transaction.push(Verb::Flush, flush(&chain.table, &chain.name))?;
                rules.extend(&contents.rules);
            }
            DefinitionChange::DeleteChain(chain) => {
                transaction.push(Verb::Flush, flush(&chain.table, &chain.name))?;
            }
            DefinitionChange::DeleteSet(_) => {}
        }
    }
    for rule in rules {
        transaction.push(Verb::Add, Object::Rule(rule.clone()))?;
    }
    for change in changes {
        match change {
            DefinitionChange::DeleteChain(chain) => {
                transaction.push(Verb::Delete, Object::Chain(chain.clone()))?;
            }
            DefinitionChange::DeleteSet(set) => {
                transaction.push(Verb::Delete, Object::Set(set.clone()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The elements to delete from and to add to the sets of one table.
#[derive(Default)]
struct TableChanges {
    deleted: [Vec<Element>; SetId::ALL.len()],
    added: [Vec<Element>; SetId::ALL.len()],
}

impl TableChanges {
    fn push(&mut self, set: SetId, present: bool, element: Element) {
        let lists = if present {
            &mut self.added
        } else {
            &mut self.deleted
        };
        lists[set as usize].push(element);
    }
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

#[derive(Default)]
struct ElementChanges {
    ipv4: TableChanges,
    ipv6: TableChanges,
}

impl ElementChanges {
    fn of(&mut self, family: Family) -> &mut TableChanges {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }

    fn push_frontend(&mut self, change: &FrontendChange) {
        let FrontendChange { key, before, after } = change;
        let sets = if key.is_node_port() {
            &NODE_PORT_SETS
        } else {
            &ADDRESS_SETS
        };
        let table = &mut FrontendTable {
            changes: self.of(key.family()),
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
            table
                .changes
                .push(SetId::FirewallIps, after.firewalled, element);
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
                table.changes.push(SetId::SourceRanges, present, element);
            }
        }
    }

    fn into_transaction(
        self,
        sets: &SetTable,
        transaction: &mut Transaction,
    ) -> Result<(), TransactionError> {
        for (family, changes) in [(Family::Ipv4, self.ipv4), (Family::Ipv6, self.ipv6)] {
            let lists = [(Verb::Delete, changes.deleted), (Verb::Add, changes.added)];
            for (verb, lists) in lists {
                for (set, elements) in SetId::ALL.into_iter().zip(lists) {
                    if !elements.is_empty() {
                        let set = sets.get(family, set).clone();
                        transaction.push(verb, Object::Elements(Elements { set, elements }))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The changes to a table that come from one frontend.
struct FrontendTable<'a> {
    changes: &'a mut TableChanges,
    /// Whether elements that come count.
    counts: bool,
    /// Whether elements that may count are made anew even if they stay as they are.
    recounts: bool,
}

impl FrontendTable<'_> {
    fn delete(&mut self, set: SetId, element: Element) {
        self.changes.push(set, false, element);
    }

    fn add(&mut self, set: SetId, mut element: Element) {
        if self.counts && set.is_counted() {
            element.counter = Some(Counter::default());
        }
        self.changes.push(set, true, element);
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
