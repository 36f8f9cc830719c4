//! Comments: what `nft` keeps in the user data of rules and elements.
//!
//! User data is a list of (kind, length, bytes) with one byte for each of the first two. `nft`
//! gives the comment kind 0 (`NFTNL_UDATA_RULE_COMMENT`, `NFTNL_UDATA_SET_ELEM_COMMENT` of
//! libnftnl's `udata.h`) and ends the text with NUL.

use kpx_netlink::{Attribute, Writer};

use crate::Name;

/// The length in bytes up to which `nft` takes a comment (`NFTNL_UDATA_COMMENT_MAXLEN` of
/// libnftnl's `udata.h`).
pub const MAX_LENGTH: usize = 128;

const NFTNL_UDATA_COMMENT: u8 = 0;

/// Appends a comment of at most [`MAX_LENGTH`] bytes.
pub(crate) fn emit(writer: &mut Writer, kind: u16, comment: &str) {
    let length = u8::try_from(comment.len() + 1).unwrap_or(u8::MAX);
    let header = [NFTNL_UDATA_COMMENT, length];
    writer.put_pieces(kind, &[&header, comment.as_bytes(), &[0]]);
}

/// Reads the comment from user data.
pub(crate) fn parse(user_data: Attribute<'_>) -> Option<Name> {
    let mut rest = user_data.payload;
    while let [kind, length, tail @ ..] = rest {
        let (text, next) = tail.split_at_checked(usize::from(*length))?;
        if *kind == NFTNL_UDATA_COMMENT {
            let text = text.strip_suffix(&[0]).unwrap_or(text);
            return std::str::from_utf8(text).ok().map(Name::from);
        }
        rest = next;
    }
    None
}
