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
    /// Reads as much as can be read; `None` if the text is not a JSON object.
    pub(super) fn of(text: &str) -> Option<Self> {
        let written: Written<'_> = serde_json::from_str(text).ok()?;
        Some(Self {
            kind: read(written.kind),
            api_version: read(written.api_version),
            metadata: read(written.metadata).unwrap_or_default(),
        })
    }
}

impl Identity {
    /// Whether the object is a list.
    pub(super) fn is_list(&self) -> bool {
        let kind = self.kind.as_deref();
        kind.is_some_and(|kind| kind.ends_with("List"))
    }

    /// The kind, if it is one that is taken in.
    pub(super) fn known_kind(&self) -> Option<Kind> {
        Kind::from_type(self.kind.as_deref()?, self.api_version.as_deref())
    }

    /// Takes a kind for granted, as for the items of a typed list.
    pub(super) fn assume_kind(&mut self, kind: Kind) {
        self.kind = Some(kind.as_str().into());
        self.api_version = Some(kind.api_version().into());
    }
}

fn read<'de, T: Deserialize<'de>>(value: Option<&'de RawValue>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
}
