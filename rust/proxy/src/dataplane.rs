//! The seam to the kernel.

use std::net::IpAddr;

use kpx_ipvs::{Command, ObservedDestination, Refusal, ServiceKey};
use kpx_nftables::{CommitError, Operation, Ruleset, TransactionError};

use crate::virtual_servers::{ObservedAddresses, ObservedServers};

/// Reads and writes the node's ruleset and virtual servers: the kernel, or a fake.
///
/// The methods about virtual servers are those of a node without IPVS unless they are written anew.
pub trait Dataplane {
    /// Why reading failed.
    type ObserveError;
    /// Why writing failed.
    type CommitError: CommitFailure;

    /// Reads the tables of kpx, at one generation.
    fn observe(&mut self) -> Result<Ruleset, Self::ObserveError>;

    /// The kernel's generation: it changes with every commit by anybody.
    fn generation(&mut self) -> Result<u32, Self::ObserveError>;

    /// Applies operations as a whole or not at all, provided the generation is still the one
    /// given, if one is, and none of them is an error. Gives the generation they made.
    fn commit(
        &mut self,
        operations: impl Iterator<Item = Result<Operation, TransactionError>>,
        generation: Option<u32>,
    ) -> Result<u32, Self::CommitError>;

    /// Reads the virtual servers, and the addresses of the node's devices. Where IPVS is not `needed`,
    /// a kernel without it has none.
    fn observe_servers(&mut self, needed: bool) -> Result<ObservedServers, Self::ObserveError> {
        let _ = needed;
        Ok(ObservedServers::default())
    }

    /// Reads the addresses of the node's devices alone.
    fn observe_addresses(&mut self) -> Result<ObservedAddresses, Self::ObserveError> {
        Ok(ObservedAddresses::default())
    }

    /// Reads where one virtual server sends connections, and how many there are.
    fn observe_destinations(
        &mut self,
        server: &ServiceKey,
    ) -> Result<Vec<ObservedDestination>, Self::ObserveError> {
        let _ = server;
        Ok(Vec::new())
    }

    /// Carries out commands in their order. Each succeeds or fails on its own; those that the kernel
    /// refused are given.
    fn submit(&mut self, commands: &[Command]) -> Result<Vec<Refusal>, Self::CommitError> {
        let _ = commands;
        Ok(Vec::new())
    }

    /// Makes the device of virtual servers, or deletes it with its addresses.
    fn set_device(&mut self, present: bool) -> Result<(), Self::CommitError> {
        let _ = present;
        Ok(())
    }

    /// Gives addresses to the device of virtual servers, or takes them away. What is there already,
    /// or gone already, is no error.
    fn set_addresses(
        &mut self,
        addresses: &[IpAddr],
        present: bool,
    ) -> Result<(), Self::CommitError> {
        let _ = (addresses, present);
        Ok(())
    }
}

/// What a proxier needs to know of a failed commit.
pub trait CommitFailure: std::error::Error + 'static {
    /// Which operation of the transaction was refused, and which of its elements, if known.
    fn position(&self) -> Option<(usize, Option<usize>)>;
    /// Whether the kernel refused what was asked of it, so that asking for less may help. A lack
    /// of permission, of memory or of an answer is none of this.
    fn is_refusal(&self) -> bool;
    /// Whether the transaction is larger than can be sent, so that its parts may succeed.
    fn is_too_large(&self) -> bool {
        false
    }
    /// Whether what the kernel holds is no longer certain: somebody else changed the ruleset
    /// since it was read, or the kernel's answer is missing.
    fn is_uncertain(&self) -> bool;
    /// Whether a chain or set could not be deleted because the kernel still uses it.
    fn is_busy(&self) -> bool;
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

    fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }

    fn is_uncertain(&self) -> bool {
        matches!(self, Self::Stale { .. } | Self::Io(_))
    }

    fn is_busy(&self) -> bool {
        matches!(self, Self::Rejected { source, .. } if source.is_busy())
    }
}
