//! `masq`: translate the source address to the outgoing interface's.

use kpx_netlink::{Attributes, Writer};

/// Makes the connection come from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Masquerade {
    /// Choose the source port wholly at random (`NF_NAT_RANGE_PROTO_RANDOM_FULLY`), so that two
    /// processors hardly ever pick the same port at once.
    pub fully_random: bool,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_masq_attributes`.
const NFTA_MASQ_FLAGS: u16 = 1;
const NFTA_MASQ_REG_PROTO_MIN: u16 = 2;

/// `uapi/linux/netfilter/nf_nat.h`.
const NF_NAT_RANGE_PROTO_RANDOM_FULLY: u32 = 1 << 4;

impl Masquerade {
    pub(super) const NAME: &'static str = "masq";

    pub(super) fn emit(self, writer: &mut Writer) {
        if self.fully_random {
            writer.put_be32(NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
        }
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        if attributes.get(NFTA_MASQ_REG_PROTO_MIN).is_some() {
            return None;
        }
        let flags = match attributes.get(NFTA_MASQ_FLAGS) {
            Some(flags) => flags.as_be32()?,
            None => 0,
        };
        match flags {
            0 => Some(Self {
                fully_random: false,
            }),
            NF_NAT_RANGE_PROTO_RANDOM_FULLY => Some(Self { fully_random: true }),
            _ => None,
        }
    }
}
