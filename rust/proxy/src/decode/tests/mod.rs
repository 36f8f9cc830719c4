//! Bytes in, objects out.

mod endpoints;
mod frames;
mod services;

use super::{Document, Record};

/// Decodes a document that holds one object.
fn decode_object(json: &str) -> Record {
    let document = Document::decode(json.as_bytes()).unwrap();
    assert_eq!(document.unidentified, [], "{json}");
    let mut records = document.records.into_iter();
    let record = records
        .next()
        .unwrap_or_else(|| panic!("no object in {json}"));
    assert_eq!(records.next(), None, "{json}");
    record
}

/// Decodes a document whose object is rejected as a whole; returns the reason.
fn rejection(json: &str) -> String {
    decode_object(json).content.unwrap_err()
}
