//! What the kernel says it holds.

use kpx_netlink::{Attributes, Message, generic};

use crate::message::{
    IPVS_CMD_ATTR_DEST, IPVS_CMD_ATTR_SERVICE, IPVS_CMD_ATTR_TIMEOUT_TCP,
    IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, IPVS_CMD_ATTR_TIMEOUT_UDP, IPVS_DEST_ATTR_ACTIVE_CONNS,
    IPVS_DEST_ATTR_INACT_CONNS, IPVS_DEST_ATTR_PERSIST_CONNS, IPVS_DEST_ATTR_STATS,
    IPVS_DEST_ATTR_STATS64, IPVS_STATS_ATTR_CONNS, IPVS_STATS_ATTR_INBYTES, IPVS_STATS_ATTR_INPKTS,
    IPVS_STATS_ATTR_OUTBYTES, IPVS_STATS_ATTR_OUTPKTS, IPVS_SVC_ATTR_STATS, IPVS_SVC_ATTR_STATS64,
};
use crate::{Destination, Service, Timeouts};

/// What has passed since the object was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

/// A service as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedService {
    /// The service.
    pub service: Service,
    /// What has passed.
    pub statistics: Statistics,
}

/// A destination as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObservedDestination {
    /// The destination.
    pub destination: Destination,
    /// Connections that are open.
    pub active_connections: u32,
    /// Connections that are closing, and flows of protocols that do not close.
    pub inactive_connections: u32,
    /// Clients that keep to it.
    pub persistent_connections: u32,
    /// What has passed.
    pub statistics: Statistics,
}

impl ObservedDestination {
    /// Whether nothing keeps it in use any more: it may be deleted without harm.
    pub const fn is_idle(&self) -> bool {
        self.active_connections == 0 && self.inactive_connections == 0
    }
}

impl Statistics {
    /// Reads the 64-bit numbers, which Linux has since 4.1, else those of 32 bits.
    fn read(attributes: &Attributes<'_>, wide: u16, narrow: u16) -> Option<Self> {
        let nested = attributes
            .get(wide)
            .or_else(|| attributes.get(narrow))?
            .nested();
        let number = |kind| {
            let attribute = nested.get(kind)?;
            attribute
                .as_u64()
                .or_else(|| attribute.as_u32().map(u64::from))
        };
        Some(Self {
            connections: number(IPVS_STATS_ATTR_CONNS)?,
            packets_in: number(IPVS_STATS_ATTR_INPKTS)?,
            packets_out: number(IPVS_STATS_ATTR_OUTPKTS)?,
            bytes_in: number(IPVS_STATS_ATTR_INBYTES)?,
            bytes_out: number(IPVS_STATS_ATTR_OUTBYTES)?,
        })
    }
}

impl ObservedService {
    /// Reads an entry of a list of services; `None` if it makes no sense.
    pub(crate) fn read(message: &Message<'_>) -> Option<Self> {
        let attributes = generic::attributes(message)
            .get(IPVS_CMD_ATTR_SERVICE)?
            .nested();
        Some(Self {
            service: Service::read(&attributes)?,
            statistics: Statistics::read(&attributes, IPVS_SVC_ATTR_STATS64, IPVS_SVC_ATTR_STATS)?,
        })
    }
}

impl ObservedDestination {
    /// Reads an entry of a list of destinations; `None` if it makes no sense.
    pub(crate) fn read(message: &Message<'_>) -> Option<Self> {
        let attributes = generic::attributes(message)
            .get(IPVS_CMD_ATTR_DEST)?
            .nested();
        let number = |kind| attributes.get(kind)?.as_u32();
        Some(Self {
            destination: Destination::read(&attributes)?,
            active_connections: number(IPVS_DEST_ATTR_ACTIVE_CONNS)?,
            inactive_connections: number(IPVS_DEST_ATTR_INACT_CONNS)?,
            persistent_connections: number(IPVS_DEST_ATTR_PERSIST_CONNS)?,
            statistics: Statistics::read(
                &attributes,
                IPVS_DEST_ATTR_STATS64,
                IPVS_DEST_ATTR_STATS,
            )?,
        })
    }
}

impl Timeouts {
    /// Reads an answer about timeouts. The kernel leaves out those of protocols it lacks.
    pub(crate) fn read(message: &Message<'_>) -> Self {
        let attributes = generic::attributes(message);
        let seconds = |kind| attributes.get(kind)?.as_u32();
        Self {
            tcp: seconds(IPVS_CMD_ATTR_TIMEOUT_TCP),
            tcp_fin: seconds(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN),
            udp: seconds(IPVS_CMD_ATTR_TIMEOUT_UDP),
        }
    }
}
