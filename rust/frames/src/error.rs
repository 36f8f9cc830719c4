//! What can be wrong with a frame as a whole.

use serde_json::error::Category;

/// A frame, or a watch line, of which nothing can be taken in. The state is as before.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The frame is not UTF-8, as JSON must be (RFC 8259, section 8.1).
    #[error("not UTF-8 after byte {}", .0.valid_up_to())]
    NotUtf8(#[source] std::str::Utf8Error),
    /// The frame is not JSON, or ends early. The cause names line and column.
    #[error("not JSON")]
    NotJson(#[source] serde_json::Error),
    /// The frame is JSON, but not an object, a list or an event. The cause names line and
    /// column.
    #[error("not an object, list or event of the Kubernetes API")]
    NotAnObject(#[source] serde_json::Error),
}

impl DecodeError {
    /// What it is that a reader of JSON says.
    pub fn of(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Io | Category::Syntax | Category::Eof => Self::NotJson(error),
            Category::Data => Self::NotAnObject(error),
        }
    }

    /// Where in the frame the error is: line and column, counted from 1; `None` where it is not
    /// known.
    pub fn position(&self) -> Option<(usize, usize)> {
        match self {
            Self::NotUtf8(_) => None,
            Self::NotJson(error) | Self::NotAnObject(error) => {
                Some((error.line(), error.column())).filter(|(line, _)| *line > 0)
            }
        }
    }
}
