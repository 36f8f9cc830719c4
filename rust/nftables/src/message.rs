//! The framing that all nftables messages share: message types and `struct nfgenmsg`.
//!
//! ```text
//!  0               1               2               4
//! +---------------+---------------+---------------+------------+
//! | family        | version (0)   | resource      | attributes |
//! +---------------+---------------+---------------+------------+
//! ```

use kpx_netlink::{Attributes, Header, Message, MessageStart, Writer};

/// The subsystem nftables (`uapi/linux/netfilter/nfnetlink.h`).
pub(crate) const NFNL_SUBSYS_NFTABLES: u16 = 10;
/// The first message of a batch (`uapi/linux/netfilter/nfnetlink.h`).
pub(crate) const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
/// The last message of a batch (`uapi/linux/netfilter/nfnetlink.h`).
pub(crate) const NFNL_MSG_BATCH_END: u16 = 0x11;
/// The generation a batch is based on (`uapi/linux/netfilter/nfnetlink.h`).
pub(crate) const NFNL_BATCH_GENID: u16 = 1;
/// All families (`NFPROTO_UNSPEC`, `uapi/linux/netfilter.h`).
pub(crate) const NFPROTO_UNSPEC: u8 = 0;

/// `enum nf_tables_msg_types` (`uapi/linux/netfilter/nf_tables.h`), as all the following.
pub(crate) const NFT_MSG_NEWTABLE: u8 = 0;
pub(crate) const NFT_MSG_GETTABLE: u8 = 1;
pub(crate) const NFT_MSG_DELTABLE: u8 = 2;
pub(crate) const NFT_MSG_NEWCHAIN: u8 = 3;
pub(crate) const NFT_MSG_GETCHAIN: u8 = 4;
pub(crate) const NFT_MSG_DELCHAIN: u8 = 5;
pub(crate) const NFT_MSG_NEWRULE: u8 = 6;
pub(crate) const NFT_MSG_GETRULE: u8 = 7;
pub(crate) const NFT_MSG_DELRULE: u8 = 8;
pub(crate) const NFT_MSG_NEWSET: u8 = 9;
pub(crate) const NFT_MSG_GETSET: u8 = 10;
pub(crate) const NFT_MSG_DELSET: u8 = 11;
pub(crate) const NFT_MSG_NEWSETELEM: u8 = 12;
pub(crate) const NFT_MSG_GETSETELEM: u8 = 13;
pub(crate) const NFT_MSG_DELSETELEM: u8 = 14;
pub(crate) const NFT_MSG_GETGEN: u8 = 16;

/// The entry of a list (`enum nft_list_attributes`).
pub(crate) const NFTA_LIST_ELEM: u16 = 1;
/// The generation's number (`enum nft_gen_attributes`).
pub(crate) const NFTA_GEN_ID: u16 = 1;

/// The length of `struct nfgenmsg`.
const NFGENMSG_LENGTH: usize = 4;

/// The netlink message type of an nftables message.
pub(crate) const fn kind(message: u8) -> u16 {
    NFNL_SUBSYS_NFTABLES << 8 | message as u16
}

/// Begins an nftables message.
pub(crate) fn begin(
    writer: &mut Writer,
    message: u8,
    flags: u16,
    family: u8,
    sequence: u32,
) -> MessageStart {
    begin_with_resource(writer, kind(message), flags, family, 0, sequence)
}

/// Begins a message of the batch itself: its resource is the subsystem.
pub(crate) fn begin_batch(
    writer: &mut Writer,
    kind: u16,
    flags: u16,
    sequence: u32,
) -> MessageStart {
    let resource = NFNL_SUBSYS_NFTABLES;
    begin_with_resource(writer, kind, flags, NFPROTO_UNSPEC, resource, sequence)
}

fn begin_with_resource(
    writer: &mut Writer,
    kind: u16,
    flags: u16,
    family: u8,
    resource: u16,
    sequence: u32,
) -> MessageStart {
    let start = writer.begin_message(Header {
        kind,
        flags,
        sequence,
    });
    let [resource_0, resource_1] = resource.to_be_bytes();
    writer.put_raw(&[family, 0, resource_0, resource_1]);
    start
}

/// The family's number in a message.
pub(crate) fn family(message: &Message<'_>) -> Option<u8> {
    message.payload.first().copied()
}

/// The attributes of a message.
pub(crate) fn attributes<'a>(message: &Message<'a>) -> Attributes<'a> {
    message.attributes(NFGENMSG_LENGTH)
}

/// Where the attributes start, in bytes from the start of the message.
pub(crate) const ATTRIBUTES_START: usize = kpx_netlink::message::HEADER_LENGTH + NFGENMSG_LENGTH;
