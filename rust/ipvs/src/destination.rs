//! Destinations: where a service sends connections.

use std::net::IpAddr;

use kpx_netlink::{Attributes, Writer};

use crate::address::{family_number, put_address, read_address};
use crate::message::{
    IPVS_DEST_ATTR_ADDR, IPVS_DEST_ATTR_ADDR_FAMILY, IPVS_DEST_ATTR_FWD_METHOD,
    IPVS_DEST_ATTR_L_THRESH, IPVS_DEST_ATTR_PORT, IPVS_DEST_ATTR_U_THRESH, IPVS_DEST_ATTR_WEIGHT,
};

/// What identifies a destination within its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationKey {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

/// How packets reach a destination (`IP_VS_CONN_F_FWD_MASK`). kpx translates; others may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Forwarding {
    /// The destination address is translated.
    #[default]
    Masquerade,
    /// The destination is this host.
    Local,
    /// In a tunnel.
    Tunnel,
    /// As they are, to another router.
    Route,
}

impl Forwarding {
    /// `IP_VS_CONN_F_FWD_MASK`: the bits of the forwarding method.
    const MASK: u32 = 0x7;

    const fn number(self) -> u32 {
        match self {
            Self::Masquerade => 0,
            Self::Local => 1,
            Self::Tunnel => 2,
            Self::Route => 3,
        }
    }

    const fn from_number(number: u32) -> Option<Self> {
        match number & Self::MASK {
            0 => Some(Self::Masquerade),
            1 => Some(Self::Local),
            2 => Some(Self::Tunnel),
            3 => Some(Self::Route),
            _ => None,
        }
    }
}

/// Between how many connections a destination takes new ones; 0 for no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thresholds {
    /// It takes no more at this number.
    pub upper: u32,
    /// It takes some again below this number.
    pub lower: u32,
}

/// A destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// What identifies it.
    pub key: DestinationKey,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// Its share of new connections; 0 for none, which lets it drain.
    pub weight: u32,
    /// How many connections it takes.
    pub thresholds: Thresholds,
}

impl DestinationKey {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.put_u16(IPVS_DEST_ATTR_ADDR_FAMILY, family_number(self.address));
        put_address(writer, IPVS_DEST_ATTR_ADDR, self.address);
        writer.put_be16(IPVS_DEST_ATTR_PORT, self.port);
    }

    /// Reads a key; before Linux 3.18 the family is the service's, and not said.
    pub(crate) fn read(attributes: &Attributes<'_>) -> Option<Self> {
        let family = attributes.get(IPVS_DEST_ATTR_ADDR_FAMILY)?.as_u16()?;
        Some(Self {
            address: read_address(family, attributes.get(IPVS_DEST_ATTR_ADDR)?)?,
            port: attributes.get(IPVS_DEST_ATTR_PORT)?.as_be16()?,
        })
    }
}

impl Destination {
    /// A destination whose address is translated to, without bounds.
    pub const fn new(key: DestinationKey, weight: u32) -> Self {
        Self {
            key,
            forwarding: Forwarding::Masquerade,
            weight,
            thresholds: Thresholds { upper: 0, lower: 0 },
        }
    }

    /// Writes all that the kernel wants of a new or changed destination
    /// (`ip_vs_genl_parse_dest`, `net/netfilter/ipvs/ip_vs_ctl.c`).
    pub(crate) fn write(&self, writer: &mut Writer) {
        self.key.write(writer);
        writer.put_u32(IPVS_DEST_ATTR_FWD_METHOD, self.forwarding.number());
        writer.put_u32(IPVS_DEST_ATTR_WEIGHT, self.weight);
        writer.put_u32(IPVS_DEST_ATTR_U_THRESH, self.thresholds.upper);
        writer.put_u32(IPVS_DEST_ATTR_L_THRESH, self.thresholds.lower);
    }

    pub(crate) fn read(attributes: &Attributes<'_>) -> Option<Self> {
        let number = |kind| attributes.get(kind)?.as_u32();
        Some(Self {
            key: DestinationKey::read(attributes)?,
            forwarding: Forwarding::from_number(number(IPVS_DEST_ATTR_FWD_METHOD)?)?,
            weight: number(IPVS_DEST_ATTR_WEIGHT)?,
            thresholds: Thresholds {
                upper: number(IPVS_DEST_ATTR_U_THRESH)?,
                lower: number(IPVS_DEST_ATTR_L_THRESH)?,
            },
        })
    }
}
