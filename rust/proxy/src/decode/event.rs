//! One line of a watch.

use std::fmt;
use std::str::Utf8Error;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::document::Document;
use super::identity::Identity;
use super::lossy::LossyText;
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
        let written: Written<'_> = serde_json::from_str(text).map_err(DecodeError::of)?;
        Self::of(&written, Document::decode_text)
    }

    /// Decodes a line that is not all UTF-8: an object that came or changed is rejected.
    fn decode_lossy(lossy: &LossyText, error: Utf8Error) -> Result<Self, DecodeError> {
        let written = serde_json::from_str::<Written<'_>>(lossy.as_str());
        let reliable = written
            .ok()
            .filter(|written| lossy.count_in(written.object.get()) == lossy.count());
        let written = reliable.ok_or(DecodeError::NotUtf8(error))?;
        Self::of(&written, |object| Ok(Document::decode_lossy_object(object)))
    }

    fn of(
        written: &Written<'_>,
        document: impl FnOnce(&str) -> Result<Document, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let object = written.object.get();
        Ok(match written.event_type {
            Type::Added => Self::Added(document(object)?),
            Type::Modified => Self::Modified(document(object)?),
            Type::Deleted => Self::Deleted(Identified::decode(object)?.0),
            Type::Bookmark => {
                let (object, metadata) = Identified::decode(object)?;
                Self::Bookmark {
                    object,
                    initial_events_end: metadata.is_initial_events_end(),
                }
            }
            Type::Error => Self::Error(serde_json::from_str(object).map_err(DecodeError::of)?),
        })
    }
}

impl Identified {
    /// Reads what tells an object from others, whatever is wrong with the rest of it.
    fn decode(object: &str) -> Result<(Self, Metadata), DecodeError> {
        let identity = Identity::read(object).map_err(DecodeError::of)?;
        let known = identity.known_kind();
        let known = known.and_then(|kind| Some((kind, identity.metadata.name(kind).ok()?)));
        let identified = Self {
            kind: identity.kind.unwrap_or_default(),
            known,
            resource_version: identity.metadata.resource_version.clone(),
        };
        Ok((identified, identity.metadata))
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
