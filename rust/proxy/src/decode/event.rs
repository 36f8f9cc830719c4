//! One line of a watch.

use std::fmt;
use std::str::Utf8Error;

use kpx_frames::{Arrival, DecodeError, Identity, Line, LossyText, WatchEvent};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use smol_str::SmolStr;

use super::document::Document;
use super::identity::known;
use crate::{Kind, NamespacedName};

/// One line of a watch (`metav1.WatchEvent`).
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// `ADDED`: the document holds one object.
    Added(Document),
    /// `MODIFIED`: the document holds one object.
    Modified(Document),
    /// `DELETED`.
    Deleted(Identified),
    /// `BOOKMARK`.
    Bookmark {
        /// The kind that is watched, and how far the watch is.
        object: Identified,
        /// Whether this ends the initial events (KEP-3157).
        initial_events_end: bool,
    },
    /// `ERROR`.
    Error(WatchEvent),
}

/// An object of which only the type and the name matter.
#[derive(Debug, PartialEq)]
pub(crate) struct Identified {
    /// `kind` as written.
    pub(crate) kind: SmolStr,
    /// The kind and the name, if the kind is one that is taken in and the name is valid.
    pub(crate) known: Option<(Kind, NamespacedName)>,
    /// `metadata.resourceVersion`.
    pub(crate) resource_version: Option<SmolStr>,
}

impl Event {
    /// Decodes a line of a watch.
    pub(crate) fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        let text = match str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => return Self::decode_lossy(&LossyText::new(line), error),
        };
        if let Ok(event) = serde_json::from_str(text) {
            let Usual(event) = event;
            return Ok(event);
        }
        Self::of(&Line::read(text)?, Document::decode_text)
    }

    /// Decodes a line that is not all UTF-8: an object that came or changed is rejected.
    fn decode_lossy(lossy: &LossyText, error: Utf8Error) -> Result<Self, DecodeError> {
        let line = Line::read_lossy(lossy, error)?;
        Self::of(&line, |object| Ok(Document::decode_lossy_object(object)))
    }

    fn of(
        line: &Line<'_>,
        document: impl FnOnce(&str) -> Result<Document, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let (event, identity) = line.event()?;
        Ok(match event {
            WatchEvent::Added => Self::Added(document(line.object())?),
            WatchEvent::Modified => Self::Modified(document(line.object())?),
            WatchEvent::Deleted => Self::Deleted(identity.into()),
            WatchEvent::Bookmark { initial_events_end } => Self::Bookmark {
                object: identity.into(),
                initial_events_end,
            },
            WatchEvent::Error { .. } => Self::Error(event),
        })
    }
}

impl From<Identity> for Identified {
    fn from(identity: Identity) -> Self {
        Self {
            known: known(&identity),
            kind: identity.kind.unwrap_or_default(),
            resource_version: identity.resource_version,
        }
    }
}

/// An event in the form most lines have: an object that came or changed, all of it valid, and
/// its type before it. It is read in one pass.
struct Usual(Event);

#[derive(PartialEq, serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Type,
    Object,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Usual {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UsualVisitor)
    }
}

struct UsualVisitor;

impl<'de> Visitor<'de> for UsualVisitor {
    type Value = Usual;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Usual, A::Error> {
        let unusual = || A::Error::custom("not the usual form");
        if map.next_key()? != Some(Key::Type) {
            return Err(unusual());
        }
        let event: fn(Document) -> Event = match map.next_value()? {
            Arrival::Added => Event::Added,
            Arrival::Modified => Event::Modified,
        };
        if map.next_key()? != Some(Key::Object) {
            return Err(unusual());
        }
        let mut document = Document::default();
        map.next_value_seed(document.reader())?;
        if map.next_key::<Key>()?.is_some() {
            return Err(unusual());
        }
        Ok(Usual(event(document)))
    }
}
