//! `fib`: ask the routing table about an address of the packet.

use kpx_netlink::{Attributes, Writer};

use super::Register;

/// Which address is looked up (`enum nft_fib_flags`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FibAddress {
    /// The source: `NFTA_FIB_F_SADDR`.
    Source = 1,
    /// The destination: `NFTA_FIB_F_DADDR`.
    Destination = 2,
}

/// Loads the address's route type (`NFT_FIB_RESULT_ADDRTYPE`): an `RTN_` number of
/// `uapi/linux/rtnetlink.h` in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fib {
    /// The address looked up.
    pub address: FibAddress,
    /// Where the type goes.
    pub destination: Register,
}

/// An address of this host: `RTN_LOCAL`.
pub const ROUTE_TYPE_LOCAL: u32 = 2;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_fib_attributes`.
const NFTA_FIB_DREG: u16 = 1;
const NFTA_FIB_RESULT: u16 = 2;
const NFTA_FIB_FLAGS: u16 = 3;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_fib_result`.
const NFT_FIB_RESULT_ADDRTYPE: u32 = 3;

impl Fib {
    pub(super) const NAME: &'static str = "fib";

    pub(super) fn emit(self, writer: &mut Writer) {
        self.destination.emit(writer, NFTA_FIB_DREG);
        writer.put_be32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
        writer.put_be32(NFTA_FIB_FLAGS, self.address as u32);
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        if attributes.get(NFTA_FIB_RESULT)?.as_be32()? != NFT_FIB_RESULT_ADDRTYPE {
            return None;
        }
        let flags = attributes.get(NFTA_FIB_FLAGS)?.as_be32()?;
        Some(Self {
            address: [FibAddress::Source, FibAddress::Destination]
                .into_iter()
                .find(|address| *address as u32 == flags)?,
            destination: Register::parse(attributes, NFTA_FIB_DREG)?,
        })
    }
}
