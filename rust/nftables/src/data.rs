//! `nft_data` attributes: a value or a verdict (`enum nft_data_attributes`,
//! `uapi/linux/netfilter/nf_tables.h`).

use kpx_netlink::{Attribute, Writer};

use crate::{Bytes, Verdict};

const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;

/// Appends a value.
pub(crate) fn put_value(writer: &mut Writer, kind: u16, value: &[u8]) {
    let nest = writer.open(kind);
    writer.put(NFTA_DATA_VALUE, value);
    writer.close(nest);
}

/// Appends a verdict.
pub(crate) fn put_verdict(writer: &mut Writer, kind: u16, verdict: &Verdict) {
    let nest = writer.open(kind);
    let inner = writer.open(NFTA_DATA_VERDICT);
    verdict.emit(writer);
    writer.close(inner);
    writer.close(nest);
}

/// Reads a value.
pub(crate) fn value(attribute: Attribute<'_>) -> Option<Bytes> {
    let value = attribute.nested().get(NFTA_DATA_VALUE)?;
    Some(Bytes::from_slice(value.payload))
}

/// Reads a verdict.
pub(crate) fn verdict(attribute: Attribute<'_>) -> Option<Verdict> {
    let verdict = attribute.nested().get(NFTA_DATA_VERDICT)?;
    Verdict::parse(&verdict.nested())
}
