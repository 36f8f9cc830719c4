//! Pages of a list, manifests, and lines of a watch.

use std::str::Utf8Error;

use kpx_frames::{
    Arrival, DecodeError, EventReport, FeedReport, Identity, Line, LossyText, NOT_UTF8, WatchEvent,
    cause, wrong_field,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::decode::{Key, Written, key};

/// The kind.
pub(crate) const POD: SmolStr = SmolStr::new_static("Pod");

/// A document: one object, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct Document<T> {
    kind: Option<SmolStr>,
    metadata: Option<ListMetadata>,
    items: Option<Vec<T>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct ListMetadata {
    resource_version: Option<SmolStr>,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}

/// A line in the form most have: an object that came or changed, all of it valid.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct UsualLine {
    #[serde(rename = "type")]
    arrival: Arrival,
    object: Box<Written>,
}

/// The Pods of a page of a list, or of a manifest.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// What is said of the list; the Pods are not counted yet.
    pub(crate) report: FeedReport,
    pub(crate) pods: Vec<Result<Box<Written>, Unreadable>>,
}

/// What a line of a watch says of Pods.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) report: EventReport,
    /// The Pod that came or changed.
    pub(crate) pod: Option<Result<Box<Written>, Unreadable>>,
    /// The Pod that is gone.
    pub(crate) gone: Option<Key>,
}

/// A Pod that cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) key: Option<Key>,
    pub(crate) reason: String,
}

/// An object.
enum Object {
    Pod(Result<Box<Written>, Unreadable>),
    /// It is of another kind, of this name.
    Other(SmolStr),
}

impl Frame {
    /// Reads a page of a list, or a manifest of which only the Pods matter.
    pub(crate) fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let text = match str::from_utf8(frame) {
            Ok(text) => text,
            Err(error) => return Self::decode_lossy(&LossyText::new(frame), error),
        };
        // Most pages are valid throughout, and are read in one pass.
        if let Ok(document) = serde_json::from_str::<Document<Box<Written>>>(text)
            && document.items.is_some()
        {
            return Ok(Self::of(document, Object::of));
        }
        let document = serde_json::from_str(text).map_err(DecodeError::of)?;
        Ok(Self::of_objects(text, document, Object::read))
    }

    /// Reads a frame that is not all UTF-8: the Pods that are not are rejected.
    fn decode_lossy(lossy: &LossyText, error: Utf8Error) -> Result<Self, DecodeError> {
        let text = lossy.as_str();
        let Ok(document) = serde_json::from_str(text) else {
            return Err(DecodeError::NotUtf8(error));
        };
        let mut count = 0;
        let frame = Self::of_objects(text, document, |object, kind| {
            let replaced = lossy.count_in(object);
            count += replaced;
            if replaced == 0 {
                Object::read(object, kind)
            } else {
                Object::reject(object, kind, NOT_UTF8.to_owned())
            }
        });
        // Otherwise what the list says of itself cannot be relied on.
        if count == lossy.count() {
            Ok(frame)
        } else {
            Err(DecodeError::NotUtf8(error))
        }
    }

    /// Reads each item of a list on its own; what is no list is an object.
    fn of_objects(
        text: &str,
        document: Document<&RawValue>,
        mut read: impl FnMut(&str, &str) -> Object,
    ) -> Self {
        if document.items.is_none() {
            let mut frame = Self::default();
            frame.push(read(text, ""));
            return frame;
        }
        Self::of(document, |raw, kind| read(raw.get(), kind))
    }

    fn of<T>(document: Document<T>, mut read: impl FnMut(T, &str) -> Object) -> Self {
        // The items of a list of one kind need not repeat it.
        let kind = document.kind.as_deref().unwrap_or("PodList");
        let kind = kind.strip_suffix("List").unwrap_or_default();
        let metadata = document.metadata.unwrap_or_default();
        let mut frame = Self {
            report: FeedReport {
                resource_version: metadata.resource_version,
                continue_token: metadata.continue_token.filter(|token| !token.is_empty()),
                ..FeedReport::default()
            },
            pods: Vec::new(),
        };
        for item in document.items.into_iter().flatten() {
            frame.push(read(item, kind));
        }
        frame
    }

    fn push(&mut self, object: Object) {
        match object {
            Object::Pod(pod) => self.pods.push(pod),
            Object::Other(kind) => *self.report.ignored.entry(kind).or_default() += 1,
        }
    }
}

impl Event {
    /// Reads a line of a watch of Pods.
    pub(crate) fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        let text = match str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => {
                let lossy = LossyText::new(line);
                let line = Line::read_lossy(&lossy, error)?;
                return Self::of(&line, |object, kind| {
                    Object::reject(object, kind, NOT_UTF8.to_owned())
                });
            }
        };
        if let Ok(UsualLine { arrival, object }) = serde_json::from_str(text) {
            let metadata = object.metadata.as_ref();
            return Ok(Self {
                report: EventReport {
                    event: arrival.into(),
                    kind: object.kind.clone().unwrap_or(POD),
                    resource_version: metadata.and_then(|one| one.resource_version.clone()),
                    rejected: false,
                },
                pod: Some(Ok(object)),
                gone: None,
            });
        }
        Self::of(&Line::read(text)?, Object::read)
    }

    fn of(line: &Line<'_>, read: impl FnOnce(&str, &str) -> Object) -> Result<Self, DecodeError> {
        let (event, identity) = line.event()?;
        let kind = identity.kind.unwrap_or(POD);
        let (mut pod, mut gone) = (None, None);
        match event {
            WatchEvent::Added | WatchEvent::Modified => {
                if let Object::Pod(read) = read(line.object(), &POD) {
                    pod = Some(read);
                }
            }
            WatchEvent::Deleted if kind == POD => gone = key(identity.namespace, identity.name),
            WatchEvent::Deleted | WatchEvent::Bookmark { .. } | WatchEvent::Error { .. } => {}
        }
        Ok(Self {
            report: EventReport {
                event,
                kind,
                resource_version: identity.resource_version,
                rejected: false,
            },
            pod,
            gone,
        })
    }
}

impl Object {
    fn of(written: Box<Written>, default_kind: &str) -> Self {
        match written.kind.as_deref().unwrap_or(default_kind) {
            "Pod" => Self::Pod(Ok(written)),
            other => Self::Other(other.into()),
        }
    }

    fn read(text: &str, default_kind: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(written) => Self::of(written, default_kind),
            Err(error) => {
                let reason = wrong_field::<Written>(text).unwrap_or_else(|| cause(&error));
                Self::reject(text, default_kind, reason)
            }
        }
    }

    fn reject(text: &str, default_kind: &str, reason: String) -> Self {
        let identity = Identity::read(text).unwrap_or_default();
        match identity.kind.as_deref().unwrap_or(default_kind) {
            "Pod" => Self::Pod(Err(Unreadable {
                key: key(identity.namespace, identity.name),
                reason,
            })),
            other => Self::Other(other.into()),
        }
    }
}
