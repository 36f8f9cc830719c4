//! What the kernel holds, in the terms of Services: read from it once, kept in step after that.

mod adopt;
mod frontend;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;

use kpx_nftables::{ChainContents, Element, Family, Name, Set};

pub use frontend::{Counting, FrontendElements, Refusal};
pub use slots::{EndpointSlots, SlotChange, Slots};

use crate::frontend::FrontendKey;
use crate::hash::{HashMap, HashSet};
use crate::layout::Member;

/// What the kernel holds of kpx in both families.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Programmed {
    /// The tables that exist.
    pub tables: BTreeMap<Family, ProgrammedTable>,
    /// What the maps hold for each frontend; shared with the plan that put it there, or is to
    /// replace it.
    pub frontends: HashMap<FrontendKey, Arc<FrontendElements>>,
    /// The elements of the sets that all Services share.
    pub members: HashSet<Member>,
    /// Elements that kpx never writes; a plan deletes them.
    pub strays: Vec<Stray>,
    /// The kernel's generation when this was read.
    pub generation: u32,
}

/// The definitions in one table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgrammedTable {
    /// The sets and maps by name.
    pub sets: BTreeMap<Name, Arc<Set>>,
    /// The chains by name.
    pub chains: BTreeMap<Name, ChainContents>,
}

/// An element that kpx did not write, or that no longer makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Stray {
    /// The set it is in.
    pub set: Arc<Set>,
    /// The element.
    pub element: Element,
}
