//! Commands: what is asked of the kernel, and the bytes of it.

use kpx_netlink::message::NLM_F_REQUEST;
use kpx_netlink::{Error, Header, Writer, generic};

use crate::message::{
    IPVS_CMD_ATTR_DEST, IPVS_CMD_ATTR_SERVICE, IPVS_CMD_ATTR_TIMEOUT_TCP,
    IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, IPVS_CMD_ATTR_TIMEOUT_UDP, IPVS_CMD_DEL_DEST,
    IPVS_CMD_DEL_SERVICE, IPVS_CMD_NEW_DEST, IPVS_CMD_NEW_SERVICE, IPVS_CMD_SET_CONFIG,
    IPVS_CMD_SET_DEST, IPVS_CMD_SET_SERVICE, VERSION,
};
use crate::{Destination, DestinationKey, Service, ServiceKey};

/// For how long IPVS remembers an idle connection, in seconds; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Of an open TCP connection.
    pub tcp: Option<u32>,
    /// Of a TCP connection that one side has closed.
    pub tcp_fin: Option<u32>,
    /// Of a UDP flow.
    pub udp: Option<u32>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Makes a service. Fails with `EEXIST` if there is one of its key.
    AddService(Service),
    /// Changes all but the key of a service. Fails with `ESRCH` if there is none.
    ChangeService(Service),
    /// Deletes a service and its destinations. Fails with `ESRCH` if there is none.
    DeleteService(ServiceKey),
    /// Makes a destination. Fails with `EEXIST` if there is one, `ESRCH` without its service.
    AddDestination(ServiceKey, Destination),
    /// Changes all but the key of a destination. Fails with `ENOENT` if there is none, `ESRCH`
    /// without its service.
    ChangeDestination(ServiceKey, Destination),
    /// Deletes a destination. Fails as a change does.
    DeleteDestination(ServiceKey, DestinationKey),
    /// Sets timeouts of the whole network namespace.
    SetTimeouts(Timeouts),
}

impl Command {
    const fn number(&self) -> u8 {
        match self {
            Self::AddService(_) => IPVS_CMD_NEW_SERVICE,
            Self::ChangeService(_) => IPVS_CMD_SET_SERVICE,
            Self::DeleteService(_) => IPVS_CMD_DEL_SERVICE,
            Self::AddDestination(..) => IPVS_CMD_NEW_DEST,
            Self::ChangeDestination(..) => IPVS_CMD_SET_DEST,
            Self::DeleteDestination(..) => IPVS_CMD_DEL_DEST,
            Self::SetTimeouts(_) => IPVS_CMD_SET_CONFIG,
        }
    }

    /// Whether it deletes something.
    pub const fn is_deletion(&self) -> bool {
        matches!(self, Self::DeleteService(_) | Self::DeleteDestination(..))
    }

    /// Whether an error says that IPVS does not hold what the command takes for granted: somebody
    /// else has made or deleted the service or the destination.
    pub const fn is_outdated(&self, error: &Error) -> bool {
        let is_gone = error.errno == libc::ESRCH;
        match self {
            Self::AddService(_) => error.is_exists(),
            Self::ChangeService(_) => is_gone,
            Self::AddDestination(..) => is_gone || error.is_exists(),
            Self::DeleteService(_) | Self::ChangeDestination(..) | Self::DeleteDestination(..) => {
                is_gone || error.is_not_found()
            }
            Self::SetTimeouts(_) => false,
        }
    }

    /// Appends the command as a message of the family numbered `family`, with `flags` beside
    /// `NLM_F_REQUEST`.
    pub fn write(&self, writer: &mut Writer, family: u16, flags: u16, sequence: u32) {
        let header = Header {
            kind: family,
            flags: NLM_F_REQUEST | flags,
            sequence,
        };
        let start = generic::begin(writer, header, self.number(), VERSION);
        match self {
            Self::AddService(service) | Self::ChangeService(service) => {
                put_service(writer, |writer| service.write(writer));
            }
            Self::DeleteService(key) => put_service(writer, |writer| key.write(writer)),
            Self::AddDestination(key, destination) | Self::ChangeDestination(key, destination) => {
                put_service(writer, |writer| key.write(writer));
                put_destination(writer, |writer| destination.write(writer));
            }
            Self::DeleteDestination(key, destination) => {
                put_service(writer, |writer| key.write(writer));
                put_destination(writer, |writer| destination.write(writer));
            }
            Self::SetTimeouts(timeouts) => {
                // The kernel wants all three; 0 leaves one as it is (`ip_vs_set_timeout`).
                for (kind, seconds) in [
                    (IPVS_CMD_ATTR_TIMEOUT_TCP, timeouts.tcp),
                    (IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, timeouts.tcp_fin),
                    (IPVS_CMD_ATTR_TIMEOUT_UDP, timeouts.udp),
                ] {
                    writer.put_u32(kind, seconds.unwrap_or(0));
                }
            }
        }
        writer.end_message(start);
    }
}

/// Appends the nested attribute of a service.
pub(crate) fn put_service(writer: &mut Writer, fill: impl FnOnce(&mut Writer)) {
    let nest = writer.open(IPVS_CMD_ATTR_SERVICE);
    fill(writer);
    writer.close(nest);
}

fn put_destination(writer: &mut Writer, fill: impl FnOnce(&mut Writer)) {
    let nest = writer.open(IPVS_CMD_ATTR_DEST);
    fill(writer);
    writer.close(nest);
}
