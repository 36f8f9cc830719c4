//! What an object is and what it is called, without the rest of it.

use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::object::Metadata;
use crate::Kind;

/// The type and the metadata of an object.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// `kind`.
    pub(super) kind: Option<SmolStr>,
    /// `apiVersion`.
    pub(super) api_version: Option<SmolStr>,
    /// `metadata`.
    pub(super) metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Written<'a> {
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    api_version: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

impl Identity {
    /// Reads as much as can be read; fails if the text is not a JSON object.
    pub(super) fn read(text: &str) -> Result<Self, serde_json::Error> {
        let written: Written<'_> = serde_json::from_str(text)?;
        Ok(Self {
            kind: read(written.kind),
            api_version: read(written.api_version),
            metadata: written.metadata.map(Metadata::lenient).unwrap_or_default(),
        })
    }

    /// Reads as much as can be read; `None` if the text is not a JSON object.
    pub(super) fn of(text: &str) -> Option<Self> {
        Self::read(text).ok()
    }

    /// Reads as much of an item of a list as can be read; `kind` is what the list says of its items.
    pub(super) fn of_item(text: &str, kind: Option<Kind>) -> Self {
        let mut identity = Self::of(text).unwrap_or_default();
        if let Some(kind) = kind {
            identity.kind = Some(kind.as_str().into());
            identity.api_version = Some(kind.api_version().into());
        }
        identity
    }

    /// Whether the object is a list.
    pub(super) fn is_list(&self) -> bool {
        let kind = self.kind.as_deref();
        kind.is_some_and(|kind| kind.ends_with("List"))
    }

    /// The kind, if it is one that is taken in.
    pub(super) fn known_kind(&self) -> Option<Kind> {
        Kind::from_type(self.kind.as_deref()?, self.api_version.as_deref())
    }
}

/// Reads a value; `None` where it has another type.
pub(super) fn read<'de, T: Deserialize<'de>>(value: Option<&'de RawValue>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
}
