//! The seam to the kernel.

use kpx_netlink::Transport;
use kpx_nftables::{Client, CommitError, ObserveError, Ruleset, Transaction};

use crate::names::TABLE;

/// Reads and writes the node's ruleset: the kernel, or a fake.
pub trait Dataplane {
    /// Why reading failed.
    type ObserveError;
    /// Why writing failed.
    type CommitError: CommitFailure;

    /// Reads the tables of kpx, at one generation.
    fn observe(&mut self) -> Result<Ruleset, Self::ObserveError>;

    /// The kernel's generation: it changes with every commit by anybody.
    fn generation(&mut self) -> Result<u32, Self::ObserveError>;

    /// Applies a transaction as a whole or not at all, provided the generation is still the one
    /// given. Gives the generation it made.
    fn commit(
        &mut self,
        transaction: &Transaction,
        generation: u32,
    ) -> Result<u32, Self::CommitError>;
}

/// What a proxier needs to know of a failed commit.
pub trait CommitFailure: std::error::Error + 'static {
    /// Which operation of the transaction was refused, and which of its elements, if known.
    fn position(&self) -> Option<(usize, Option<usize>)>;
    /// Whether the kernel refused what was asked of it, so that asking for less may help. A lack
    /// of permission, of memory or of an answer is none of this.
    fn is_refusal(&self) -> bool;
    /// Whether what the kernel holds is no longer certain: somebody else changed the ruleset
    /// since it was read, or the kernel's answer is missing.
    fn is_uncertain(&self) -> bool;
    /// Whether a chain or set could not be deleted because the kernel still uses it.
    fn is_busy(&self) -> bool;
}

impl<T: Transport> Dataplane for Client<T> {
    type ObserveError = ObserveError;
    type CommitError = CommitError;

    fn observe(&mut self) -> Result<Ruleset, ObserveError> {
        self.dump(TABLE)
    }

    fn generation(&mut self) -> Result<u32, ObserveError> {
        Self::generation(self)
    }

    fn commit(&mut self, transaction: &Transaction, generation: u32) -> Result<u32, CommitError> {
        Self::commit(self, transaction, Some(generation))
    }
}

impl CommitFailure for CommitError {
    fn position(&self) -> Option<(usize, Option<usize>)> {
        match self {
            Self::Rejected {
                operation, element, ..
            } => Some((*operation, *element)),
            _ => None,
        }
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Rejected { source, .. } if !source.is_permission())
    }

    fn is_uncertain(&self) -> bool {
        matches!(self, Self::Stale { .. } | Self::Io(_))
    }

    fn is_busy(&self) -> bool {
        matches!(self, Self::Rejected { source, .. } if source.is_busy())
    }
}
