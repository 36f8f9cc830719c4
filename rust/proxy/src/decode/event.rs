//! One line of a watch.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::document::Document;
use super::object::Metadata;
use crate::{DecodeError, Kind, NamespacedName};

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
    /// `ERROR`: the object is a `metav1.Status`.
    Error(Status),
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

/// Why a watch is over (`metav1.Status`).
#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(expecting = "an object")]
pub(crate) struct Status {
    /// The HTTP status.
    pub(crate) code: Option<u16>,
    /// The reason, such as `Expired`.
    pub(crate) reason: Option<SmolStr>,
    /// What a person is told.
    pub(crate) message: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "an object")]
struct Written<'a> {
    #[serde(rename = "type")]
    event_type: Type,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Type {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Head {
    kind: Option<SmolStr>,
    api_version: Option<SmolStr>,
    #[serde(default)]
    metadata: Metadata,
}

impl Event {
    /// Decodes a line of a watch.
    pub(crate) fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        let text = str::from_utf8(line).map_err(DecodeError::NotUtf8)?;
        if let Ok(event) = serde_json::from_str(text) {
            let Usual(event) = event;
            return Ok(event);
        }
        let written: Written<'_> = serde_json::from_str(text).map_err(DecodeError::of)?;
        let object = written.object.get();
        Ok(match written.event_type {
            Type::Added => Self::Added(Document::decode_text(object)?),
            Type::Modified => Self::Modified(Document::decode_text(object)?),
            Type::Deleted => Self::Deleted(Head::decode(object)?.identified()),
            Type::Bookmark => {
                let head = Head::decode(object)?;
                Self::Bookmark {
                    initial_events_end: head.metadata.is_initial_events_end(),
                    object: head.identified(),
                }
            }
            Type::Error => Self::Error(serde_json::from_str(object).map_err(DecodeError::of)?),
        })
    }
}

impl Head {
    fn decode(object: &str) -> Result<Self, DecodeError> {
        serde_json::from_str(object).map_err(DecodeError::of)
    }

    fn identified(self) -> Identified {
        let kind = self.kind.unwrap_or_default();
        let known = Kind::from_type(&kind, self.api_version.as_deref())
            .and_then(|known| Some((known, self.metadata.name(known).ok()?)));
        Identified {
            kind,
            known,
            resource_version: self.metadata.resource_version,
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
            Type::Added => Event::Added,
            Type::Modified => Event::Modified,
            Type::Deleted | Type::Bookmark | Type::Error => return Err(unusual()),
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
