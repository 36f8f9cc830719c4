//! Why the kernel's IPVS could not be read or written.

use std::io;

use kpx_netlink::Error as NetlinkError;
use kpx_netlink::generic::ResolveError;
use kpx_netlink::list::{ATTEMPTS, ListError};
use thiserror::Error;

const NEEDS_CAPABILITY: &str =
    "this needs the capability CAP_NET_ADMIN in the network namespace, such as root has";
const NEEDS_IPVS: &str = "load it with `modprobe -a ip_vs ip_vs_rr`; if there is no such module, the kernel was built without \
                          CONFIG_IP_VS";

/// Why there is no connection with IPVS.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The kernel has no IPVS, or has not loaded it.
    #[error("the kernel has no IPVS")]
    Missing(#[source] ResolveError),
    /// It could not be asked.
    #[error("cannot talk to the kernel's IPVS")]
    Failed(#[source] ResolveError),
}

impl ConnectError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => Some(NEEDS_IPVS),
            Self::Failed(ResolveError::Refused { source, .. }) if source.is_permission() => {
                Some(NEEDS_CAPABILITY)
            }
            Self::Failed(_) => None,
        }
    }
}

impl From<ResolveError> for ConnectError {
    fn from(error: ResolveError) -> Self {
        if error.is_not_found() {
            Self::Missing(error)
        } else {
            Self::Failed(error)
        }
    }
}

/// Why what IPVS holds could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The socket failed.
    #[error("cannot talk to the kernel's IPVS")]
    Io(#[from] io::Error),
    /// The kernel refused the request.
    #[error("cannot list IPVS {what}")]
    Refused {
        /// What was to be listed.
        what: &'static str,
        /// The kernel's reason.
        source: NetlinkError,
    },
    /// The kernel's answer could not be read.
    #[error("the kernel's list of IPVS {what} has an entry that cannot be read")]
    Malformed {
        /// What was to be listed.
        what: &'static str,
    },
    /// What was listed changed during every attempt.
    #[error("IPVS {what} changed while they were listed, {attempts} times in a row")]
    Unsteady {
        /// What was to be listed.
        what: &'static str,
        /// The number of attempts.
        attempts: u32,
    },
}

impl ObserveError {
    /// Why there is no list of `what`.
    pub(crate) fn from_list(what: &'static str, error: ListError) -> Self {
        match error {
            ListError::Io(source) => Self::Io(source),
            ListError::Refused(source) => Self::Refused { what, source },
            ListError::Malformed => Self::Malformed { what },
            ListError::Unsteady => Self::Unsteady {
                what,
                attempts: ATTEMPTS,
            },
        }
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { source, .. } if source.is_permission() => Some(NEEDS_CAPABILITY),
            Self::Unsteady { .. } => Some("another program keeps changing IPVS"),
            _ => None,
        }
    }
}

/// One command that the kernel refused. All others were carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("cannot run `ipvsadm {command}`")]
pub struct Refusal {
    /// The index of the command among those submitted.
    pub index: usize,
    /// The command, as options to `ipvsadm`.
    pub command: String,
    /// The scheduler that the command asks for, if it does.
    pub scheduler: Option<String>,
    /// The kernel's reason.
    pub source: NetlinkError,
}

impl Refusal {
    /// Whether the kernel has no scheduler of the name asked for, nor a module of it
    /// (`ip_vs_add_service` answers `ENOENT`).
    pub fn is_scheduler_missing(&self) -> bool {
        self.scheduler.is_some() && self.source.is_not_found()
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        if self.source.is_permission() {
            return Some(NEEDS_CAPABILITY.to_owned());
        }
        let scheduler = self
            .scheduler
            .as_ref()
            .filter(|_| self.is_scheduler_missing())?;
        Some(format!(
            "the kernel has no scheduler `{scheduler}`: load it with `modprobe ip_vs_{scheduler}`"
        ))
    }
}

/// Why it is not known which commands were carried out: what IPVS holds has to be read again.
#[derive(Debug, Error)]
#[error("cannot talk to the kernel's IPVS")]
pub struct SubmitError(#[from] pub io::Error);
