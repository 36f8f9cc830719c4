//! The errors the kernel answers with.

use std::io;

use crate::attribute::{Attribute, Attributes};

/// What went wrong, as text (`enum nlmsgerr_attrs`, `uapi/linux/netlink.h`).
const NLMSGERR_ATTR_MSG: u16 = 1;
/// Where in the request the attribute at fault is (`enum nlmsgerr_attrs`).
const NLMSGERR_ATTR_OFFS: u16 = 2;

/// The kernel's refusal of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The error number, positive.
    pub errno: i32,
    /// The kernel's own words, where it has any (extended acknowledgement).
    pub message: Option<String>,
    /// The position of the attribute at fault, in bytes from the start of the header of the
    /// request, where the kernel gives it (extended acknowledgement).
    pub offset: Option<u32>,
    /// The sequence number of the request.
    pub sequence: u32,
}

impl Error {
    /// Reads the error number and the attributes of an extended acknowledgement.
    pub(crate) fn parse(errno: i32, sequence: u32, extended: &Attributes<'_>) -> Self {
        Self {
            errno,
            message: extended
                .get(NLMSGERR_ATTR_MSG)
                .and_then(Attribute::as_str)
                .map(str::to_owned),
            offset: extended.get(NLMSGERR_ATTR_OFFS).and_then(Attribute::as_u32),
            sequence,
        }
    }

    /// The object does not exist (`ENOENT`).
    pub const fn is_not_found(&self) -> bool {
        self.errno == libc::ENOENT
    }

    /// No device has the address (`EADDRNOTAVAIL`).
    pub const fn is_no_address(&self) -> bool {
        self.errno == libc::EADDRNOTAVAIL
    }

    /// The object exists already, and differs (`EEXIST`).
    pub const fn is_exists(&self) -> bool {
        self.errno == libc::EEXIST
    }

    /// The object is referred to by another (`EBUSY`).
    pub const fn is_busy(&self) -> bool {
        self.errno == libc::EBUSY
    }

    /// The caller may not do this (`EPERM` or `EACCES`).
    pub const fn is_permission(&self) -> bool {
        matches!(self.errno, libc::EPERM | libc::EACCES)
    }

    /// What the request was based on has changed (`ERESTART`).
    pub const fn is_stale(&self) -> bool {
        self.errno == libc::ERESTART
    }

    /// The kernel does not know the operation, protocol or address family.
    pub const fn is_unsupported(&self) -> bool {
        matches!(
            self.errno,
            libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT
        )
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "kernel refused: {}",
            io::Error::from_raw_os_error(self.errno)
        )?;
        match &self.message {
            Some(message) => write!(formatter, ": {message}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
