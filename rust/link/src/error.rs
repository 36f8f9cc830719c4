//! Why a device or an address could not be read or changed.

use std::io;

use kpx_netlink::Error as NetlinkError;
use kpx_netlink::list::{ATTEMPTS, ListError};
use thiserror::Error as ThisError;

use crate::AddressChange;

/// Why devices or addresses could not be read, or a device not be changed.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The socket failed: what was carried out is not known.
    #[error("cannot talk to the kernel about network devices")]
    Io(#[from] io::Error),
    /// The kernel refused.
    #[error("cannot {act}")]
    Refused {
        /// What was to be done.
        act: String,
        /// The kernel's reason.
        source: NetlinkError,
    },
    /// The name belongs to a device of another kind.
    #[error("the device `{name}` is not of kind `dummy`")]
    Foreign {
        /// The device's name.
        name: String,
    },
    /// What was listed changed during every attempt.
    #[error("the {what} changed while they were listed, {attempts} times in a row")]
    Unsteady {
        /// What was to be listed.
        what: &'static str,
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

impl Error {
    /// Why there is no list of `what`.
    pub(crate) fn from_list(what: &'static str, error: ListError) -> Self {
        match error {
            ListError::Io(source) => Self::Io(source),
            ListError::Refused(source) => Self::Refused {
                act: format!("list the {what}"),
                source,
            },
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
            Self::Refused { source, .. } if source.is_permission() => Some(
                "this needs the capability CAP_NET_ADMIN in the network namespace, such as root has",
            ),
            Self::Refused { source, .. } if source.is_unsupported() => Some(
                "load dummy devices with `modprobe dummy`; if there is no such module, the kernel \
                 was built without CONFIG_DUMMY",
            ),
            Self::Foreign { .. } => {
                Some("rename or delete it: kpx leaves alone what it did not make")
            }
            Self::Unsteady { .. } => Some("another program keeps changing them"),
            _ => None,
        }
    }
}

/// One change of an address that the kernel refused. All others were carried out.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("cannot {change}")]
pub struct Refusal {
    /// The change.
    pub change: AddressChange,
    /// The kernel's reason.
    pub source: NetlinkError,
}

impl Refusal {
    /// Whether what was to come was there already, or what was to go was gone.
    pub const fn is_done(&self) -> bool {
        match self.change {
            AddressChange::Add(_) => self.source.is_exists(),
            AddressChange::Delete(_) => self.source.is_no_address(),
        }
    }
}
