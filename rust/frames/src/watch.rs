//! One line of a watch.

use std::str::Utf8Error;

use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::{DecodeError, Identity, LossyText};

/// What a line of a watch says happened (`metav1.WatchEvent`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// `ADDED`: the object is new, or new to this watch.
    Added,
    /// `MODIFIED`: the object changed.
    Modified,
    /// `DELETED`: the object is gone.
    Deleted,
    /// `BOOKMARK`: nothing changed up to a resource version.
    Bookmark {
        /// Whether every object that existed when the watch began has been sent
        /// (annotation `k8s.io/initial-events-end`, KEP-3157).
        initial_events_end: bool,
    },
    /// `ERROR`: the watch is over. A `code` of 410 asks for a new list.
    Error {
        /// The HTTP status, 0 if unknown.
        code: u16,
        /// `reason` of the Status, such as `Expired`.
        reason: SmolStr,
        /// `message` of the Status.
        message: String,
    },
}

impl WatchEvent {
    /// The word that the API has for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
            Self::Bookmark { .. } => "BOOKMARK",
            Self::Error { .. } => "ERROR",
        }
    }
}

/// What happened, in the usual line: it has an object that is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Arrival {
    /// It is new.
    Added,
    /// It changed.
    Modified,
}

impl From<Arrival> for WatchEvent {
    fn from(arrival: Arrival) -> Self {
        match arrival {
            Arrival::Added => Self::Added,
            Arrival::Modified => Self::Modified,
        }
    }
}

/// Any line, taken apart.
#[derive(Debug, Deserialize)]
pub struct Line<'a> {
    #[serde(rename = "type")]
    event_type: EventType,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum EventType {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Status {
    code: Option<u16>,
    reason: Option<SmolStr>,
    message: Option<String>,
}

impl<'a> Line<'a> {
    /// Reads a line that is known to be UTF-8.
    pub fn read(text: &'a str) -> Result<Self, DecodeError> {
        serde_json::from_str(text).map_err(DecodeError::of)
    }

    /// Reads a line of which only the object may not be UTF-8.
    pub fn read_lossy(lossy: &'a LossyText, error: Utf8Error) -> Result<Self, DecodeError> {
        serde_json::from_str(lossy.as_str())
            .ok()
            .filter(|line: &Self| lossy.count_in(line.object()) == lossy.count())
            .ok_or(DecodeError::NotUtf8(error))
    }

    /// The object, as it is written.
    pub fn object(&self) -> &'a str {
        self.object.get()
    }

    /// What happened, and to what.
    pub fn event(&self) -> Result<(WatchEvent, Identity), DecodeError> {
        let identity = Identity::read(self.object()).map_err(DecodeError::of)?;
        let event = match self.event_type {
            EventType::Added => WatchEvent::Added,
            EventType::Modified => WatchEvent::Modified,
            EventType::Deleted => WatchEvent::Deleted,
            EventType::Bookmark => WatchEvent::Bookmark {
                initial_events_end: identity.ends_initial_events,
            },
            EventType::Error => {
                let status: Status =
                    serde_json::from_str(self.object()).map_err(DecodeError::of)?;
                WatchEvent::Error {
                    code: status.code.unwrap_or_default(),
                    reason: status.reason.unwrap_or_default(),
                    message: status.message.unwrap_or_default(),
                }
            }
        };
        Ok((event, identity))
    }
}
