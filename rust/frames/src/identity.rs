//! What an object is and what it is called, without the rest of it.

use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

/// What tells an object from others. What cannot be read is as if it were not there.
#[derive(Debug, Default)]
pub struct Identity {
    /// `kind`.
    pub kind: Option<SmolStr>,
    /// `apiVersion`.
    pub api_version: Option<SmolStr>,
    /// `metadata.namespace`.
    pub namespace: Option<SmolStr>,
    /// `metadata.name`.
    pub name: Option<SmolStr>,
    /// `metadata.resourceVersion`.
    pub resource_version: Option<SmolStr>,
    /// Whether it is the bookmark that ends the initial events of a watch.
    pub ends_initial_events: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct WrittenObject<'a> {
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    api_version: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct WrittenMetadata<'a> {
    #[serde(borrow)]
    namespace: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    resource_version: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct WrittenAnnotations<'a> {
    /// Of a bookmark, that the initial events are over (KEP-3157).
    #[serde(borrow, rename = "k8s.io/initial-events-end")]
    initial_events_end: Option<&'a RawValue>,
}

impl Identity {
    /// Reads as much as can be read; fails if the text is not a JSON object.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        let object: WrittenObject<'_> = serde_json::from_str(text)?;
        let metadata: WrittenMetadata<'_> = read(object.metadata).unwrap_or_default();
        let annotations: WrittenAnnotations<'_> = read(metadata.annotations).unwrap_or_default();
        let end: Option<SmolStr> = read(annotations.initial_events_end);
        Ok(Self {
            kind: read(object.kind),
            api_version: read(object.api_version),
            namespace: read(metadata.namespace),
            name: read(metadata.name),
            resource_version: read(metadata.resource_version),
            ends_initial_events: end.as_deref() == Some("true"),
        })
    }

    /// Whether the object is a list.
    pub fn is_list(&self) -> bool {
        let kind = self.kind.as_deref();
        kind.is_some_and(|kind| kind.ends_with("List"))
    }
}

/// Reads a value; `None` where it has another type.
fn read<'de, T: Deserialize<'de>>(value: Option<&'de RawValue>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
}
