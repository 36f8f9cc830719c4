//! What a frame or a watch line held.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::WatchEvent;

/// What one frame held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedReport {
    /// How many objects of each kind were taken in. A rejected object is not.
    pub accepted: BTreeMap<SmolStr, usize>,
    /// How many objects of each kind nobody here has a use for.
    pub ignored: BTreeMap<SmolStr, usize>,
    /// How many objects of each kind were rejected as a whole.
    pub rejected: BTreeMap<SmolStr, usize>,
    /// `metadata.resourceVersion` of a list, from which a watch continues.
    pub resource_version: Option<SmolStr>,
    /// `metadata.continue` of a list, with which the next page is asked for; `None` on the last.
    pub continue_token: Option<String>,
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
