//! The changes a plan consists of.

use std::sync::Arc;

use kpx_nftables::{Chain, ChainContents, Set, Table};

use crate::frontend::FrontendKey;
use crate::layout::Member;
use crate::programmed::{FrontendElements, Programmed, ProgrammedTable, Stray};
use crate::virtual_servers::VirtualServerPlan;

/// What happens to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It is new.
    Add,
    /// It stays, but not as it is.
    Change,
    /// It goes.
    Delete,
}

/// A change to a table, a chain or a set.
#[derive(Clone, Debug, PartialEq)]
pub enum DefinitionChange {
    /// The table is missing.
    AddTable(Table),
    /// The table has sets or base chains of another form, as another version of kpx may have left
    /// them: it is deleted and made anew, with all its contents, in the same transaction.
    RemakeTable(Table),
    /// The set is missing.
    AddSet(Arc<Set>),
    /// The chain is missing.
    AddChain(ChainContents),
    /// The chain has other rules.
    ReplaceRules(ChainContents),
    /// Nothing refers to the chain any more.
    DeleteChain(Chain),
    /// The set is none of this layout.
    DeleteSet(Arc<Set>),
}

impl DefinitionChange {
    /// The table it is about, or in.
    pub fn table(&self) -> &Table {
        match self {
            Self::AddTable(table) | Self::RemakeTable(table) => table,
            Self::AddSet(set) | Self::DeleteSet(set) => &set.table,
            Self::AddChain(contents) | Self::ReplaceRules(contents) => &contents.chain.table,
            Self::DeleteChain(chain) => &chain.table,
        }
    }

    /// What happens to the table, set or chain.
    pub fn action(&self) -> Action {
        match self {
            Self::AddTable(_) | Self::AddSet(_) | Self::AddChain(_) => Action::Add,
            Self::RemakeTable(_) | Self::ReplaceRules(_) => Action::Change,
            Self::DeleteChain(_) | Self::DeleteSet(_) => Action::Delete,
        }
    }
}

/// A change to what the maps hold for one frontend.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontendChange {
    /// The frontend.
    pub key: FrontendKey,
    /// What the maps hold; empty for a new frontend.
    pub before: Arc<FrontendElements>,
    /// What the maps will hold; empty for one that goes.
    pub after: Arc<FrontendElements>,
}

impl FrontendChange {
    /// What happens to the frontend.
    pub fn action(&self) -> Action {
        if self.before.is_empty() {
            Action::Add
        } else if self.after.is_empty() {
            Action::Delete
        } else {
            Action::Change
        }
    }

    /// The elements that say whose the frontend is: those that stay, else those that go.
    pub fn named(&self) -> &FrontendElements {
        if self.after.is_empty() {
            &self.before
        } else {
            &self.after
        }
    }
}

/// An element of a shared set that comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberChange {
    /// The element.
    pub member: Member,
    /// Whether it will be there.
    pub present: bool,
}

impl MemberChange {
    /// What happens to the element.
    pub fn action(&self) -> Action {
        if self.present {
            Action::Add
        } else {
            Action::Delete
        }
    }
}

/// How much a plan changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Things that are new.
    pub added: usize,
    /// Things that stay, but not as they are.
    pub changed: usize,
    /// Things that go.
    pub removed: usize,
}

/// What has to change in the kernel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Changes to tables, chains and sets that come before all others.
    pub definitions: Vec<DefinitionChange>,
    /// Changes to frontends, each frontend once.
    pub frontends: Vec<FrontendChange>,
    /// Changes to the elements of shared sets.
    pub members: Vec<MemberChange>,
    /// Changes to virtual servers.
    pub virtual_servers: VirtualServerPlan,
    /// Elements that kpx never writes, to be deleted.
    pub strays: Vec<Stray>,
    /// Chains and sets to delete when all else is done, in a transaction of their own: before
    /// Linux 6.2 a chain stays in use until the transaction that dropped its last reference is
    /// over.
    pub prune: Vec<DefinitionChange>,
    /// How many Services have frontends once the plan is applied.
    pub services: usize,
    /// How many endpoints serve them.
    pub endpoints: usize,
    /// The generation of the kernel the plan was made for.
    pub generation: u32,
    /// The revision of the desired state the plan was made for.
    pub(crate) revision: u64,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        self.definitions.len()
            + self.frontends.len()
            + self.members.len()
            + self.virtual_servers.len()
            + self.strays.len()
            + self.prune.len()
    }

    /// Counts the changes by what happens.
    pub fn summary(&self) -> Summary {
        let definitions = self
            .definitions
            .iter()
            .chain(&self.prune)
            .map(DefinitionChange::action);
        let frontends = self.frontends.iter().map(FrontendChange::action);
        let members = self.members.iter().map(MemberChange::action);
        let strays = self.strays.iter().map(|_| Action::Delete);
        let servers = self.virtual_servers.actions();
        let mut summary = Summary::default();
        let elements = frontends.chain(members).chain(strays);
        for action in definitions.chain(elements).chain(servers) {
            match action {
                Action::Add => summary.added += 1,
                Action::Change => summary.changed += 1,
                Action::Delete => summary.removed += 1,
            }
        }
        summary
    }

    /// Whether rules go that translate connections themselves, which is left to IPVS otherwise.
    pub(crate) fn replaces_translation(&self) -> bool {
        let mut frontends = self.frontends.iter();
        frontends.any(|change| change.before.translates())
    }

    /// Notes in `programmed` what the kernel holds after all but the pruning.
    pub(crate) fn confirm(&self, programmed: &mut Programmed) {
        confirm_definitions(&self.definitions, programmed);
        for FrontendChange { key, after, .. } in &self.frontends {
            if after.is_empty() {
                programmed.frontends.remove(key);
            } else {
                programmed.frontends.insert(*key, Arc::clone(after));
            }
        }
        for MemberChange { member, present } in &self.members {
            if *present {
                programmed.members.insert(*member);
            } else {
                programmed.members.remove(member);
            }
        }
        programmed
            .strays
            .retain(|stray| !self.strays.contains(stray));
    }

    /// Notes in `programmed` what the kernel holds after the pruning.
    pub(crate) fn confirm_prune(&self, programmed: &mut Programmed) {
        confirm_definitions(&self.prune, programmed);
    }
}

fn confirm_definitions(changes: &[DefinitionChange], programmed: &mut Programmed) {
    for change in changes {
        confirm_definition(change.clone(), programmed);
    }
}

fn confirm_definition(change: DefinitionChange, programmed: &mut Programmed) {
    match change {
        DefinitionChange::AddTable(table) => {
            programmed
                .tables
                .insert(table.family, ProgrammedTable::default());
        }
        DefinitionChange::RemakeTable(table) => {
            let family = table.family;
            programmed.tables.insert(family, ProgrammedTable::default());
            programmed.frontends.retain(|key, _| key.family() != family);
            programmed
                .members
                .retain(|member| member.family() != family);
            programmed
                .strays
                .retain(|stray| stray.set.table.family != family);
        }
        DefinitionChange::AddSet(set) => {
            let table = programmed.tables.entry(set.table.family).or_default();
            table.sets.insert(set.name.clone(), set);
        }
        DefinitionChange::AddChain(contents) | DefinitionChange::ReplaceRules(contents) => {
            let table = programmed
                .tables
                .entry(contents.chain.table.family)
                .or_default();
            table.chains.insert(contents.chain.name.clone(), contents);
        }
        DefinitionChange::DeleteChain(chain) => {
            if let Some(table) = programmed.tables.get_mut(&chain.table.family) {
                table.chains.remove(&chain.name);
            }
        }
        DefinitionChange::DeleteSet(set) => {
            if let Some(table) = programmed.tables.get_mut(&set.table.family) {
                table.sets.remove(&set.name);
            }
        }
    }
}
