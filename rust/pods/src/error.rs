//! What is wrong with bytes.

/// A frame, or a line of a watch, that is not what it should be. Nothing of it was taken in.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is not text in UTF-8.
    #[error("not UTF-8")]
    NotUtf8(#[source] std::str::Utf8Error),
    /// It is no JSON, or not an object.
    #[error("no JSON object")]
    NotJson(#[source] serde_json::Error),
}
