//! The fields of an object, in an order in which they can be read.

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, IntoDeserializer, MapAccess};
use serde_json::value::RawValue;
use smallvec::SmallVec;
use smol_str::SmolStr;

/// A field at the top of an object that some kind makes use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
pub(super) enum Field {
    /// `kind`.
    Kind,
    /// `apiVersion`.
    ApiVersion,
    /// `metadata`.
    Metadata,
    /// `spec`.
    Spec,
    /// `status`.
    Status,
    /// `items` of a list.
    Items,
    /// `addressType` of an EndpointSlice.
    AddressType,
    /// `endpoints` of an EndpointSlice.
    Endpoints,
    /// `ports` of an EndpointSlice.
    Ports,
    /// `subsets` of Endpoints.
    Subsets,
    /// Any other, which nothing makes use of.
    #[serde(other)]
    Other,
}

impl Field {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::ApiVersion => "apiVersion",
            Self::Metadata => "metadata",
            Self::Spec => "spec",
            Self::Status => "status",
            Self::Items => "items",
            Self::AddressType => "addressType",
            Self::Endpoints => "endpoints",
            Self::Ports => "ports",
            Self::Subsets => "subsets",
            Self::Other => "other",
        }
    }
}

/// The fields of an object: first those that came before its type was known, then the rest.
pub(super) struct Replay<'de, A> {
    early: SmallVec<[(Field, &'de RawValue); 4]>,
    value: Option<&'de RawValue>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> Replay<'de, A> {
    /// The fields as they come.
    pub(super) fn new(rest: A) -> Self {
        Self {
            early: SmallVec::new(),
            value: None,
            rest,
        }
    }

    /// Reads on until both `kind` and `apiVersion` are known, or nothing is left.
    pub(super) fn read_type(&mut self) -> Result<(Option<SmolStr>, Option<SmolStr>), A::Error> {
        let (mut kind, mut api_version) = (None::<SmolStr>, None::<SmolStr>);
        while kind.is_none() || api_version.is_none() {
            let Some(field) = self.rest.next_key()? else {
                break;
            };
            match field {
                Field::Kind => kind = self.rest.next_value()?,
                Field::ApiVersion => api_version = self.rest.next_value()?,
                Field::Other => {
                    self.rest.next_value::<IgnoredAny>()?;
                }
                field if self.early.iter().any(|(other, _)| *other == field) => {
                    return Err(A::Error::duplicate_field(field.as_str()));
                }
                field => self.early.push((field, self.rest.next_value()?)),
            }
        }
        // They are taken from the end.
        self.early.reverse();
        Ok((kind, api_version))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Replay<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let Some((field, value)) = self.early.pop() else {
            return self.rest.next_key_seed(seed);
        };
        self.value = Some(value);
        let name: StrDeserializer<'static, A::Error> = field.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value).map_err(A::Error::custom),
            None => self.rest.next_value_seed(seed),
        }
    }
}
