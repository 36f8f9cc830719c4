//! What objects of every kind have in common.

use std::borrow::Cow;
use std::fmt;

use ipnet::IpNet;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, de};
use smol_str::SmolStr;

use super::identity;
use super::reason::{LeftOut, Quoted, Reason};
use crate::state::{EndpointSlice, Node, Service};
use crate::{Kind, NamespacedName, Protocol, Rejection};

/// How many bytes all annotations of an object may have (`TotalAnnotationSizeLimitB` of
/// `k8s.io/apimachinery`).
const ANNOTATIONS_SIZE: usize = 256 << 10;

/// An object as the API writes it, with only the fields that are used.
pub(super) trait ApiObject: DeserializeOwned {
    /// Its kind.
    const KIND: Kind;

    /// Its metadata.
    fn metadata(&self) -> &Metadata;

    /// What it means to the node. Notes the parts that are not valid; fails with the reason if
    /// the object is not valid as a whole.
    fn interpret(self, name: NamespacedName, left_out: &mut LeftOut) -> Result<Content, Reason>;
}

/// What an object means to the node.
#[derive(Debug, PartialEq)]
pub(crate) enum Content {
    /// A Service to make work.
    Service(Box<Service>),
    /// A slice of the endpoints of a Service.
    EndpointSlice(Box<EndpointSlice>),
    /// All endpoints of the Service of the same name.
    Endpoints {
        /// Whether the Service has no address of its own.
        is_headless: bool,
        /// One for each subset and family.
        slices: Vec<EndpointSlice>,
    },
    /// A node, perhaps another.
    Node(Node),
    /// A namespace.
    Namespace,
    /// Ranges of Service addresses.
    ServiceCidr(Vec<IpNet>),
    /// Valid, but nothing the node has to do with.
    Irrelevant,
}

/// One object of a kind that is taken in.
#[derive(Debug, PartialEq)]
pub(crate) struct Record {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its name; the namespace is empty where the kind has none.
    pub(crate) name: NamespacedName,
    /// `metadata.resourceVersion`.
    pub(crate) resource_version: Option<SmolStr>,
    /// What it means to the node; or why it is not valid as a whole.
    pub(crate) content: Result<Content, Reason>,
    /// Why parts of it are left out.
    pub(crate) left_out: Vec<Reason>,
}

impl Record {
    /// Interprets an object; a rejection if it has no name to know it by.
    pub(super) fn of<T: ApiObject>(object: T) -> Result<Self, Rejection> {
        let name = object.metadata().name(T::KIND)?;
        let resource_version = object.metadata().resource_version.clone();
        let mut left_out = LeftOut::default();
        let content = match object.metadata().oversize() {
            Some(reason) => Err(reason),
            None => object.interpret(name.clone(), &mut left_out),
        };
        Ok(Self {
            kind: T::KIND,
            name,
            resource_version,
            content,
            left_out: left_out.into_reasons(),
        })
    }
}

/// `metadata`, as far as it is used.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct Metadata {
    name: Option<SmolStr>,
    namespace: Option<SmolStr>,
    pub(super) resource_version: Option<SmolStr>,
    pub(super) creation_timestamp: Option<SmolStr>,
    labels: Option<Labels>,
    annotations: Option<Annotations>,
}

impl Metadata {
    /// The object's name, checked.
    pub(super) fn name(&self, kind: Kind) -> Result<NamespacedName, Rejection> {
        identity::name(kind, self.namespace.as_ref(), self.name.as_ref())
    }

    /// The labels that are used.
    pub(super) fn labels(&self) -> &Labels {
        const NONE: &Labels = &Labels::NONE;
        self.labels.as_ref().unwrap_or(NONE)
    }

    /// The annotations that are used.
    pub(super) fn annotations(&self) -> Option<&Annotations> {
        self.annotations.as_ref()
    }

    /// Takes the annotation that says when the change happened that led to this version.
    pub(super) fn take_trigger_time(&mut self) -> Option<SmolStr> {
        self.annotations.take()?.last_change_trigger_time
    }

    /// Why the object is too large, if it is.
    fn oversize(&self) -> Option<Reason> {
        let size = self.annotations.as_ref()?.size;
        (size > ANNOTATIONS_SIZE).then(|| {
            format!(
                "metadata.annotations: {size} bytes are more than the {ANNOTATIONS_SIZE} allowed"
            )
        })
    }
}

/// The labels that are used.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Labels {
    /// Names the Service of an EndpointSlice.
    #[serde(rename = "kubernetes.io/service-name")]
    pub(super) service_name: Option<SmolStr>,
    /// Marks the endpoints of a headless Service.
    #[serde(rename = "service.kubernetes.io/headless", default)]
    pub(super) headless: Presence,
    /// Marks a Service that another proxy takes care of.
    #[serde(rename = "service.kubernetes.io/service-proxy-name", default)]
    pub(super) service_proxy_name: Presence,
    /// The zone of a node.
    #[serde(rename = "topology.kubernetes.io/zone")]
    pub(super) zone: Option<SmolStr>,
}

impl Labels {
    const NONE: Self = Self {
        service_name: None,
        headless: Presence(false),
        service_proxy_name: Presence(false),
        zone: None,
    };
}

/// The annotations that are used, and how large all are.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    /// How IPVS chooses an endpoint of a Service.
    pub(super) ipvs_scheduler: Option<SmolStr>,
    /// How much each endpoint of a Service takes.
    pub(super) weight: Option<SmolStr>,
    last_change_trigger_time: Option<SmolStr>,
    /// Bytes of all names and values.
    size: usize,
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnnotationsVisitor;

        impl<'de> Visitor<'de> for AnnotationsVisitor {
            type Value = Annotations;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut annotations = Annotations::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    annotations.size += name.len();
                    let Some(Text(value)) = map.next_value::<Option<Text<'de>>>()? else {
                        continue;
                    };
                    annotations.size += value.len();
                    let used = match &*name {
                        "endpoints.kubernetes.io/last-change-trigger-time" => {
                            &mut annotations.last_change_trigger_time
                        }
                        "kpx.dev/ipvs-scheduler" => &mut annotations.ipvs_scheduler,
                        "kpx.dev/weight" => &mut annotations.weight,
                        _ => continue,
                    };
                    *used = Some(value.into());
                }
                Ok(annotations)
            }
        }

        deserializer.deserialize_map(AnnotationsVisitor)
    }
}

/// Text that is copied only where it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether a field is there, whatever its value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Presence(pub(super) bool);

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Ok(Self(true))
    }
}

/// The first element of a list; the others are skipped.
#[derive(Debug)]
pub(super) struct First<T>(pub(super) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for FirstVisitor<T> {
            type Value = First<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let first = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }

        deserializer.deserialize_seq(FirstVisitor(std::marker::PhantomData))
    }
}

/// Whether a map has an entry; the entries are skipped.
#[derive(Clone, Copy, Debug)]
pub(super) struct HasEntries(pub(super) bool);

impl<'de> Deserialize<'de> for HasEntries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = HasEntries;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<HasEntries, A::Error> {
                let mut has_entries = false;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    has_entries = true;
                }
                Ok(HasEntries(has_entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// Reads a protocol; `TCP` where none is given, as the API's defaults have it.
pub(super) fn parse_protocol(
    text: Option<&str>,
    field: fmt::Arguments<'_>,
) -> Result<Protocol, Reason> {
    match text {
        None | Some("" | "TCP") => Ok(Protocol::Tcp),
        Some("UDP") => Ok(Protocol::Udp),
        Some("SCTP") => Ok(Protocol::Sctp),
        Some(other) => Err(format!(
            "{field}: {} is not `TCP`, `UDP` or `SCTP`",
            Quoted(other)
        )),
    }
}
