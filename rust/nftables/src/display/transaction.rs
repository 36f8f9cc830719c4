//! Transactions as the text of `nft` commands.

use std::fmt::{self, Display, Formatter};

use crate::transaction::Elements;
use crate::{Object, Operation, Transaction, Verb};

/// One command a line; several elements stand on a line each. An operation on no elements has no
/// line: `nft` has no command that does nothing.
impl Display for Transaction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let does_something = |operation: &&Operation| match &operation.object {
            Object::Elements(elements) => !elements.elements.is_empty(),
            _ => true,
        };
        self.operations()
            .iter()
            .filter(does_something)
            .try_for_each(|operation| writeln!(f, "{operation}"))
    }
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { verb, object } = self;
        write!(f, "{} {} ", verb.keyword(), object.keyword())?;
        match (verb, object) {
            (_, Object::Elements(elements)) => write_elements(f, *verb, elements),
            (_, Object::Table(table)) => table.fmt(f),
            (Verb::Add, Object::Chain(chain)) => chain.fmt(f),
            (Verb::Add, Object::Rule(rule)) => rule.fmt(f),
            (Verb::Add, Object::Set(set)) => set.fmt(f),
            (_, Object::Jumps(rule)) => {
                write!(f, "{} {} handle {}", rule.table, rule.chain, rule.handle)
            }
            (Verb::Delete | Verb::Flush, Object::Chain(_) | Object::Rule(_) | Object::Set(_)) => {
                write!(f, "{} {}", object.table(), object.name())
            }
        }
    }
}

/// Writes a set's name and the elements, of which only the keys count unless they are added.
fn write_elements(f: &mut Formatter<'_>, verb: Verb, elements: &Elements) -> fmt::Result {
    let Elements { set, elements } = elements;
    let (start, separator, end) = match elements.len() {
        0 | 1 => (" ", "", " "),
        _ => ("\n\t", ",\n\t", "\n"),
    };
    write!(f, "{} {} {{", set.table, set.name)?;
    for (index, element) in elements.iter().enumerate() {
        f.write_str(if index == 0 { start } else { separator })?;
        match verb {
            Verb::Add => set.display_element(element).fmt(f)?,
            Verb::Delete | Verb::Flush => set.display_key(element).fmt(f)?,
        }
    }
    write!(f, "{end}}}")
}
