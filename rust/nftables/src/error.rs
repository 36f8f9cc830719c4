//! Why the kernel could not be read or written.

use std::io;

use kpx_netlink::Error as NetlinkError;
use thiserror::Error;

use crate::TransactionError;

/// Why the kernel's ruleset could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The socket failed.
    #[error("cannot talk to the kernel's nftables")]
    Io(#[source] io::Error),
    /// The kernel refused the request.
    #[error("cannot list {what}")]
    Refused {
        /// What was to be listed.
        what: &'static str,
        /// The kernel's reason.
        source: NetlinkError,
    },
    /// The ruleset changed during every attempt.
    #[error("the ruleset changed while it was listed, {attempts} times in a row")]
    Unsteady {
        /// The number of attempts.
        attempts: u32,
    },
    /// The kernel's answer could not be read.
    #[error("the kernel's list of {what} has an entry that cannot be read")]
    Malformed {
        /// What was to be listed.
        what: &'static str,
    },
}

impl ObserveError {
    /// Whether the caller may not read the ruleset.
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Io(error) => error.kind() == io::ErrorKind::PermissionDenied,
            Self::Refused { source, .. } => source.is_permission(),
            Self::Unsteady { .. } | Self::Malformed { .. } => false,
        }
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io(error) => io_hint(error),
            Self::Refused { source, .. } => whole_hint(source),
            Self::Unsteady { .. } => Some("another program keeps changing the ruleset"),
            Self::Malformed { .. } => None,
        }
    }
}

/// Why a transaction was not applied. None of its operations has had any effect, except that after
/// [`CommitError::Io`] nobody knows.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// One operation is none that any kernel would accept, and nothing was sent.
    #[error("this is no valid transaction")]
    Invalid(#[from] TransactionError),
    /// One operation is at fault.
    #[error("cannot {} {object}", verb.keyword())]
    Rejected {
        /// The index of the operation in the transaction.
        operation: usize,
        /// The index of the element in the operation, if it is about elements and the kernel says
        /// which.
        element: Option<usize>,
        /// What the operation does.
        verb: crate::Verb,
        /// What it does it to, such as ``element 10.96.0.10 . tcp . 80 of ip kpx service-ips``.
        object: String,
        /// What the operator can do about it.
        hint: Option<&'static str>,
        /// The kernel's reason.
        source: NetlinkError,
    },
    /// The transaction as a whole is refused.
    #[error("cannot commit to the kernel's nftables")]
    Refused(#[source] NetlinkError),
    /// The ruleset is no longer the one the transaction is based on.
    #[error("cannot commit: the ruleset is no longer at generation {generation}")]
    Stale {
        /// The generation the transaction is based on.
        generation: u32,
    },
    /// The transaction does not fit into one send.
    #[error("cannot commit: {length} bytes are more than the socket may send at once")]
    TooLarge {
        /// The length of the batch.
        length: usize,
    },
    /// The socket failed, or the kernel did not answer: whether the transaction was applied is
    /// not known.
    #[error("cannot talk to the kernel's nftables")]
    Io(#[source] io::Error),
}

impl CommitError {
    /// Whether the caller may not change the ruleset.
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Rejected { source, .. } | Self::Refused(source) => source.is_permission(),
            Self::Io(error) => error.kind() == io::ErrorKind::PermissionDenied,
            Self::Invalid(_) | Self::Stale { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// Whether the ruleset has moved on: the transaction has to be planned anew.
    pub const fn is_stale(&self) -> bool {
        matches!(self, Self::Stale { .. })
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Invalid(_) => None,
            Self::Rejected { hint, .. } => *hint,
            Self::Refused(source) => whole_hint(source),
            Self::Stale { .. } => Some("another program has changed the ruleset: read it again"),
            Self::TooLarge { .. } => Some(
                "split the transaction, run with CAP_NET_ADMIN outside user namespaces, or raise \
                 net.core.wmem_max",
            ),
            Self::Io(error) => io_hint(error),
        }
    }
}

const NEEDS_CAPABILITY: &str =
    "this needs the capability CAP_NET_ADMIN in the network namespace, such as root has";
const NEEDS_NFTABLES: &str = "the kernel lacks nftables: it needs CONFIG_NF_TABLES, or the module \
                              `nf_tables` loaded";

/// A hint for the refusal of a whole request.
fn whole_hint(error: &NetlinkError) -> Option<&'static str> {
    if error.is_permission() {
        Some(NEEDS_CAPABILITY)
    } else if error.is_unsupported() || error.errno == libc::EINVAL {
        Some(NEEDS_NFTABLES)
    } else {
        None
    }
}

fn io_hint(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Some(NEEDS_CAPABILITY),
        Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT) => Some(NEEDS_NFTABLES),
        _ => None,
    }
}

/// A hint for the refusal of one operation, where `feature` is what the message at fault needs of
/// the kernel.
pub(crate) fn operation_hint(
    error: &NetlinkError,
    feature: Option<&'static str>,
) -> Option<&'static str> {
    if error.is_permission() {
        Some(NEEDS_CAPABILITY)
    } else if error.is_unsupported() || error.is_not_found() {
        feature
    } else {
        None
    }
}
