//! The fake ruleset and how it commits.

use super::{FakeError, operation};
use crate::{Object, Operation, Ruleset, Transaction};

/// A ruleset that takes transactions as the kernel does: all of it, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FakeRuleset {
    ruleset: Ruleset,
}

impl FakeRuleset {
    /// A ruleset without tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is programmed.
    pub const fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// Applies a transaction. The generation goes up by one if there was something to change.
    ///
    /// # Errors
    ///
    /// If the kernel would refuse an operation; then nothing changes.
    pub fn apply(&mut self, transaction: &Transaction) -> Result<(), FakeError> {
        let mut next = self.ruleset.clone();
        let mut is_changed = false;
        for (index, step) in transaction.operations().iter().enumerate() {
            is_changed |= operation::apply(&mut next, step).map_err(|fault| FakeError {
                operation: index,
                element: fault.element,
                text: describe(step, fault.element),
                rejection: fault.rejection,
            })?;
        }
        next.generation = self.ruleset.generation.wrapping_add(is_changed.into());
        self.ruleset = next;
        Ok(())
    }
}

impl From<Ruleset> for FakeRuleset {
    fn from(ruleset: Ruleset) -> Self {
        Self { ruleset }
    }
}

/// The text of the operation, or of the one element at fault.
fn describe(operation: &Operation, element: Option<usize>) -> String {
    match (&operation.object, element) {
        (Object::Elements(list), Some(index)) => {
            let element = list
                .elements
                .get(index)
                .map(|element| list.set.display_element(element));
            let text = element
                .map(|element| element.to_string())
                .unwrap_or_default();
            let verb = operation.verb.keyword();
            format!(
                "{verb} element {} {} {{ {text} }}",
                list.set.table, list.set.name
            )
        }
        _ => operation.to_string(),
    }
}
