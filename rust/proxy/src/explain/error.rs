//! Questions that have no answer.

use std::net::IpAddr;

use smol_str::SmolStr;
use thiserror::Error;

use super::{Target, TargetError};
use crate::NamespacedName;

/// Why nothing can be explained.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExplainError {
    /// The target cannot be understood.
    #[error("the target cannot be understood")]
    Target(#[from] TargetError),
    /// The source is no address.
    #[error("the source `{0}` is not an IP address")]
    Source(SmolStr),
    /// The source has an address of another family than everything the target stands for.
    #[error("a packet from `{0}` cannot go to the target: it has no address of that IP family")]
    Family(IpAddr),
    /// There is no Service of that name with an address of its own.
    #[error("the Service `{0}` is not among those this node makes work")]
    UnknownService(NamespacedName),
    /// There is one, but it is not valid.
    #[error("the Service `{name}` is rejected: {reason}")]
    RejectedService {
        /// The Service.
        name: NamespacedName,
        /// What is wrong with it.
        reason: String,
    },
    /// The Service has no such port.
    #[error("the Service `{service}` has no port `{port}`, only {ports}")]
    UnknownPort {
        /// The Service.
        service: NamespacedName,
        /// The port asked for.
        port: SmolStr,
        /// The ports it has.
        ports: String,
    },
}

impl ExplainError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Target(_) => Some(format!("a target is {}", Target::FORMS)),
            Self::Source(_) => {
                Some("give the address of a pod, of this node or of a client outside".to_owned())
            }
            Self::UnknownService(_) => Some(
                "Services that are headless, of type ExternalName or for another proxy have no \
                 rules; `namespace/name` names one outside the namespace `default`"
                    .to_owned(),
            ),
            Self::Family(_) | Self::RejectedService { .. } | Self::UnknownPort { .. } => None,
        }
    }
}
