//! Why a fake ruleset refuses a transaction.

use thiserror::Error;

/// The kernel's reason to refuse an operation, named by its `errno` (`uapi/asm-generic/errno.h`).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// `EEXIST`: another object with the name or key is there.
    #[error("file exists")]
    Exists,
    /// `ENOENT`: the object, or one it refers to, is missing.
    #[error("no such file or directory")]
    NotFound,
    /// `EBUSY`: something refers to the object.
    #[error("device or resource busy")]
    Busy,
    /// `EINVAL`: the parts of the object do not fit together.
    #[error("invalid argument")]
    Invalid,
    /// `ENFILE`: the set is full.
    #[error("too many open files in system")]
    Full,
    /// `EOPNOTSUPP`: it cannot be done there.
    #[error("operation not supported")]
    Unsupported,
    /// `EMLINK`: the chains call one another too deep, or in a circle.
    #[error("too many links")]
    TooManyLinks,
}

/// A transaction was refused; nothing of it was done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the fake ruleset refused operation {operation}, `{text}`")]
pub struct FakeError {
    /// The position of the operation in the transaction.
    pub operation: usize,
    /// The position of the element in the operation, if one is at fault.
    pub element: Option<usize>,
    /// The text of the operation, or of the element at fault.
    pub text: String,
    /// Why.
    #[source]
    pub rejection: Rejection,
}
