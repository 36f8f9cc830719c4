//! What happens to a packet next.

use kpx_netlink::{Attributes, Writer};

use crate::Name;

/// A verdict (`enum nft_verdicts` and `NF_ACCEPT`, `NF_DROP`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Let the packet through this hook.
    Accept,
    /// Discard the packet silently.
    Drop,
    /// Go on with the next rule.
    Continue,
    /// Go back to the calling chain.
    Return,
    /// Call a chain.
    Jump(Name),
    /// Go to a chain without coming back.
    Goto(Name),
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_verdict_attributes`.
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;

/// `uapi/linux/netfilter.h`.
const NF_DROP: i32 = 0;
const NF_ACCEPT: i32 = 1;
/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_verdicts`.
const NFT_CONTINUE: i32 = -1;
const NFT_JUMP: i32 = -3;
const NFT_GOTO: i32 = -4;
const NFT_RETURN: i32 = -5;

impl Verdict {
    /// The chain the verdict leads to.
    pub const fn chain(&self) -> Option<&Name> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            Self::Accept | Self::Drop | Self::Continue | Self::Return => None,
        }
    }

    pub(crate) fn emit(&self, writer: &mut Writer) {
        let code = match self {
            Self::Accept => NF_ACCEPT,
            Self::Drop => NF_DROP,
            Self::Continue => NFT_CONTINUE,
            Self::Return => NFT_RETURN,
            Self::Jump(_) => NFT_JUMP,
            Self::Goto(_) => NFT_GOTO,
        };
        writer.put(NFTA_VERDICT_CODE, &code.to_be_bytes());
        if let Some(chain) = self.chain() {
            writer.put_string(NFTA_VERDICT_CHAIN, chain);
        }
    }

    pub(crate) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        let code = attributes.get(NFTA_VERDICT_CODE)?.as_be32()?;
        let chain = || {
            let name = attributes.get(NFTA_VERDICT_CHAIN)?.as_str()?;
            Some(Name::from(name))
        };
        Some(match code.cast_signed() {
            NF_ACCEPT => Self::Accept,
            NF_DROP => Self::Drop,
            NFT_CONTINUE => Self::Continue,
            NFT_RETURN => Self::Return,
            NFT_JUMP => Self::Jump(chain()?),
            NFT_GOTO => Self::Goto(chain()?),
            _ => return None,
        })
    }
}
