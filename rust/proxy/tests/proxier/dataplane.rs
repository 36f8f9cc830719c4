//! Kernels for tests: the fake and the real one alike, with commits that fail when they are told to.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;

use kpx_ipvs::{Command, ObservedDestination, Refusal, ServiceKey};
use kpx_netlink::Socket;
use kpx_nftables::fake::{FakeError, FakeRuleset, Rejection};
use kpx_nftables::{
    Client, CommitError, Family, Object, Operation, Ruleset, Table, Transaction, TransactionError,
    Verb,
};
use kpx_proxy::names::TABLE;
use kpx_proxy::virtual_servers::{ObservedAddresses, ObservedServers};
use kpx_proxy::{CommitFailure, Dataplane};
use thiserror::Error;

use crate::fake_node::FakeNode;

/// What holds a ruleset. Anybody may write to it, not only the proxier.
pub(crate) trait Kernel {
    /// Why a transaction is refused.
    type Error: CommitFailure;

    /// What is programmed.
    fn read(&mut self) -> Ruleset;

    /// Applies a transaction, whatever the generation is if none is given.
    fn write(
        &mut self,
        transaction: &Transaction,
        generation: Option<u32>,
    ) -> Result<u32, Self::Error>;
}

/// Why the fake kernel refuses a transaction.
#[derive(Debug, Error)]
pub(crate) enum FakeFailure {
    /// The ruleset is no longer at the generation given.
    #[error("stale")]
    Stale,
    /// An operation is at fault.
    #[error(transparent)]
    Refused(#[from] FakeError),
}

impl CommitFailure for FakeFailure {
    fn position(&self) -> Option<(usize, Option<usize>)> {
        match self {
            Self::Refused(error) => Some((error.operation, error.element)),
            Self::Stale => None,
        }
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    fn is_uncertain(&self) -> bool {
        matches!(self, Self::Stale)
    }

    fn is_busy(&self) -> bool {
        matches!(self, Self::Refused(error) if error.rejection == Rejection::Busy)
    }
}

impl Kernel for FakeRuleset {
    type Error = FakeFailure;

    fn read(&mut self) -> Ruleset {
        self.ruleset().clone()
    }

    fn write(
        &mut self,
        transaction: &Transaction,
        generation: Option<u32>,
    ) -> Result<u32, FakeFailure> {
        if generation.is_some_and(|generation| generation != self.ruleset().generation) {
            return Err(FakeFailure::Stale);
        }
        self.apply(transaction)?;
        Ok(self.ruleset().generation)
    }
}

impl Kernel for Client<Socket> {
    type Error = CommitError;

    fn read(&mut self) -> Ruleset {
        self.dump(TABLE).unwrap()
    }

    fn write(
        &mut self,
        transaction: &Transaction,
        generation: Option<u32>,
    ) -> Result<u32, CommitError> {
        self.commit(transaction, generation)
    }
}

/// The ruleset changed during every attempt to read it.
#[derive(Debug, Error)]
#[error("unsteady")]
pub(crate) struct Unsteady;

/// Adds or deletes a table that is nobody's business.
fn foreign(verb: Verb) -> Transaction {
    let table = Table {
        family: Family::Ipv4,
        name: "foreign".into(),
    };
    let mut transaction = Transaction::new();
    transaction.push(verb, Object::Table(table)).unwrap();
    transaction
}

/// What goes wrong with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The kernel refuses it.
    Refused,
    /// Somebody else has written meanwhile.
    Stale,
    /// It never reaches the kernel, which the proxier cannot know.
    Unsent,
    /// It is done, but the answer is lost.
    Unanswered,
}

/// Why a commit failed.
#[derive(Debug, Error)]
pub(crate) enum Failure<E: std::error::Error + 'static> {
    /// It was to fail.
    #[error("{0:?} on purpose")]
    Injected(Fault),
    /// It writes what the kernel refuses; perhaps the kernel says where.
    #[error("refused on purpose")]
    Poisoned(Option<(usize, Option<usize>)>),
    /// The kernel did not take it.
    #[error(transparent)]
    Kernel(E),
}

impl<E: CommitFailure> CommitFailure for Failure<E> {
    fn position(&self) -> Option<(usize, Option<usize>)> {
        match self {
            Self::Injected(_) => None,
            Self::Poisoned(position) => *position,
            Self::Kernel(error) => error.position(),
        }
    }

    fn is_refusal(&self) -> bool {
        match self {
            Self::Injected(_) => false,
            Self::Poisoned(_) => true,
            Self::Kernel(error) => error.is_refusal(),
        }
    }

    fn is_uncertain(&self) -> bool {
        match self {
            Self::Injected(fault) => *fault != Fault::Refused,
            Self::Poisoned(_) => false,
            Self::Kernel(error) => error.is_uncertain(),
        }
    }

    fn is_busy(&self) -> bool {
        matches!(self, Self::Kernel(error) if error.is_busy())
    }
}

/// A kernel that several proxiers share, as one that is started anew shares it with the one
/// before.
#[derive(Debug)]
pub(crate) struct SharedKernel<K> {
    kernel: Rc<RefCell<K>>,
    /// What becomes of the next commits; after them all pass.
    faults: Rc<RefCell<VecDeque<Option<Fault>>>>,
    poison: Rc<RefCell<Poison>>,
    node: Rc<RefCell<FakeNode>>,
    /// How fast somebody else writes to tables of their own.
    restless: Rc<Cell<Restless>>,
}

/// How fast somebody else writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Restless {
    /// Not at all.
    #[default]
    No,
    /// Before every commit.
    Commits,
    /// While the ruleset is read, too.
    Lists,
}

/// Owners whose elements the kernel refuses.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    pub(crate) owners: Vec<String>,
    /// Whether the kernel says which element it refuses.
    pub(crate) is_named: bool,
}

impl Poison {
    /// Where a transaction writes what is refused.
    fn position(&self, transaction: &Transaction) -> Option<(usize, Option<usize>)> {
        let operations = transaction.operations().iter().enumerate();
        operations
            .filter(|(_, operation)| operation.verb == Verb::Add)
            .find_map(|(index, operation)| {
                let Object::Elements(elements) = &operation.object else {
                    return None;
                };
                let element = elements.elements.iter().position(|element| {
                    let owner = element.comment.as_deref().unwrap_or_default();
                    self.owners
                        .iter()
                        .any(|poisoned| owner.starts_with(poisoned.as_str()))
                });
                element.map(|element| (index, Some(element)))
            })
    }
}

impl<K: Kernel> SharedKernel<K> {
    pub(crate) fn new(kernel: K) -> Self {
        Self {
            kernel: Rc::new(RefCell::new(kernel)),
            faults: Rc::default(),
            poison: Rc::default(),
            node: Rc::default(),
            restless: Rc::default(),
        }
    }

    /// Lets the kernel refuse the elements of these owners from now on.
    pub(crate) fn poison(&self, owners: &[&str], is_named: bool) {
        *self.poison.borrow_mut() = Poison {
            owners: owners.iter().map(ToString::to_string).collect(),
            is_named,
        };
    }

    /// Lets somebody else write from now on.
    pub(crate) fn disturb(&self, restless: Restless) {
        self.restless.set(restless);
    }

    /// Another handle on the same kernel.
    pub(crate) fn share(&self) -> Self {
        Self {
            kernel: Rc::clone(&self.kernel),
            faults: Rc::clone(&self.faults),
            poison: Rc::clone(&self.poison),
            node: Rc::clone(&self.node),
            restless: Rc::clone(&self.restless),
        }
    }

    /// Its IPVS and its addresses.
    pub(crate) fn node(&self) -> RefMut<'_, FakeNode> {
        self.node.borrow_mut()
    }

    pub(crate) fn read(&self) -> Ruleset {
        self.kernel.borrow_mut().read()
    }

    /// Writes as somebody else. Gives whether the kernel took it.
    pub(crate) fn interfere(&self, transaction: &Transaction) -> bool {
        self.kernel.borrow_mut().write(transaction, None).is_ok()
    }

    /// Lets the commit after the next `passing` ones fail.
    pub(crate) fn fail(&self, passing: usize, fault: Fault) {
        let mut faults = self.faults.borrow_mut();
        faults.extend(std::iter::repeat_n(None, passing));
        faults.push_back(Some(fault));
    }

    /// Lets all commits pass. Gives whether no fault was left.
    pub(crate) fn heal(&self) -> bool {
        self.faults.take().is_empty()
    }
}

impl<K: Kernel> Dataplane for SharedKernel<K> {
    type ObserveError = Unsteady;
    type CommitError = Failure<K::Error>;

    fn observe(&mut self) -> Result<Ruleset, Unsteady> {
        if self.restless.get() == Restless::Lists {
            return Err(Unsteady);
        }
        Ok(self.read())
    }

    fn generation(&mut self) -> Result<u32, Unsteady> {
        Ok(self.read().generation)
    }

    fn commit(
        &mut self,
        operations: impl Iterator<Item = Result<Operation, TransactionError>>,
        generation: Option<u32>,
    ) -> Result<u32, Failure<K::Error>> {
        if self.restless.get() != Restless::No {
            let mut kernel = self.kernel.borrow_mut();
            kernel.write(&foreign(Verb::Add), None).unwrap();
            kernel.write(&foreign(Verb::Delete), None).unwrap();
        }
        let transaction: Transaction = operations.collect::<Result<_, _>>().unwrap();
        self.node().note_commit();
        let poison = self.poison.borrow();
        if let Some(position) = poison.position(&transaction) {
            return Err(Failure::Poisoned(
                Some(position).filter(|_| poison.is_named),
            ));
        }
        let fault = self.faults.borrow_mut().pop_front().flatten();
        if let Some(fault) = fault {
            if fault == Fault::Unanswered {
                let written = self.kernel.borrow_mut().write(&transaction, generation);
                written.map_err(Failure::Kernel)?;
            }
            return Err(Failure::Injected(fault));
        }
        let written = self.kernel.borrow_mut().write(&transaction, generation);
        written.map_err(Failure::Kernel)
    }

    fn observe_servers(&mut self, _needed: bool) -> Result<ObservedServers, Unsteady> {
        Ok(self.node().observe())
    }

    fn observe_addresses(&mut self) -> Result<ObservedAddresses, Unsteady> {
        Ok(self.node().observe_addresses())
    }

    fn observe_destinations(
        &mut self,
        server: &ServiceKey,
    ) -> Result<Vec<ObservedDestination>, Unsteady> {
        Ok(self.node().destinations(server))
    }

    fn submit(&mut self, commands: &[Command]) -> Result<Vec<Refusal>, Failure<K::Error>> {
        Ok(self.node().submit(commands))
    }

    fn set_device(&mut self, present: bool) -> Result<(), Failure<K::Error>> {
        self.node().device = present.then(Default::default);
        Ok(())
    }

    fn set_addresses(
        &mut self,
        addresses: &[IpAddr],
        present: bool,
    ) -> Result<(), Failure<K::Error>> {
        self.node().set_addresses(addresses, present);
        Ok(())
    }
}
