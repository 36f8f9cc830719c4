//! What kind an object is of, and what it is called.

use kpx_frames::Identity;
use smol_str::SmolStr;

use super::reason::Quoted;
use crate::{Kind, NamespacedName, Rejection};

/// The longest name of an object (`IsDNS1123Subdomain` of `k8s.io/apimachinery`).
const NAME_LENGTH: usize = 253;

/// The namespace of an object that names none, as for `kubectl apply`.
const DEFAULT_NAMESPACE: SmolStr = SmolStr::new_static("default");

/// Reads as much of an item of a list as can be read; `kind` is what the list says of its items.
pub(super) fn of_item(text: &str, kind: Option<Kind>) -> Identity {
    let mut identity = Identity::read(text).unwrap_or_default();
    if let Some(kind) = kind {
        identity.kind = Some(kind.as_str().into());
        identity.api_version = Some(kind.api_version().into());
    }
    identity
}

/// The kind of an object, if it is one that is taken in.
pub(super) fn known_kind(identity: &Identity) -> Option<Kind> {
    Kind::from_type(identity.kind.as_deref()?, identity.api_version.as_deref())
}

/// The kind of an object, if it is one that is taken in, and its name, if that is valid.
pub(super) fn known(identity: &Identity) -> Option<(Kind, NamespacedName)> {
    let kind = known_kind(identity)?;
    let name = name(kind, identity.namespace.as_ref(), identity.name.as_ref());
    Some((kind, name.ok()?))
}

/// An object's name, checked: names become part of error messages and of what is written to the
/// kernel.
pub(super) fn name(
    kind: Kind,
    namespace: Option<&SmolStr>,
    name: Option<&SmolStr>,
) -> Result<NamespacedName, Rejection> {
    let name = name.cloned().unwrap_or_default();
    let namespace = match namespace {
        _ if !kind.is_namespaced() => SmolStr::default(),
        Some(namespace) if !namespace.is_empty() => namespace.clone(),
        _ => DEFAULT_NAMESPACE,
    };
    let reason = if name.is_empty() {
        "metadata.name: missing".to_owned()
    } else if !is_dns_name(&name) {
        format!("metadata.name: {} is not a DNS name", Quoted(&name))
    } else if kind.is_namespaced() && !is_dns_name(&namespace) {
        let namespace = Quoted(&namespace);
        format!("metadata.namespace: {namespace} is not a DNS name")
    } else {
        return Ok(NamespacedName { namespace, name });
    };
    Err(Rejection {
        kind: kind.as_str().into(),
        name: SmolStr::default(),
        reason,
        whole: true,
    })
}

/// Whether a name has only the characters of a DNS name, and is not too long.
pub(super) fn is_dns_name(name: &str) -> bool {
    (1..=NAME_LENGTH).contains(&name.len())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
}
