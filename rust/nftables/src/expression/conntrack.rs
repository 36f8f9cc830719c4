//! `ct`: load a property of the connection.

use kpx_netlink::{Attributes, Writer};

use super::Register;

/// A property of a connection (`enum nft_ct_keys`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ConntrackKey {
    /// The state as a bit mask in host byte order: `NFT_CT_STATE`.
    State = 0,
}

/// Loads a property of the packet's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conntrack {
    /// The property.
    pub key: ConntrackKey,
    /// Where it goes.
    pub destination: Register,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_ct_attributes`.
const NFTA_CT_DREG: u16 = 1;
const NFTA_CT_KEY: u16 = 2;
const NFTA_CT_DIRECTION: u16 = 3;

impl Conntrack {
    pub(super) const NAME: &'static str = "ct";

    pub(super) fn emit(self, writer: &mut Writer) {
        writer.put_be32(NFTA_CT_KEY, self.key as u32);
        self.destination.emit(writer, NFTA_CT_DREG);
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        let key = attributes.get(NFTA_CT_KEY)?.as_be32()?;
        let directed = attributes.get(NFTA_CT_DIRECTION).is_some();
        if key != ConntrackKey::State as u32 || directed {
            return None;
        }
        Some(Self {
            key: ConntrackKey::State,
            destination: Register::parse(attributes, NFTA_CT_DREG)?,
        })
    }
}
