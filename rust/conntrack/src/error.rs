//! Why flows could not be looked at or deleted.

use std::io;

use kpx_netlink::Error as NetlinkError;
use thiserror::Error;

/// Why stale flows could not be deleted; some may have been.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The socket failed, or the kernel did not answer.
    #[error("cannot talk to the kernel's connection tracking")]
    Io(#[source] io::Error),
    /// The kernel refused the request.
    #[error("cannot {act}")]
    Refused {
        /// What was asked for.
        act: &'static str,
        /// The kernel's reason.
        source: NetlinkError,
    },
}

impl FlushError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io(error) => match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => Some(NEEDS_CAPABILITY),
                Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT) => Some(NEEDS_CTNETLINK),
                _ => None,
            },
            Self::Refused { source, .. } if source.is_permission() => Some(NEEDS_CAPABILITY),
            // An unknown subsystem is an invalid message (`nfnetlink_rcv_msg`).
            Self::Refused { source, .. }
                if source.is_unsupported() || source.errno == libc::EINVAL =>
            {
                Some(NEEDS_CTNETLINK)
            }
            Self::Refused { .. } => None,
        }
    }
}

const NEEDS_CAPABILITY: &str =
    "this needs the capability CAP_NET_ADMIN in the network namespace, such as root has";
const NEEDS_CTNETLINK: &str = "the kernel lacks connection tracking over netlink: it needs \
                               CONFIG_NF_CT_NETLINK, or the module `nf_conntrack_netlink` loaded";
