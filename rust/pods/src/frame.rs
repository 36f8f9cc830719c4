//! Pages of a list, manifests, and lines of a watch.

use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::DecodeError;
use crate::decode::{Identity, Written};
use crate::store::{Change, Rejection};

/// What a frame, or a line of a watch, did.
#[derive(Debug, Default)]
pub struct Report {
    /// What a line of a watch was; `None` for a page or a manifest.
    pub event: Option<WatchEvent>,
    /// How far the list, or the watch, is.
    pub resource_version: Option<SmolStr>,
    /// The token of the next page; `None` on the last.
    pub continue_token: Option<String>,
    /// Of a bookmark, whether it ends the initial events (KEP-3157).
    pub initial_events_end: bool,
    /// Of an error, its HTTP status.
    pub code: Option<u16>,
    /// Of an error, its reason.
    pub reason: Option<String>,
    /// Of an error, what a person is told.
    pub message: Option<String>,
    /// What is not as before, in order.
    pub changes: Vec<Change>,
    /// The Pods that are left out.
    pub rejections: Vec<Rejection>,
}

/// What a line of a watch is (`metav1.WatchEvent`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WatchEvent {
    /// An object came.
    Added,
    /// An object changed.
    Modified,
    /// An object is gone.
    Deleted,
    /// Nothing happened up to a version.
    Bookmark,
    /// The watch is over.
    Error,
}

impl WatchEvent {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
            Self::Bookmark => "BOOKMARK",
            Self::Error => "ERROR",
        }
    }
}

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

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct Line<T> {
    #[serde(rename = "type")]
    event: WatchEvent,
    object: T,
}

#[derive(Debug, Default, Deserialize)]
#[serde(expecting = "an object")]
struct Head {
    kind: Option<SmolStr>,
    metadata: Option<Identity>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(expecting = "an object")]
struct Status {
    code: Option<u16>,
    reason: Option<String>,
    message: Option<String>,
}

/// The Pods of a frame: those that can be read, and, of those that cannot, whose and why.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pub(crate) report: Report,
    pub(crate) pods: Vec<Result<Written, Unreadable>>,
    /// What a line of a watch says is gone.
    pub(crate) gone: Option<(SmolStr, SmolStr)>,
}

/// A Pod that cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) key: Option<(SmolStr, SmolStr)>,
    pub(crate) reason: String,
}

impl Frame {
    /// Reads a page of a list, or a manifest of which only the Pods matter.
    pub(crate) fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let text = str::from_utf8(frame).map_err(DecodeError::NotUtf8)?;
        // Most pages are valid throughout, and are read in one pass.
        if let Ok(document) = serde_json::from_str::<Document<Written>>(text)
            && document.items.is_some()
        {
            return Ok(Self::of(document, |written, kind| {
                let is_pod = written.kind.as_deref().unwrap_or(kind) == "Pod";
                is_pod.then_some(Ok(written))
            }));
        }
        let document: Document<&RawValue> =
            serde_json::from_str(text).map_err(DecodeError::NotJson)?;
        if document.items.is_none() {
            let pod = read(text, "");
            return Ok(Self {
                pods: pod.into_iter().collect(),
                ..Self::default()
            });
        }
        Ok(Self::of(document, |raw, kind| read(raw.get(), kind)))
    }

    fn of<T>(
        document: Document<T>,
        read: impl Fn(T, &str) -> Option<Result<Written, Unreadable>>,
    ) -> Self {
        // The items of a list of one kind need not repeat it.
        let kind = document.kind.as_deref().unwrap_or("PodList");
        let kind = kind.strip_suffix("List").unwrap_or_default();
        let items = document.items.into_iter().flatten();
        let metadata = document.metadata.unwrap_or_default();
        Self {
            pods: items.filter_map(|item| read(item, kind)).collect(),
            report: Report {
                resource_version: metadata.resource_version,
                continue_token: metadata.continue_token.filter(|token| !token.is_empty()),
                ..Report::default()
            },
            gone: None,
        }
    }

    /// Reads a line of a watch of Pods.
    pub(crate) fn decode_event(line: &[u8]) -> Result<Self, DecodeError> {
        let text = str::from_utf8(line).map_err(DecodeError::NotUtf8)?;
        if let Ok(line) = serde_json::from_str::<Line<Written>>(text)
            && matches!(line.event, WatchEvent::Added | WatchEvent::Modified)
        {
            let metadata = line.object.metadata.as_ref();
            let version = metadata.and_then(|metadata| metadata.resource_version.clone());
            return Ok(Self {
                report: Report::event(line.event, version),
                pods: vec![Ok(line.object)],
                gone: None,
            });
        }
        let line: Line<&RawValue> = serde_json::from_str(text).map_err(DecodeError::NotJson)?;
        let object = line.object.get();
        if line.event == WatchEvent::Error {
            let status: Status = serde_json::from_str(object).map_err(DecodeError::NotJson)?;
            return Ok(Self {
                report: Report {
                    code: status.code,
                    reason: status.reason,
                    message: status.message,
                    ..Report::event(line.event, None)
                },
                ..Self::default()
            });
        }
        let head: Head = serde_json::from_str(object).map_err(DecodeError::NotJson)?;
        let metadata = head.metadata.unwrap_or_default();
        let is_pod = head.kind.as_deref().unwrap_or("Pod") == "Pod";
        let mut found = Self {
            report: Report::event(line.event, metadata.resource_version.clone()),
            ..Self::default()
        };
        match line.event {
            WatchEvent::Deleted => found.gone = metadata.key().filter(|_| is_pod),
            WatchEvent::Bookmark => {
                let annotations = metadata.annotations.unwrap_or_default();
                let said = annotations.initial_events_end;
                found.report.initial_events_end = said.as_deref() == Some("true");
            }
            _ => found.pods.extend(read(object, "Pod")),
        }
        Ok(found)
    }
}

impl Report {
    fn event(event: WatchEvent, resource_version: Option<SmolStr>) -> Self {
        Self {
            event: Some(event),
            resource_version,
            ..Self::default()
        }
    }
}

/// Reads an object; `None` if it is of another kind than Pods are.
fn read(object: &str, default_kind: &str) -> Option<Result<Written, Unreadable>> {
    let head: Head = serde_json::from_str(object).unwrap_or_default();
    if head.kind.as_deref().unwrap_or(default_kind) != "Pod" {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_str(object);
    let written: Result<Written, _> = serde_path_to_error::deserialize(&mut reader);
    Some(written.map_err(|error| Unreadable {
        key: head.metadata.and_then(Identity::key),
        reason: format!("{}: {}", error.path(), cause(error.inner())),
    }))
}

/// What an error says, without the place in the object's text, and no longer than a line or two.
fn cause(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let cause = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(cause, _)| cause);
    cause.chars().take(200).collect()
}
