//! One JSON document: an object, or a list of them.
//!
//! Documents are read in one pass, without a tree: the API writes `kind` first, so the rest of
//! the object goes straight into the struct of its kind. What comes before `kind`, as in files
//! that people write, is kept as raw text and read after it. Where a field has a wrong type, the
//! document is read once more, with every item of a list cut out before it is read, so that a
//! broken one costs only itself. So it is where the document is not all UTF-8.

use std::collections::BTreeMap;
use std::fmt;
use std::str::Utf8Error;

use kpx_frames::{DecodeError, Identity, LossyText, NOT_UTF8, cause, wrong_field};
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::cluster::{NamespaceObject, NodeObject, ServiceCidrObject};
use super::endpoint_slice::EndpointSliceObject;
use super::endpoints::EndpointsObject;
use super::field::{Field, Replay};
use super::identity::{known, known_kind, of_item};
use super::object::{ApiObject, Record};
use super::reason::Reason;
use super::service::ServiceObject;
use crate::{Kind, Rejection};

/// How many objects without a name or a kind are remembered for one document.
const UNIDENTIFIED_KEPT: usize = 16;

/// What one document holds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Document {
    /// The objects of kinds that are taken in.
    pub(crate) records: Vec<Record>,
    /// How many objects there are of each kind that is not.
    pub(crate) ignored: BTreeMap<SmolStr, usize>,
    /// Why objects are rejected that have no name or kind to know them by; not all, if many.
    pub(crate) unidentified: Vec<Rejection>,
    /// How many of those there are, of each kind.
    pub(crate) unidentified_counts: BTreeMap<SmolStr, usize>,
    /// `metadata.resourceVersion` of a list.
    pub(crate) resource_version: Option<SmolStr>,
    /// `metadata.continue` of a list.
    pub(crate) continue_token: Option<String>,
    /// How much in the rejected items of a list is not UTF-8.
    lossy: usize,
}

impl Document {
    /// Decodes a frame: one JSON document.
    pub(crate) fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        match str::from_utf8(frame) {
            Ok(text) => Self::decode_text(text),
            Err(error) => Self::decode_lossy(&LossyText::new(frame), error),
        }
    }

    /// Decodes a document that is not all UTF-8: the objects that are not are rejected.
    fn decode_lossy(lossy: &LossyText, error: Utf8Error) -> Result<Self, DecodeError> {
        let text = lossy.as_str();
        if let Ok(identity) = Identity::read(text)
            && !identity.is_list()
        {
            let mut document = Self::default();
            document.reject(identity, NOT_UTF8.to_owned());
            return Ok(document);
        }
        let mut document = Self::default();
        let place = Place::Top(Items::Lossy(lossy));
        let is_read = document.read(text, place).is_ok();
        // Otherwise what the list says of itself cannot be relied on.
        let is_reliable = document.lossy == lossy.count();
        if is_read && is_reliable {
            Ok(document)
        } else {
            Err(DecodeError::NotUtf8(error))
        }
    }

    /// Decodes the object of an event that is not all UTF-8.
    pub(super) fn decode_lossy_object(text: &str) -> Self {
        let mut document = Self::default();
        document.reject(
            Identity::read(text).unwrap_or_default(),
            NOT_UTF8.to_owned(),
        );
        document
    }

    /// Decodes a document that is known to be UTF-8.
    pub(super) fn decode_text(text: &str) -> Result<Self, DecodeError> {
        let mut document = Self::default();
        if document.read(text, Place::Top(Items::InPlace)).is_ok() {
            return Ok(document);
        }
        // Either the text is no JSON, or a field of an object has a wrong type.
        serde_json::from_str::<&RawValue>(text).map_err(DecodeError::NotJson)?;
        let mut document = Self::default();
        let Err(error) = document.read(text, Place::Top(Items::Apart)) else {
            return Ok(document);
        };
        match Identity::read(text) {
            Ok(identity) if !identity.is_list() => {
                let mut document = Self::default();
                let reason = reason(text, &identity, &error);
                document.reject(identity, reason);
                Ok(document)
            }
            _ => Err(DecodeError::NotAnObject(error)),
        }
    }

    /// Reads the document from a deserializer; fails if a field has a wrong type.
    pub(super) fn reader<'de>(&mut self) -> impl DeserializeSeed<'de, Value = ()> {
        ObjectReader {
            document: self,
            place: Place::Top(Items::InPlace),
        }
    }

    fn read(&mut self, text: &str, place: Place<'_>) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let document = self;
        ObjectReader { document, place }.deserialize(&mut deserializer)?;
        deserializer.end()
    }

    /// Reads an item of a list. `kind` is what the list says of its items.
    fn read_item(&mut self, text: &str, kind: Option<Kind>) {
        if let Err(error) = self.read(text, Place::Item(kind)) {
            let identity = of_item(text, kind);
            let reason = reason(text, &identity, &error);
            self.reject(identity, reason);
        }
    }

    /// Reads an item of a list in which not all is UTF-8.
    fn read_lossy_item(&mut self, text: &str, kind: Option<Kind>, lossy: &LossyText) {
        let count = lossy.count_in(text);
        if count == 0 {
            return self.read_item(text, kind);
        }
        self.lossy += count;
        self.reject(of_item(text, kind), NOT_UTF8.to_owned());
    }

    /// Rejects an object as a whole.
    fn reject(&mut self, identity: Identity, reason: Reason) {
        match known(&identity) {
            Some((kind, name)) => self.records.push(Record {
                kind,
                name,
                resource_version: identity.resource_version,
                content: Err(reason),
                left_out: Vec::new(),
            }),
            None => self.push_unidentified(Rejection {
                kind: identity.kind.unwrap_or_default(),
                name: SmolStr::default(),
                reason,
                whole: true,
            }),
        }
    }

    fn push_unidentified(&mut self, rejection: Rejection) {
        let count = self.unidentified_counts.entry(rejection.kind.clone());
        *count.or_default() += 1;
        if self.unidentified.len() < UNIDENTIFIED_KEPT {
            self.unidentified.push(rejection);
        }
    }

    fn ignore(&mut self, kind: SmolStr) {
        *self.ignored.entry(kind).or_default() += 1;
    }
}

/// Where an object stands.
#[derive(Clone, Copy)]
enum Place<'t> {
    /// It is the document; if a list, how to read the items.
    Top(Items<'t>),
    /// It is an item of a list, of this kind if the list says so.
    Item(Option<Kind>),
}

/// How the items of a list are read.
#[derive(Clone, Copy)]
enum Items<'t> {
    /// In the same pass as the list.
    InPlace,
    /// Each on its own, so that one may fail.
    Apart,
    /// Each on its own; those of this text that are not all UTF-8 fail.
    Lossy(&'t LossyText),
}

/// Reads an object, or a list, into a document.
struct ObjectReader<'d, 't> {
    document: &'d mut Document,
    place: Place<'t>,
}

impl<'de> DeserializeSeed<'de> for ObjectReader<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectReader<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let mut fields = Replay::new(map);
        if let Place::Item(Some(kind)) = self.place {
            return self.read_object(kind, fields);
        }
        let (kind, api_version) = fields.read_type()?;
        let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
            return Err(A::Error::custom("kind: missing"));
        };
        match (Type::of(&kind, api_version.as_deref()), self.place) {
            (Type::Object(kind), _) => self.read_object(kind, fields),
            (Type::List(item_type), Place::Top(items)) => self.read_list(item_type, items, fields),
            (Type::List(_), Place::Item(_)) => Err(A::Error::custom("a list inside a list")),
            (Type::Other(kind), _) => {
                self.document.ignore(kind);
                skip(fields)
            }
        }
    }
}

impl ObjectReader<'_, '_> {
    fn read_object<'de, A: MapAccess<'de>>(
        self,
        kind: Kind,
        fields: Replay<'de, A>,
    ) -> Result<(), A::Error> {
        let read = match kind {
            Kind::Service => read_as::<ServiceObject, _>(fields),
            Kind::EndpointSlice => read_as::<EndpointSliceObject, _>(fields),
            Kind::Endpoints => read_as::<EndpointsObject, _>(fields),
            Kind::Node => read_as::<NodeObject, _>(fields),
            Kind::Namespace => read_as::<NamespaceObject, _>(fields),
            Kind::ServiceCidr => read_as::<ServiceCidrObject, _>(fields),
        };
        match read? {
            Ok(record) => self.document.records.push(record),
            Err(rejection) => self.document.push_unidentified(rejection),
        }
        Ok(())
    }

    fn read_list<'de, A: MapAccess<'de>>(
        self,
        item_type: ItemType,
        items: Items<'_>,
        mut fields: Replay<'de, A>,
    ) -> Result<(), A::Error> {
        let document = self.document;
        let mut reader = Some((item_type, items));
        while let Some(field) = fields.next_key::<Field>()? {
            match field {
                Field::Metadata => {
                    let metadata: Option<ListMetadata> = fields.next_value()?;
                    let metadata = metadata.unwrap_or_default();
                    document.resource_version = metadata.resource_version;
                    document.continue_token = metadata.r#continue.filter(|token| !token.is_empty());
                }
                Field::Items => {
                    let Some((item_type, items)) = reader.take() else {
                        return Err(A::Error::duplicate_field("items"));
                    };
                    fields.next_value_seed(ItemsReader {
                        document,
                        item_type,
                        items,
                    })?;
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// `metadata` of a list, as far as it is used.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct ListMetadata {
    resource_version: Option<SmolStr>,
    r#continue: Option<String>,
}

/// Reads the items of a list into a document.
struct ItemsReader<'d, 't> {
    document: &'d mut Document,
    item_type: ItemType,
    items: Items<'t>,
}

impl<'de> DeserializeSeed<'de> for ItemsReader<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemsReader<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    /// Go writes an empty list as `null`.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let document = self.document;
        match (self.item_type, self.items) {
            (ItemType::Read(kind), Items::InPlace) => {
                let place = Place::Item(kind);
                while list
                    .next_element_seed(ObjectReader { document, place })?
                    .is_some()
                {}
            }
            (ItemType::Read(kind), Items::Apart) => {
                while let Some(item) = list.next_element::<&RawValue>()? {
                    document.read_item(item.get(), kind);
                }
            }
            (ItemType::Read(kind), Items::Lossy(lossy)) => {
                while let Some(item) = list.next_element::<&RawValue>()? {
                    document.read_lossy_item(item.get(), kind, lossy);
                }
            }
            (ItemType::Other(kind), _) => {
                while list.next_element::<IgnoredAny>()?.is_some() {
                    document.ignore(kind.clone());
                }
            }
        }
        Ok(())
    }
}

/// What `kind` and `apiVersion` together say of an object.
enum Type {
    /// It is of a kind that is taken in.
    Object(Kind),
    /// It is a list.
    List(ItemType),
    /// It is of another kind, or of another version of a kind; the name to count it under.
    Other(SmolStr),
}

/// What a list says of its items.
enum ItemType {
    /// They are of this kind, and need not say so; or every item says for itself.
    Read(Option<Kind>),
    /// They are of another kind; the name to count them under.
    Other(SmolStr),
}

impl Type {
    fn of(name: &str, api_version: Option<&str>) -> Self {
        if name == "List" {
            return Self::List(ItemType::Read(None));
        }
        let (item, is_list) = match name.strip_suffix("List") {
            Some(item) => (item, true),
            None => (name, false),
        };
        let other = || match api_version {
            // Not to be taken for the kind of that name which is read.
            Some(api_version) if Kind::ALL.iter().any(|kind| kind.as_str() == item) => {
                format!("{api_version}/{item}").into()
            }
            _ => SmolStr::new(item),
        };
        match (Kind::from_type(item, api_version), is_list) {
            (Some(kind), false) => Self::Object(kind),
            (Some(kind), true) => Self::List(ItemType::Read(Some(kind))),
            (None, false) => Self::Other(other()),
            (None, true) => Self::List(ItemType::Other(other())),
        }
    }
}

fn read_as<'de, T: ApiObject, A: MapAccess<'de>>(
    fields: Replay<'de, A>,
) -> Result<Result<Record, Rejection>, A::Error> {
    T::deserialize(MapAccessDeserializer::new(fields)).map(Record::of)
}

fn skip<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Why an object is rejected that failed to be read.
fn reason(text: &str, identity: &Identity, error: &serde_json::Error) -> Reason {
    known_kind(identity)
        .and_then(|kind| wrong_type(kind, text))
        .unwrap_or_else(|| cause(error))
}

/// Reads an object once more, to find the field that has a wrong type.
fn wrong_type(kind: Kind, text: &str) -> Option<Reason> {
    match kind {
        Kind::Service => wrong_field::<ServiceObject>(text),
        Kind::EndpointSlice => wrong_field::<EndpointSliceObject>(text),
        Kind::Endpoints => wrong_field::<EndpointsObject>(text),
        Kind::Node => wrong_field::<NodeObject>(text),
        Kind::Namespace => wrong_field::<NamespaceObject>(text),
        Kind::ServiceCidr => wrong_field::<ServiceCidrObject>(text),
    }
}
