//! Generic netlink: families that are found by name.
//!
//! A generic message carries a header of its own behind the message header (`struct genlmsghdr`,
//! `uapi/linux/genetlink.h`):
//!
//! ```text
//!  0               1               2               4
//! +---------------+---------------+---------------+
//! | command (u8)  | version (u8)  | reserved      |
//! +---------------+---------------+---------------+
//! ```
//!
//! The kind of the message is the number of the family, which the kernel gives out when the family
//! registers: [`resolve`] asks for it.

use std::io;

use thiserror::Error;

use crate::attribute::Attributes;
use crate::message::{NLM_F_ACK, NLM_F_REQUEST};
use crate::{
    Error as NetlinkError, Header, Message, MessageStart, Messages, Reply, Transport, Writer,
};

/// The length of the generic header (`GENL_HDRLEN`).
pub const HEADER_LENGTH: usize = 4;

/// The family that knows the others (`GENL_ID_CTRL`, `uapi/linux/genetlink.h`).
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// The version of the controller's messages.
const CTRL_VERSION: u8 = 1;

/// Begins a generic message: what is appended until [`Writer::end_message`] is its attributes.
pub fn begin(writer: &mut Writer, header: Header, command: u8, version: u8) -> MessageStart {
    let start = writer.begin_message(header);
    writer.put_raw(&[command, version, 0, 0]);
    start
}

/// The attributes behind the generic header.
pub fn attributes<'a>(message: &Message<'a>) -> Attributes<'a> {
    message.attributes(HEADER_LENGTH)
}

/// Why a family was not found.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The socket failed.
    #[error("cannot ask the kernel for the generic netlink family `{family}`")]
    Io {
        /// The family's name.
        family: String,
        /// Why.
        source: io::Error,
    },
    /// The kernel has no such family, or refused to say.
    #[error("cannot find the generic netlink family `{family}`")]
    Refused {
        /// The family's name.
        family: String,
        /// The kernel's reason; [`NetlinkError::is_not_found`] if there is no such family.
        source: NetlinkError,
    },
    /// The kernel's answer has no number.
    #[error("the kernel's answer about the generic netlink family `{family}` cannot be read")]
    Malformed {
        /// The family's name.
        family: String,
    },
}

impl ResolveError {
    /// Whether the kernel answered that it has no family of the name.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { source, .. } if source.is_not_found())
    }
}

/// Asks for the number of the family `name`. `sequence` numbers the request.
pub fn resolve(
    transport: &mut impl Transport,
    name: &str,
    sequence: u32,
) -> Result<u16, ResolveError> {
    let family = || name.to_owned();
    let failed = |source| ResolveError::Io {
        family: family(),
        source,
    };
    let mut request = Writer::new();
    let header = Header {
        kind: GENL_ID_CTRL,
        flags: NLM_F_REQUEST | NLM_F_ACK,
        sequence,
    };
    let start = begin(&mut request, header, CTRL_CMD_GETFAMILY, CTRL_VERSION);
    request.put_string(CTRL_ATTR_FAMILY_NAME, name);
    request.end_message(start);
    transport.send(request.as_bytes()).map_err(failed)?;
    let (mut answer, mut number) = (Vec::new(), None);
    loop {
        transport.receive(&mut answer).map_err(failed)?;
        for message in Messages::new(&answer) {
            if message.header.sequence != sequence {
                continue;
            }
            match message.reply() {
                Reply::Data(message) => {
                    let found = attributes(&message).get(CTRL_ATTR_FAMILY_ID);
                    number = found.and_then(crate::Attribute::as_u16);
                }
                Reply::Failed(source) => {
                    return Err(ResolveError::Refused {
                        family: family(),
                        source,
                    });
                }
                Reply::Acknowledged => {
                    return number.ok_or_else(|| ResolveError::Malformed { family: family() });
                }
                Reply::Done | Reply::Overrun | Reply::Noop => {}
            }
        }
    }
}
