//! What `nft` must be told of a set's fields to list it: libnftables' user data of sets.
//!
//! The kernel stores a number for the type of the key and of the data, 6 bits a field. That says
//! all there is to say of an address or a port; of the type `integer` it leaves the width open, and
//! `nft` cannot list a set with such a field unless the user data names an expression whose
//! type it has (`typeof` in the set's definition). These are the bytes `nft` 1.0.6 itself sends:
//! user data is a list of (kind, length, bytes) with one byte for each of the first two, numbers
//! in host byte order.

use crate::{DataType, Set, SetKind};

/// libnftnl's `udata.h`, `enum nftnl_udata_set_types`.
const NFTNL_UDATA_SET_KEYBYTEORDER: u8 = 0;
const NFTNL_UDATA_SET_DATABYTEORDER: u8 = 1;
const NFTNL_UDATA_SET_KEY_TYPEOF: u8 = 3;
const NFTNL_UDATA_SET_DATA_TYPEOF: u8 = 4;
const NFTNL_UDATA_SET_DATA_INTERVAL: u8 = 6;

/// libnftnl's `udata.h`, `enum nftnl_udata_set_typeof_types`.
const NFTNL_UDATA_SET_TYPEOF_EXPR: u8 = 0;
const NFTNL_UDATA_SET_TYPEOF_DATA: u8 = 1;

/// libnftables' `datatype.h`, `enum byteorder`: a concatenation has none of its own.
const BYTEORDER_INVALID: u32 = 0;
const BYTEORDER_HOST_ENDIAN: u32 = 1;

/// libnftables' `expression.h`, `enum expr_types`.
const EXPR_PAYLOAD: u32 = 7;
const EXPR_META: u32 = 9;
const EXPR_CONCAT: u32 = 13;
const EXPR_NUMGEN: u32 = 23;

/// libnftables' `proto.h`, `enum proto_desc_id`.
const PROTO_DESC_TH: u32 = 11;
const PROTO_DESC_IP: u32 = 12;
const PROTO_DESC_IP6: u32 = 13;

/// The places of fields in the protocol descriptions of libnftables' `proto.h`.
const THDR_DPORT: u32 = 2;
const IPHDR_DADDR: u32 = 12;
const IP6HDR_DADDR: u32 = 9;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_meta_keys` and `enum nft_ng_types`.
const NFT_META_PRIORITY: u32 = 2;
const NFT_META_L4PROTO: u32 = 16;
const NFT_NG_RANDOM: u32 = 1;

/// Any modulus will do to say that the type is a number: `numgen random mod 2`.
const MODULUS: u32 = 2;

/// The user data of a set, if `nft` needs any to list it.
pub(crate) fn encode(set: &Set) -> Option<Vec<u8>> {
    let has_numbered_key = set.key.contains(&DataType::Integer);
    let data = match &set.kind {
        SetKind::Map(data) => Some(data.as_slice()),
        SetKind::Set | SetKind::VerdictMap => None,
    };
    let byte_order = match data {
        Some([DataType::ClassId]) => BYTEORDER_HOST_ENDIAN,
        _ => BYTEORDER_INVALID,
    };
    if !has_numbered_key && byte_order == BYTEORDER_INVALID {
        return None;
    }
    let mut bytes = Vec::with_capacity(192);
    put_number(&mut bytes, NFTNL_UDATA_SET_KEYBYTEORDER, BYTEORDER_INVALID);
    if data.is_some() {
        put_number(&mut bytes, NFTNL_UDATA_SET_DATABYTEORDER, byte_order);
    }
    if has_numbered_key {
        put_typeof(&mut bytes, NFTNL_UDATA_SET_KEY_TYPEOF, &set.key);
    }
    if let Some(data) = data {
        if has_numbered_key {
            put_typeof(&mut bytes, NFTNL_UDATA_SET_DATA_TYPEOF, data);
        }
        put_number(&mut bytes, NFTNL_UDATA_SET_DATA_INTERVAL, 0);
    }
    Some(bytes)
}

fn put_typeof(bytes: &mut Vec<u8>, kind: u8, fields: &[DataType]) {
    put_nested(bytes, kind, |bytes| {
        if let [field] = fields {
            return put_field(bytes, *field);
        }
        put_number(bytes, NFTNL_UDATA_SET_TYPEOF_EXPR, EXPR_CONCAT);
        put_nested(bytes, NFTNL_UDATA_SET_TYPEOF_DATA, |bytes| {
            for (index, field) in (0..).zip(fields) {
                put_nested(bytes, index, |bytes| put_field(bytes, *field));
            }
        });
    });
}

/// Appends an expression of the field's type, with its own description numbered from 0.
fn put_field(bytes: &mut Vec<u8>, field: DataType) {
    let (expression, description): (u32, &[u32]) = match field {
        DataType::Ipv4Address => (EXPR_PAYLOAD, &[PROTO_DESC_IP, IPHDR_DADDR]),
        DataType::Ipv6Address => (EXPR_PAYLOAD, &[PROTO_DESC_IP6, IP6HDR_DADDR]),
        DataType::InetService => (EXPR_PAYLOAD, &[PROTO_DESC_TH, THDR_DPORT]),
        DataType::InetProto => (EXPR_META, &[NFT_META_L4PROTO]),
        DataType::Integer => (EXPR_NUMGEN, &[NFT_NG_RANDOM, MODULUS, 0]),
        DataType::ClassId => (EXPR_META, &[NFT_META_PRIORITY]),
    };
    put_number(bytes, NFTNL_UDATA_SET_TYPEOF_EXPR, expression);
    put_nested(bytes, NFTNL_UDATA_SET_TYPEOF_DATA, |bytes| {
        for (index, number) in (0..).zip(description) {
            put_number(bytes, index, *number);
        }
    });
}

fn put_number(bytes: &mut Vec<u8>, kind: u8, number: u32) {
    bytes.extend_from_slice(&[kind, 4]);
    bytes.extend_from_slice(&number.to_ne_bytes());
}

fn put_nested(bytes: &mut Vec<u8>, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&[kind, 0]);
    payload(bytes);
    bytes[start + 1] = u8::try_from(bytes.len() - start - 2).unwrap_or(u8::MAX);
}

#[cfg(test)]
mod tests;
