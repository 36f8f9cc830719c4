//! One operation under the kernel's rules.

use std::collections::HashMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::Rejection;
use super::{element, validation};
use crate::expression::{Immediate, LookupResult};
use crate::{
    Chain, ChainContents, ChainKind, Data, Expression, Hook, Name, Object, Operation, Rule,
    Ruleset, Set, SetContents, SetKind, Table, TableContents, Verb, Verdict,
};

/// What is wrong with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The element at fault, if it is one.
    pub(super) element: Option<usize>,
    /// The reason.
    pub(super) rejection: Rejection,
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        Self {
            element: None,
            rejection,
        }
    }
}

/// Applies an operation, and says whether it counts as a change.
pub(super) fn apply(ruleset: &mut Ruleset, operation: &Operation) -> Result<bool, Fault> {
    let Operation { verb, object } = operation;
    if let Object::Table(table) = object {
        return Ok(apply_to_table(ruleset, *verb, table)?);
    }
    let contents = ruleset
        .tables
        .get_mut(object.table())
        .ok_or(Rejection::NotFound)?;
    match (verb, object) {
        (Verb::Add, Object::Chain(chain)) => Ok(add_chain(contents, chain)?),
        (Verb::Delete, Object::Chain(chain)) => Ok(delete_chain(contents, &chain.name)?),
        (Verb::Flush, Object::Chain(chain)) => {
            let chain = contents
                .chains
                .get_mut(&chain.name)
                .ok_or(Rejection::NotFound)?;
            Ok(chain.rules.drain(..).next().is_some())
        }
        (Verb::Add, Object::Rule(rule)) => Ok(add_rule(contents, rule)?),
        (Verb::Add, Object::Set(set)) => Ok(add_set(contents, set)?),
        (Verb::Delete, Object::Set(set)) => Ok(delete_set(contents, &set.name)?),
        (Verb::Flush, Object::Set(set)) => {
            let set = contents
                .sets
                .get_mut(&set.name)
                .ok_or(Rejection::NotFound)?;
            Ok(set.elements.drain().next().is_some())
        }
        (Verb::Add, Object::Elements(list)) => element::add(contents, list),
        (Verb::Delete, Object::Elements(list)) => element::delete(contents, list),
        _ => Err(Rejection::Unsupported.into()),
    }
}

fn apply_to_table(ruleset: &mut Ruleset, verb: Verb, table: &Table) -> Result<bool, Rejection> {
    match verb {
        Verb::Add => match ruleset.tables.entry(table.clone()) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(entry) => {
                entry.insert(TableContents::default());
                Ok(true)
            }
        },
        Verb::Delete => ruleset
            .tables
            .remove(table)
            .map(|_| true)
            .ok_or(Rejection::NotFound),
        Verb::Flush => Err(Rejection::Unsupported),
    }
}

/// A chain that exists may be named again, with the same hook or without any.
fn add_chain(contents: &mut TableContents, chain: &Chain) -> Result<bool, Rejection> {
    if let Some(existing) = contents.chains.get(&chain.name) {
        return match chain.base {
            Some(_) if chain.base != existing.chain.base => Err(Rejection::Unsupported),
            _ => Ok(true),
        };
    }
    // Translation needs the hooks of connection tracking, which go before it
    // (`nft_chain_nat.c`, and `nf_tables_api.c`, `nft_chain_parse_hook`).
    if let Some(base) = chain.base {
        let is_nat = base.kind == ChainKind::Nat;
        if is_nat && (base.hook == Hook::Forward || base.priority <= CONNTRACK_PRIORITY) {
            return Err(Rejection::Unsupported);
        }
    }
    let rules = Vec::new();
    contents.chains.insert(
        chain.name.clone(),
        ChainContents {
            chain: chain.clone(),
            rules,
        },
    );
    Ok(true)
}

/// `NF_IP_PRI_CONNTRACK` (`uapi/linux/netfilter_ipv4.h`).
const CONNTRACK_PRIORITY: i32 = -200;

/// A chain goes with its rules, but not while something leads to it.
fn delete_chain(contents: &mut TableContents, name: &Name) -> Result<bool, Rejection> {
    if !contents.chains.contains_key(name) {
        return Err(Rejection::NotFound);
    }
    let mut rules = contents.chains.values().flat_map(|chain| &chain.rules);
    let is_called = rules.any(|rule| targets(rule).any(|target| target == name));
    let mut elements = contents.sets.values().flat_map(|set| set.elements.values());
    let is_mapped_to = elements.any(|element| data_target(&element.data) == Some(name));
    if is_called || is_mapped_to {
        return Err(Rejection::Busy);
    }
    contents.chains.remove(name);
    Ok(true)
}

/// What a rule refers to must be there, and fit.
fn add_rule(contents: &mut TableContents, rule: &Rule) -> Result<bool, Rejection> {
    for target in targets(rule) {
        check_target(contents, target)?;
    }
    for (name, result) in lookups(rule) {
        let set = &contents.sets.get(name).ok_or(Rejection::NotFound)?.set;
        match (result, &set.kind) {
            (Some(LookupResult::Value(_)), SetKind::Set | SetKind::VerdictMap)
            | (Some(LookupResult::Verdict), SetKind::Set | SetKind::Map(_)) => {
                return Err(Rejection::Invalid);
            }
            _ => {}
        }
    }
    let chain = contents
        .chains
        .get_mut(&rule.chain)
        .ok_or(Rejection::NotFound)?;
    chain.rules.push(rule.clone());
    validation::validate(contents)?;
    Ok(true)
}

/// A set that exists may be named again with the same types and flags; its timeout and its size
/// change.
fn add_set(contents: &mut TableContents, set: &Arc<Set>) -> Result<bool, Rejection> {
    match contents.sets.entry(set.name.clone()) {
        Entry::Vacant(entry) => {
            entry.insert(SetContents {
                set: Arc::clone(set),
                elements: HashMap::new(),
            });
        }
        Entry::Occupied(mut entry) => {
            let existing = &entry.get().set;
            if (&existing.key, &existing.kind, existing.flags) != (&set.key, &set.kind, set.flags) {
                return Err(Rejection::Exists);
            }
            element::keep_timeouts(entry.get_mut(), set.timeout);
            entry.get_mut().set = Arc::clone(set);
        }
    }
    Ok(true)
}

/// A set goes with its elements, but not while a rule looks into it.
fn delete_set(contents: &mut TableContents, name: &Name) -> Result<bool, Rejection> {
    if !contents.sets.contains_key(name) {
        return Err(Rejection::NotFound);
    }
    let mut rules = contents.chains.values().flat_map(|chain| &chain.rules);
    if rules.any(|rule| lookups(rule).any(|(set, _)| set == name)) {
        return Err(Rejection::Busy);
    }
    contents.sets.remove(name);
    Ok(true)
}

/// A verdict leads to a chain that is there and that no hook calls.
pub(super) fn check_target(contents: &TableContents, name: &Name) -> Result<(), Rejection> {
    match contents.chains.get(name) {
        None => Err(Rejection::NotFound),
        Some(target) if target.chain.base.is_some() => Err(Rejection::Unsupported),
        Some(_) => Ok(()),
    }
}

/// The chains that a rule leads to by itself.
pub(super) fn targets(rule: &Rule) -> impl Iterator<Item = &Name> {
    rule.expressions
        .iter()
        .filter_map(|expression| match expression {
            Expression::Immediate(Immediate::Verdict(verdict)) => target(verdict),
            _ => None,
        })
}

/// The chain that an element leads to.
pub(super) const fn data_target(data: &Data) -> Option<&Name> {
    match data {
        Data::Verdict(verdict) => target(verdict),
        Data::None | Data::Value(_) => None,
    }
}

const fn target(verdict: &Verdict) -> Option<&Name> {
    match verdict {
        Verdict::Jump(chain) | Verdict::Goto(chain) => Some(chain),
        Verdict::Accept | Verdict::Drop | Verdict::Continue | Verdict::Return => None,
    }
}

/// The sets that a rule looks into, and what it takes from them; `None` if it changes them.
pub(super) fn lookups(rule: &Rule) -> impl Iterator<Item = (&Name, Option<LookupResult>)> {
    rule.expressions
        .iter()
        .filter_map(|expression| match expression {
            Expression::Lookup(lookup) => Some((&lookup.set, Some(lookup.result))),
            Expression::DynamicSet(change) => Some((&change.set, None)),
            _ => None,
        })
}
