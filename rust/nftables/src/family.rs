//! The protocol family of a table.

/// The protocol family a table belongs to, by its `NFPROTO_` number (`uapi/linux/netfilter.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// `ip`: `NFPROTO_IPV4`.
    Ipv4 = 2,
    /// `ip6`: `NFPROTO_IPV6`.
    Ipv6 = 10,
}

impl Family {
    /// Both families, in the order in which kpx programs them.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The keyword `nft` uses for the family.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ip6",
        }
    }

    /// The family with an `NFPROTO_` number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|family| *family as u8 == number)
    }

    /// The length of an address of the family, in bytes.
    pub const fn address_length(self) -> usize {
        match self {
            Self::Ipv4 => 4,
            Self::Ipv6 => 16,
        }
    }
}
