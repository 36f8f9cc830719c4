//! The registers rules compute in.

use kpx_netlink::{Attributes, Writer};

/// A position in the 64 bytes of data registers, counted in 32-bit words from 0 to 15.
///
/// The kernel names the same storage twice (`uapi/linux/netfilter/nf_tables.h`): `NFT_REG_1` to
/// `NFT_REG_4` are 16 bytes each, `NFT_REG32_00` to `NFT_REG32_15` are 4 bytes each. On the wire a
/// word that starts a 16-byte register is named by that register, as the kernel does itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Register(pub u8);

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_registers`, as the following.
const NFT_REG_1: u32 = 1;
const NFT_REG_4: u32 = 4;
const NFT_REG32_00: u32 = 8;
const NFT_REG32_15: u32 = 23;
/// The verdict is in no data register.
pub(super) const NFT_REG_VERDICT: u32 = 0;

impl Register {
    /// The register's number on the wire.
    pub(super) fn number(self) -> u32 {
        let word = u32::from(self.0);
        if word.is_multiple_of(4) {
            NFT_REG_1 + word / 4
        } else {
            NFT_REG32_00 + word
        }
    }

    /// The register with a number; `None` for the verdict's and unknown ones.
    pub(super) fn from_number(number: u32) -> Option<Self> {
        let word = match number {
            NFT_REG_1..=NFT_REG_4 => (number - NFT_REG_1) * 4,
            NFT_REG32_00..=NFT_REG32_15 => number - NFT_REG32_00,
            _ => return None,
        };
        u8::try_from(word).ok().map(Self)
    }

    /// Appends the register.
    pub(super) fn emit(self, writer: &mut Writer, kind: u16) {
        writer.put_be32(kind, self.number());
    }

    /// Reads the register from the attribute of a kind.
    pub(super) fn parse(attributes: &Attributes<'_>, kind: u16) -> Option<Self> {
        Self::from_number(attributes.get(kind)?.as_be32()?)
    }
}
