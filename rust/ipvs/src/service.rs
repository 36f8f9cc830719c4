//! Services: what clients connect to.

use std::net::IpAddr;
use std::ops::BitOr;

use kpx_netlink::{Attribute, Attributes, Writer};

use crate::address::{AF_INET, AF_INET6, family_number, put_address, read_address};
use crate::message::{
    IPVS_SVC_ATTR_ADDR, IPVS_SVC_ATTR_AF, IPVS_SVC_ATTR_FLAGS, IPVS_SVC_ATTR_FWMARK,
    IPVS_SVC_ATTR_NETMASK, IPVS_SVC_ATTR_PORT, IPVS_SVC_ATTR_PROTOCOL, IPVS_SVC_ATTR_SCHED_NAME,
    IPVS_SVC_ATTR_TIMEOUT,
};
use crate::{Protocol, Scheduler};

/// The family of a service's clients and, for kpx, of its destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    const fn number(self) -> u16 {
        match self {
            Self::Ipv4 => AF_INET,
            Self::Ipv6 => AF_INET6,
        }
    }

    const fn from_number(number: u16) -> Option<Self> {
        match number {
            AF_INET => Some(Self::Ipv4),
            AF_INET6 => Some(Self::Ipv6),
            _ => None,
        }
    }

    /// The length of an address in bits.
    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }
}

/// What identifies a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKey {
    /// Packets to an address and port.
    Address {
        /// The transport protocol.
        protocol: Protocol,
        /// The address.
        address: IpAddr,
        /// The port; 0 for all, which needs persistence.
        port: u16,
    },
    /// Packets that carry a mark. kpx makes none, but others do.
    Mark {
        /// The family of the packets.
        family: Family,
        /// The mark, not 0.
        mark: u32,
    },
}

impl ServiceKey {
    /// The family of the packets.
    pub const fn family(&self) -> Family {
        match self {
            Self::Address {
                address: IpAddr::V4(_),
                ..
            } => Family::Ipv4,
            Self::Address { .. } => Family::Ipv6,
            Self::Mark { family, .. } => *family,
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Address {
                protocol,
                address,
                port,
            } => {
                writer.put_u16(IPVS_SVC_ATTR_AF, family_number(*address));
                writer.put_u16(IPVS_SVC_ATTR_PROTOCOL, protocol.number());
                put_address(writer, IPVS_SVC_ATTR_ADDR, *address);
                writer.put_be16(IPVS_SVC_ATTR_PORT, *port);
            }
            Self::Mark { family, mark } => {
                writer.put_u16(IPVS_SVC_ATTR_AF, family.number());
                writer.put_u32(IPVS_SVC_ATTR_FWMARK, *mark);
            }
        }
    }

    pub(crate) fn read(attributes: &Attributes<'_>) -> Option<Self> {
        let family = attributes.get(IPVS_SVC_ATTR_AF)?.as_u16()?;
        if let Some(mark) = attributes.get(IPVS_SVC_ATTR_FWMARK) {
            return Some(Self::Mark {
                family: Family::from_number(family)?,
                mark: mark.as_u32()?,
            });
        }
        let protocol = attributes.get(IPVS_SVC_ATTR_PROTOCOL)?.as_u16()?;
        Some(Self::Address {
            protocol: Protocol::from_number(protocol)?,
            address: read_address(family, attributes.get(IPVS_SVC_ATTR_ADDR)?)?,
            port: attributes.get(IPVS_SVC_ATTR_PORT)?.as_be16()?,
        })
    }
}

/// The flags of a service, as bits.
///
/// The kernel keeps bits that it gives no meaning to (`ip_vs_add_service` stores the word as it
/// came), which makes them a place for a mark of ownership; see [`Flags::OWNED`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(pub u32);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// `IP_VS_SVC_F_PERSISTENT`: clients keep to a destination.
    pub const PERSISTENT: Self = Self(0x1);
    /// `IP_VS_SVC_F_HASHED`: the kernel's own; never sent.
    pub(crate) const HASHED: Self = Self(0x2);
    /// `IP_VS_SVC_F_ONEPACKET`: every datagram is scheduled on its own.
    pub const ONE_PACKET: Self = Self(0x4);
    /// `IP_VS_SVC_F_SCHED1`: the first flag of the scheduler.
    pub const SCHEDULER_1: Self = Self(0x8);
    /// `IP_VS_SVC_F_SCHED2`: the second flag of the scheduler.
    pub const SCHEDULER_2: Self = Self(0x10);
    /// Says that kpx made the service. A bit that the kernel keeps and does not read.
    pub const OWNED: Self = Self(1 << 30);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How clients keep to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Persistence {
    /// For how many seconds.
    pub seconds: u32,
    /// The bits of a source address that tell clients apart, 1 to 32 or 128.
    pub prefix: u8,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// What identifies it.
    pub key: ServiceKey,
    /// How it chooses.
    pub scheduler: Scheduler,
    /// How clients keep to a destination; `None` if they do not.
    pub persistence: Option<Persistence>,
    /// Whether every datagram is scheduled on its own.
    pub one_packet: bool,
    /// Whether kpx made it.
    pub owned: bool,
}

impl Service {
    /// A service that kpx makes, without persistence.
    pub const fn new(key: ServiceKey, scheduler: Scheduler) -> Self {
        Self {
            key,
            scheduler,
            persistence: None,
            one_packet: false,
            owned: true,
        }
    }

    /// The flags as the kernel holds them, but for its own.
    pub fn flags(&self) -> Flags {
        let given = [
            (self.persistence.is_some(), Flags::PERSISTENT),
            (self.one_packet, Flags::ONE_PACKET),
            (self.owned, Flags::OWNED),
        ];
        let set = given.iter().filter(|(is_set, _)| *is_set);
        set.fold(self.scheduler.flags(), |flags, (_, flag)| flags | *flag)
    }

    /// Writes all that the kernel wants of a new or changed service
    /// (`ip_vs_genl_parse_service`, `net/netfilter/ipvs/ip_vs_ctl.c`).
    pub(crate) fn write(&self, writer: &mut Writer) {
        self.key.write(writer);
        writer.put_string(IPVS_SVC_ATTR_SCHED_NAME, self.scheduler.name());
        // `struct ip_vs_flags`: the bits, and which of them are given.
        let flags = self.flags().0.to_ne_bytes();
        writer.put_pieces(IPVS_SVC_ATTR_FLAGS, &[&flags, &u32::MAX.to_ne_bytes()]);
        let bits = self.key.family().bits();
        let (seconds, prefix) = self.persistence.map_or((0, bits), |persistence| {
            (persistence.seconds, persistence.prefix)
        });
        writer.put_u32(IPVS_SVC_ATTR_TIMEOUT, seconds);
        match self.key.family() {
            Family::Ipv4 => writer.put_be32(IPVS_SVC_ATTR_NETMASK, netmask(prefix)),
            // A number of bits, in host byte order.
            Family::Ipv6 => writer.put_u32(IPVS_SVC_ATTR_NETMASK, prefix.into()),
        }
    }

    pub(crate) fn read(attributes: &Attributes<'_>) -> Option<Self> {
        let key = ServiceKey::read(attributes)?;
        let flags = attributes.get(IPVS_SVC_ATTR_FLAGS)?.payload.first_chunk()?;
        let flags = Flags(u32::from_ne_bytes(*flags)).without(Flags::HASHED);
        let name = attributes.get(IPVS_SVC_ATTR_SCHED_NAME)?.as_str()?;
        let netmask = attributes.get(IPVS_SVC_ATTR_NETMASK)?;
        let persistence = if flags.contains(Flags::PERSISTENT) {
            Some(Persistence {
                seconds: attributes.get(IPVS_SVC_ATTR_TIMEOUT)?.as_u32()?,
                prefix: read_prefix(key.family(), netmask)?,
            })
        } else {
            None
        };
        Some(Self {
            key,
            scheduler: Scheduler::observed(name, flags),
            persistence,
            one_packet: flags.contains(Flags::ONE_PACKET),
            owned: flags.contains(Flags::OWNED),
        })
    }
}

/// The mask whose first `prefix` bits are set.
fn netmask(prefix: u8) -> u32 {
    u32::MAX
        .checked_shl(u32::from(32_u8.saturating_sub(prefix)))
        .unwrap_or_default()
}

fn read_prefix(family: Family, netmask: Attribute<'_>) -> Option<u8> {
    let prefix = match family {
        Family::Ipv4 => netmask.as_be32()?.leading_ones(),
        Family::Ipv6 => netmask.as_u32()?,
    };
    u8::try_from(prefix).ok()
}
