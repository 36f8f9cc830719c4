//! What an API server holds, and what a proxy is to make of it, kept the simple way.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::universe::{Identity, Object, Worth};

/// What there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// What the API server holds.
    actual: BTreeMap<Identity, Object>,
    /// What the proxy is to go by: the last good versions.
    good: BTreeMap<Identity, Object>,
}

impl Model {
    /// An object came or changed. Gives the line of the watch.
    pub(crate) fn set(&mut self, object: &Object) -> String {
        let Object {
            identity,
            worth,
            json,
        } = object;
        let known = self.actual.insert(*identity, object.clone());
        match worth {
            Worth::Good => {
                self.good.insert(*identity, object.clone());
            }
            Worth::Irrelevant => {
                self.good.remove(identity);
            }
            Worth::Bad => {}
        }
        event(if known.is_some() { "MODIFIED" } else { "ADDED" }, json)
    }

    /// An object went. Gives the line of the watch, if there was one.
    pub(crate) fn delete(&mut self, identity: Identity) -> Option<String> {
        self.good.remove(&identity);
        let object = self.actual.remove(&identity)?;
        Some(event("DELETED", &object.json))
    }

    /// A proxy starts anew, and knows only what the API server holds.
    pub(crate) fn restart(&mut self) {
        let actual = self.actual.iter();
        let good = actual.filter(|(_, object)| object.worth == Worth::Good);
        self.good = good
            .map(|(identity, object)| (*identity, object.clone()))
            .collect();
    }

    /// Whether a proxy that starts anew would know all there is to know but Services: those it
    /// leaves as they are while it knows no good version.
    pub(crate) fn survives_restart(&self) -> bool {
        self.good.iter().all(|(identity, _)| {
            matches!(identity, Identity::Service(_)) || self.actual[identity].worth == Worth::Good
        })
    }

    /// Whether there is a Service of which no good version is known.
    pub(crate) fn has_held(&self) -> bool {
        self.actual.iter().any(|(identity, object)| {
            let is_service = matches!(identity, Identity::Service(_));
            is_service && object.worth == Worth::Bad && !self.good.contains_key(identity)
        })
    }

    /// What the API server holds, as one document.
    pub(crate) fn list(&self) -> String {
        list(self.actual.values())
    }

    /// What a proxy that saw everything goes by: the good versions, and then the bad ones.
    pub(crate) fn history(&self) -> [String; 2] {
        let bad = self.actual.values();
        let bad = bad.filter(|object| object.worth == Worth::Bad);
        [list(self.good.values()), list(bad)]
    }
}

fn event(event_type: &str, object: &Value) -> String {
    json!({"type": event_type, "object": object}).to_string()
}

fn list<'a>(objects: impl Iterator<Item = &'a Object>) -> String {
    let items: Vec<_> = objects.map(|object| &object.json).collect();
    json!({"kind": "List", "apiVersion": "v1", "items": items}).to_string()
}
