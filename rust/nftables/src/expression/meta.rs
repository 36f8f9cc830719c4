//! `meta`: load or set a property of the packet.

use kpx_netlink::{Attributes, Writer};

use super::Register;

/// A property of a packet (`enum nft_meta_keys`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MetaKey {
    /// The packet's priority for queueing, in host byte order: `NFT_META_PRIORITY`.
    Priority = 2,
    /// The packet mark, in host byte order: `NFT_META_MARK`.
    Mark = 3,
    /// The name of the interface the packet came in by, 16 bytes: `NFT_META_IIFNAME`.
    InputInterfaceName = 6,
    /// The transport protocol: `NFT_META_L4PROTO`.
    TransportProtocol = 16,
}

/// Loads a property, or sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meta {
    /// Load `key` into `destination`.
    Load {
        /// The property.
        key: MetaKey,
        /// Where it goes.
        destination: Register,
    },
    /// Set `key` from `source`.
    Set {
        /// The property.
        key: MetaKey,
        /// Where the value is.
        source: Register,
    },
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_meta_attributes`.
const NFTA_META_DREG: u16 = 1;
const NFTA_META_KEY: u16 = 2;
const NFTA_META_SREG: u16 = 3;

impl Meta {
    pub(super) const NAME: &'static str = "meta";

    pub(super) fn emit(self, writer: &mut Writer) {
        match self {
            Self::Load { key, destination } => {
                writer.put_be32(NFTA_META_KEY, key as u32);
                destination.emit(writer, NFTA_META_DREG);
            }
            Self::Set { key, source } => {
                writer.put_be32(NFTA_META_KEY, key as u32);
                source.emit(writer, NFTA_META_SREG);
            }
        }
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        let key = MetaKey::from_number(attributes.get(NFTA_META_KEY)?.as_be32()?)?;
        match Register::parse(attributes, NFTA_META_DREG) {
            Some(destination) => Some(Self::Load { key, destination }),
            None => Some(Self::Set {
                key,
                source: Register::parse(attributes, NFTA_META_SREG)?,
            }),
        }
    }
}

impl MetaKey {
    fn from_number(number: u32) -> Option<Self> {
        [
            Self::Priority,
            Self::Mark,
            Self::InputInterfaceName,
            Self::TransportProtocol,
        ]
        .into_iter()
        .find(|key| *key as u32 == number)
    }
}
