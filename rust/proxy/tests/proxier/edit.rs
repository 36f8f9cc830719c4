//! What somebody else may do to the table: each edit is a transaction that a kernel takes or refuses.

use kpx_nftables::expression::{Counter, Immediate};
use kpx_nftables::{
    BaseChain, Bytes, Chain, ChainContents, ChainKind, Data, DataType, Element, Elements,
    Expression, Hook, Name, Object, Rule, Ruleset, Set, SetContents, Table, TableContents,
    Transaction, Verb, Verdict,
};
use kpx_proxy::layout::SetId;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A kind of edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EditKind {
    DeleteElement,
    ChangeData,
    ChangeComment,
    DropComment,
    /// Lets an element count that did not, or no longer count.
    ToggleCounter,
    /// Adds an element that differs from one that is there in one byte of its key.
    AddElement,
    FlushChain,
    FlushSet,
    AddRule,
    DeleteChain,
    DeleteSet,
    DeleteTable,
    AddChain,
    AddBaseChain,
    AddSet,
    /// Gives a base chain another priority.
    MoveBaseChain,
    /// Makes a set anew with other types.
    ReshapeSet,
}

impl EditKind {
    pub(crate) const ALL: [Self; 17] = [
        Self::DeleteElement,
        Self::ChangeData,
        Self::ChangeComment,
        Self::DropComment,
        Self::ToggleCounter,
        Self::AddElement,
        Self::FlushChain,
        Self::FlushSet,
        Self::AddRule,
        Self::DeleteChain,
        Self::DeleteSet,
        Self::DeleteTable,
        Self::AddChain,
        Self::AddBaseChain,
        Self::AddSet,
        Self::MoveBaseChain,
        Self::ReshapeSet,
    ];
}

/// One edit of whatever is there.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) kind: EditKind,
    table: Index,
    object: Index,
    element: Index,
    byte: Index,
    bits: u8,
}

/// Any edit. Half of them are to elements, of which there are most.
pub(crate) fn edit() -> impl Strategy<Value = Edit> {
    edit_of(prop_oneof![
        select(EditKind::ALL[..6].to_vec()),
        select(EditKind::ALL.to_vec())
    ])
}

/// An edit of some kind.
pub(crate) fn edit_of(kind: impl Strategy<Value = EditKind>) -> impl Strategy<Value = Edit> {
    let indices = any::<[Index; 4]>();
    (kind, indices, 1..=u8::MAX).prop_map(|(kind, [table, object, element, byte], bits)| Edit {
        kind,
        table,
        object,
        element,
        byte,
        bits,
    })
}

impl Edit {
    /// The edit of a ruleset; `None` if that has nothing of the kind.
    pub(crate) fn transaction(&self, ruleset: &Ruleset) -> Option<Transaction> {
        let (table, contents) = pick(self.table, ruleset.tables.iter())?;
        let mut steps = Steps::default();
        self.edit_elements(contents, &mut steps)
            .or_else(|| self.edit_definitions(table, contents, &mut steps))?;
        Some(steps.0)
    }

    fn edit_elements(&self, contents: &TableContents, steps: &mut Steps) -> Option<()> {
        match self.kind {
            EditKind::DeleteElement => {
                let (set, element) = self.element(contents, |_| true)?;
                steps.element(Verb::Delete, set, element.clone());
            }
            EditKind::ChangeData => {
                let (set, element) =
                    self.element(contents, |element| element.data != Data::None)?;
                steps.element(Verb::Delete, set, element.clone());
                let data = self.other_data(&element.data);
                let element = Element {
                    data,
                    ..element.clone()
                };
                steps.element(Verb::Add, set, element);
            }
            EditKind::ChangeComment | EditKind::DropComment => {
                let (set, element) = self.element(contents, |element| element.comment.is_some())?;
                steps.element(Verb::Delete, set, element.clone());
                let is_changed = self.kind == EditKind::ChangeComment;
                let comment = is_changed.then(|| Name::new_static("default/other:http"));
                let element = Element {
                    comment,
                    ..element.clone()
                };
                steps.element(Verb::Add, set, element);
            }
            EditKind::ToggleCounter => {
                let sets = contents.sets.values();
                let fit = sets.filter(|set| is_counted(&set.set) && !set.elements.is_empty());
                let set = pick(self.object, fit)?;
                let mut elements: Vec<_> = set.elements.values().map(Box::as_ref).collect();
                elements.sort_unstable_by(|one, other| one.key.cmp(&other.key));
                let element = pick(self.element, elements.into_iter())?;
                steps.element(Verb::Delete, set, element.clone());
                let counter = element.counter.is_none().then(Counter::default);
                let element = Element {
                    counter,
                    ..element.clone()
                };
                steps.element(Verb::Add, set, element);
            }
            EditKind::AddElement => {
                let (set, element) = self.element(contents, |_| true)?;
                steps.element(Verb::Add, set, self.other_key(element));
            }
            _ => return None,
        }
        Some(())
    }

    fn edit_definitions(
        &self,
        table: &Table,
        contents: &TableContents,
        steps: &mut Steps,
    ) -> Option<()> {
        match self.kind {
            EditKind::FlushChain => steps.flush_chain(&self.chain(contents)?.chain),
            EditKind::FlushSet => steps.push(Verb::Flush, Object::Set(self.set(contents)?.clone())),
            EditKind::AddRule => {
                let chain = &self.chain(contents)?.chain;
                steps.push(Verb::Add, Object::Rule(dropping(table, &chain.name)));
            }
            EditKind::DeleteChain => {
                let chain = &self.chain(contents)?.chain;
                steps.flush_chains(contents);
                steps.push(Verb::Delete, Object::Chain(chain.clone()));
            }
            EditKind::DeleteSet => {
                steps.flush_chains(contents);
                steps.push(Verb::Delete, Object::Set(self.set(contents)?.clone()));
            }
            EditKind::DeleteTable => steps.push(Verb::Delete, Object::Table(table.clone())),
            EditKind::AddChain => {
                // One of the names is that of a chain that kpx may come to need.
                let names = [
                    "foreign",
                    "lb-2",
                    "external-local-0",
                    "service-XYZ-default/s0",
                ];
                let name = Name::new_static(names[usize::from(self.bits) % names.len()]);
                steps.push(Verb::Add, Object::Chain(chain(table, &name, None)));
                steps.push(Verb::Add, Object::Rule(dropping(table, &name)));
            }
            EditKind::AddBaseChain => {
                let name = Name::new_static("foreign-input");
                let base = Some(BaseChain {
                    kind: ChainKind::Filter,
                    hook: Hook::Input,
                    priority: 7,
                });
                steps.push(Verb::Add, Object::Chain(chain(table, &name, base)));
                steps.push(Verb::Add, Object::Rule(dropping(table, &name)));
            }
            EditKind::AddSet => {
                let model = self.set(contents)?;
                let name = Name::new_static("foreign");
                let set = Set {
                    name,
                    ..Set::clone(model)
                };
                steps.push(Verb::Add, Object::Set(set.into()));
            }
            EditKind::MoveBaseChain => {
                let chains = contents.chains.values();
                let bases = chains.filter(|contents| contents.chain.base.is_some());
                let found = &pick(self.object, bases)?.chain;
                let base = found.base.map(|base| BaseChain {
                    priority: base.priority + 1,
                    ..base
                });
                steps.flush_chain(found);
                steps.push(Verb::Delete, Object::Chain(found.clone()));
                steps.push(Verb::Add, Object::Chain(chain(table, &found.name, base)));
            }
            EditKind::ReshapeSet => {
                let found = self.set(contents)?;
                let mut set = Set::clone(found);
                set.key.push(DataType::InetService);
                steps.flush_chains(contents);
                steps.push(Verb::Delete, Object::Set(found.clone()));
                steps.push(Verb::Add, Object::Set(set.into()));
            }
            _ => return None,
        }
        Some(())
    }

    fn chain<'a>(&self, contents: &'a TableContents) -> Option<&'a ChainContents> {
        pick(self.object, contents.chains.values())
    }

    fn set<'a>(&self, contents: &'a TableContents) -> Option<&'a std::sync::Arc<Set>> {
        Some(&pick(self.object, contents.sets.values())?.set)
    }

    fn element<'a>(
        &self,
        contents: &'a TableContents,
        is_fit: impl Fn(&Element) -> bool,
    ) -> Option<(&'a SetContents, &'a Element)> {
        let sets = contents.sets.values();
        let sets = sets.filter(|set| set.elements.values().any(|element| is_fit(element)));
        let set = pick(self.object, sets)?;
        let mut elements: Vec<_> = set.elements.values().filter(|one| is_fit(one)).collect();
        elements.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Some((set, pick(self.element, elements.into_iter())?))
    }

    fn other_data(&self, data: &Data) -> Data {
        match data {
            Data::Value(value) => Data::Value(self.other_bytes(value)),
            Data::Verdict(Verdict::Drop) => Data::Verdict(Verdict::Accept),
            _ if self.bits.is_multiple_of(2) => Data::Verdict(Verdict::Drop),
            _ => Data::Verdict(Verdict::Goto(Name::new_static("reject-chain"))),
        }
    }

    fn other_key(&self, element: &Element) -> Element {
        let change = |bytes: &Bytes| self.other_bytes(bytes);
        Element {
            key: change(&element.key),
            key_end: element.key_end.as_ref().map(change),
            ..element.clone()
        }
    }

    fn other_bytes(&self, bytes: &Bytes) -> Bytes {
        let mut bytes = bytes.clone();
        let position = self.byte.index(bytes.len());
        bytes[position] ^= self.bits;
        bytes
    }
}

fn is_counted(set: &Set) -> bool {
    SetId::ALL
        .iter()
        .any(|id| id.name() == set.name && id.is_counted())
}

fn pick<T>(index: Index, candidates: impl Iterator<Item = T>) -> Option<T> {
    let mut candidates: Vec<_> = candidates.collect();
    if candidates.is_empty() {
        return None;
    }
    Some(candidates.swap_remove(index.index(candidates.len())))
}

fn chain(table: &Table, name: &Name, base: Option<BaseChain>) -> Chain {
    Chain {
        table: table.clone(),
        name: name.clone(),
        base,
    }
}

fn dropping(table: &Table, chain: &Name) -> Rule {
    Rule {
        table: table.clone(),
        chain: chain.clone(),
        expressions: vec![Expression::Immediate(Immediate::Verdict(Verdict::Drop))],
        comment: None,
    }
}

#[derive(Default)]
struct Steps(Transaction);

impl Steps {
    fn push(&mut self, verb: Verb, object: Object) {
        self.0.push(verb, object).unwrap();
    }

    fn element(&mut self, verb: Verb, set: &SetContents, element: Element) {
        let elements = Elements {
            set: set.set.clone(),
            elements: vec![element],
        };
        self.push(verb, Object::Elements(elements));
    }

    fn flush_chain(&mut self, chain: &Chain) {
        self.push(Verb::Flush, Object::Chain(chain.clone()));
    }

    fn flush_chains(&mut self, contents: &TableContents) {
        for contents in contents.chains.values() {
            self.flush_chain(&contents.chain);
        }
    }
}
