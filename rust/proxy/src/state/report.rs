//! What a frame or a watch line held.

use std::collections::BTreeMap;

use smol_str::SmolStr;

/// What one frame held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedReport {
    /// How many objects of each kind were taken in. A rejected object is not.
    pub accepted: BTreeMap<SmolStr, usize>,
    /// How many objects of each kind the node has no use for, such as Pods, headless Services
    /// and the Nodes of others.
    pub ignored: BTreeMap<SmolStr, usize>,
    /// How many objects of each kind were rejected as a whole.
    pub rejected: BTreeMap<SmolStr, usize>,
    /// `metadata.resourceVersion` of a list, from which a watch continues.
    pub resource_version: Option<SmolStr>,
    /// `metadata.continue` of a list, with which the next page is asked for; `None` on the last.
    pub continue_token: Option<String>,
}

/// What a watch line says happened (`metav1.WatchEvent.type`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// `ADDED`: the object is new, or new to this watch.
    Added,
    /// `MODIFIED`: the object changed.
    Modified,
    /// `DELETED`: the object is gone.
    Deleted,
    /// `BOOKMARK`: nothing changed up to a resource version.
    Bookmark {
        /// Whether every object that existed when the watch began has been sent
        /// (annotation `k8s.io/initial-events-end`, KEP-3157).
        initial_events_end: bool,
    },
    /// `ERROR`: the watch is over. A `code` of 410 asks for a new list.
    Error {
        /// The HTTP status, 0 if unknown.
        code: u16,
        /// `reason` of the Status, such as `Expired`.
        reason: SmolStr,
        /// `message` of the Status.
        message: String,
    },
}

/// What one watch line did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReport {
    /// What happened.
    pub event: WatchEvent,
    /// The kind of the object.
    pub kind: SmolStr,
    /// `metadata.resourceVersion` of the object, from which a broken watch continues.
    pub resource_version: Option<SmolStr>,
    /// Whether the object was rejected as a whole.
    pub rejected: bool,
}
