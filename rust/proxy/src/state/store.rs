//! Everything known, and how frames and watch lines change it.

use std::collections::BTreeMap;

use ipnet::IpNet;
use kpx_frames::{DecodeError, EventReport, FeedReport, WatchEvent};
use smol_str::SmolStr;

use super::rejections::Rejections;
use super::slice_index::SliceIndex;
use super::tracker::ChangeTracker;
use super::trigger_times::TriggerTimes;

use super::{ChangeTally, Changes, EndpointSlice, Node, Service};
use crate::decode::{Content, Document, Event, Identified, Record};
use crate::hash::{HashMap, HashSet};
use crate::{Kind, NamespacedName, Rejection};

/// Everything the node knows of the cluster.
///
/// An object that is not valid changes nothing: the last good version of it stays, and a
/// [`Rejection`] says why. It goes when a good version comes, or the object is deleted.
#[derive(Debug)]
pub struct State {
    node_name: SmolStr,
    /// Whether Services that are not proxied, and their slices, are kept too.
    keeps_all_services: bool,
    services: HashMap<NamespacedName, Box<Service>>,
    slices: SliceIndex,
    endpoints: HashMap<NamespacedName, Box<[EndpointSlice]>>,
    node: Option<Node>,
    service_cidrs: BTreeMap<NamespacedName, Vec<IpNet>>,
    rejections: Rejections,
    /// The kinds that are being listed anew, with the names that came so far.
    replacing: BTreeMap<Kind, HashSet<NamespacedName>>,
    service_changes: ChangeTracker<Service>,
    slice_changes: ChangeTracker<EndpointSlice>,
    endpoints_changes: ChangeTracker<[EndpointSlice]>,
    /// What [`Self::take_changes`] last told of.
    told: Told,
    trigger_times: TriggerTimes,
    /// How many changes there were; none of it is pending.
    tally: ChangeTally,
}

/// The objects of which there are few, as they were when last told of.
#[derive(Debug, Default)]
struct Told {
    node: Option<Node>,
    service_cidrs: Vec<IpNet>,
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    Ignored,
    Rejected,
}

impl State {
    /// Knows nothing yet. `node_name` is the node whose Node object counts.
    pub fn new(node_name: impl Into<SmolStr>) -> Self {
        Self {
            node_name: node_name.into(),
            keeps_all_services: false,
            services: HashMap::default(),
            slices: SliceIndex::default(),
            endpoints: HashMap::default(),
            node: None,
            service_cidrs: BTreeMap::new(),
            rejections: Rejections::default(),
            replacing: BTreeMap::new(),
            service_changes: ChangeTracker::default(),
            slice_changes: ChangeTracker::default(),
            endpoints_changes: ChangeTracker::default(),
            told: Told::default(),
            trigger_times: TriggerTimes::default(),
            tally: ChangeTally::default(),
        }
    }

    /// Collects from now on when the changes of endpoints happened that are not older than
    /// `start`, in seconds since the epoch; what is older was programmed by somebody before.
    #[must_use]
    pub fn with_trigger_times_since(mut self, start: f64) -> Self {
        self.trigger_times = TriggerTimes::since(start);
        self
    }

    /// Takes, for each Service, when the changes of its endpoints happened, in seconds since the
    /// epoch.
    pub fn take_trigger_times(&mut self) -> HashMap<NamespacedName, Vec<f64>> {
        self.trigger_times.take()
    }

    /// Whether [`Self::take_changes`] would tell of anything.
    pub fn has_changes(&self) -> bool {
        !self.service_changes.is_empty()
            || !self.slice_changes.is_empty()
            || !self.endpoints_changes.is_empty()
            || self.node != self.told.node
            || self.service_cidrs() != self.told.service_cidrs
    }

    /// How many changes there were, and how many are still to be taken.
    pub fn tally(&self) -> ChangeTally {
        let mut tally = ChangeTally {
            pending_services: self.service_changes.previous().len(),
            ..self.tally
        };
        for (name, previous) in self.slice_changes.previous() {
            let family = family_of_slice(previous.as_deref(), self.slices.get(name));
            tally.pending_slices[family] += 1;
        }
        tally
    }

    /// Knows nothing yet, and will keep what DNS needs: every Service, headless or not, and no node.
    pub fn of_all_services() -> Self {
        Self {
            keeps_all_services: true,
            ..Self::new(SmolStr::default())
        }
    }

    /// The name of the node.
    pub fn node_name(&self) -> &str {
        &self.node_name
    }

    /// Takes in one JSON document: an object, a `List`, or a page such as a `ServiceList`.
    /// Objects are added, or replace the known object of their name.
    ///
    /// Fails, and changes nothing, if the document as a whole cannot be read.
    pub fn feed(&mut self, frame: &[u8]) -> Result<FeedReport, DecodeError> {
        Ok(self.apply_document(Document::decode(frame)?))
    }

    /// Takes in one line of a watch: `{"type": ..., "object": {...}}`.
    ///
    /// Fails, and changes nothing, if the line cannot be read.
    pub fn feed_event(&mut self, line: &[u8]) -> Result<EventReport, DecodeError> {
        Ok(match Event::decode(line)? {
            Event::Added(document) => self.apply_event(WatchEvent::Added, document),
            Event::Modified(document) => self.apply_event(WatchEvent::Modified, document),
            Event::Deleted(object) => {
                if let Some((kind, name)) = &object.known {
                    self.delete(*kind, name);
                }
                report(WatchEvent::Deleted, object)
            }
            Event::Bookmark {
                object,
                initial_events_end,
            } => report(WatchEvent::Bookmark { initial_events_end }, object),
            Event::Error(event) => EventReport {
                event,
                kind: SmolStr::new_static("Status"),
                resource_version: None,
                rejected: false,
            },
        })
    }

    /// Begins a new list of a kind, which [`Self::end_replace`] ends. What is known stays until
    /// then, so that nothing is missing while the pages come.
    pub fn begin_replace(&mut self, kind: Kind) {
        self.rejections.forget_unidentified(kind);
        self.replacing.insert(kind, HashSet::default());
    }

    /// Ends a new list of a kind: objects that did not come since [`Self::begin_replace`] are
    /// gone. Does nothing if no list was begun.
    pub fn end_replace(&mut self, kind: Kind) {
        let Some(seen) = self.replacing.remove(&kind) else {
            return;
        };
        for name in self.names(kind) {
            if !seen.contains(&name) {
                self.delete(kind, &name);
            }
        }
    }

    /// What changed since the last call. An object that is as it was, whatever happened to it in
    /// between, is not among it.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        let services = self.service_changes.take().into_keys();
        changes.services.extend(services);
        for (name, previous) in self.slice_changes.take() {
            let current = self.slices.get(&name);
            let affected = previous.as_deref().into_iter().chain(current);
            changes
                .services
                .extend(affected.map(|slice| slice.service.clone()));
        }
        // Where there are slices, Endpoints have no say; if that is new, a slice changed.
        for name in self.endpoints_changes.take().into_keys() {
            if !self.slices.has_any(&name) {
                changes.services.insert(name);
            }
        }
        changes.node = self.node != self.told.node;
        if changes.node {
            self.told.node.clone_from(&self.node);
        }
        let service_cidrs = self.service_cidrs();
        changes.service_cidrs = service_cidrs != self.told.service_cidrs;
        self.told.service_cidrs = service_cidrs;
        changes
    }

    /// The Service of that name.
    pub fn service(&self, name: &NamespacedName) -> Option<&Service> {
        self.services.get(name).map(Box::as_ref)
    }

    /// Every Service, in no order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().map(Box::as_ref)
    }

    /// The slices of a Service by name, or what its Endpoints say if it has no slice.
    pub fn slices<'a>(
        &'a self,
        service: &NamespacedName,
    ) -> impl Iterator<Item = &'a EndpointSlice> + Clone + use<'a> {
        let endpoints = if self.slices.has_any(service) {
            None
        } else {
            self.endpoints.get(service).map(Box::as_ref)
        };
        self.slices
            .of_service(service)
            .chain(endpoints.into_iter().flatten())
    }

    /// The node's own Node.
    pub fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// The ranges Service addresses come from, sorted.
    pub fn service_cidrs(&self) -> Vec<IpNet> {
        let mut ranges: Vec<_> = self.service_cidrs.values().flatten().copied().collect();
        ranges.sort_unstable();
        ranges.dedup();
        ranges
    }

    /// Every object, or part of one, that is left out, by kind and name.
    pub fn rejections(&self) -> Vec<&Rejection> {
        self.rejections.all()
    }

    /// The Services of which only an invalid version is known, sorted. What the kernel holds for
    /// them is to be kept: nothing says they are gone.
    pub fn held(&self) -> Vec<NamespacedName> {
        self.rejections
            .of_kind(Kind::Service)
            .filter(|(name, is_whole)| *is_whole && !self.services.contains_key(*name))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The Services that have a selector, but neither an EndpointSlice nor Endpoints; sorted.
    pub fn services_without_slices(&self) -> Vec<NamespacedName> {
        let mut names: Vec<_> = self
            .services()
            .filter(|service| service.has_selector)
            .map(|service| &service.name)
            .filter(|name| !self.slices.has_any(name) && !self.endpoints.contains_key(*name))
            .cloned()
            .collect();
        names.sort_unstable();
        names
    }

    fn apply_document(&mut self, document: Document) -> FeedReport {
        let mut report = FeedReport {
            ignored: document.ignored,
            rejected: document.unidentified_counts,
            resource_version: document.resource_version,
            continue_token: document.continue_token,
            ..FeedReport::default()
        };
        for rejection in document.unidentified {
            self.rejections.add_unidentified(rejection);
        }
        for record in document.records {
            let kind = SmolStr::new_static(record.kind.as_str());
            let counts = match self.apply(record) {
                Outcome::Accepted => &mut report.accepted,
                Outcome::Ignored => &mut report.ignored,
                Outcome::Rejected => &mut report.rejected,
            };
            *counts.entry(kind).or_default() += 1;
        }
        report
    }

    fn apply_event(&mut self, event: WatchEvent, document: Document) -> EventReport {
        let resource_version = document
            .records
            .first()
            .and_then(|record| record.resource_version.clone());
        let report = self.apply_document(document);
        let kind = [&report.accepted, &report.ignored, &report.rejected]
            .into_iter()
            .find_map(|counts| counts.keys().next());
        EventReport {
            event,
            kind: kind.cloned().unwrap_or_default(),
            resource_version,
            rejected: !report.rejected.is_empty(),
        }
    }

    fn apply(&mut self, record: Record) -> Outcome {
        let Record { kind, name, .. } = record;
        if kind == Kind::Node && name.name != self.node_name {
            return Outcome::Ignored;
        }
        if let Some(seen) = self.replacing.get_mut(&kind) {
            seen.insert(name.clone());
        }
        let rejection = |reason: String, whole: bool| Rejection {
            kind: SmolStr::new_static(kind.as_str()),
            name: display_name(kind, &name),
            reason,
            whole,
        };
        let content = match record.content {
            Ok(content) => content,
            Err(reason) => {
                let rejections = vec![rejection(reason, true)];
                self.rejections.set(kind, &name, rejections);
                return Outcome::Rejected;
            }
        };
        let left_out = record.left_out.into_iter();
        let rejections = left_out.map(|reason| rejection(reason, false)).collect();
        self.rejections.set(kind, &name, rejections);
        match content {
            Content::Service(service) if !(service.is_proxied || self.keeps_all_services) => {
                self.remove(kind, name);
                return Outcome::Ignored;
            }
            Content::EndpointSlice(slice) if slice.is_headless && !self.keeps_all_services => {
                self.remove(kind, name);
                return Outcome::Ignored;
            }
            Content::Endpoints { is_headless, .. } if is_headless && !self.keeps_all_services => {
                self.remove(kind, name);
                return Outcome::Ignored;
            }
            Content::Service(service) => self.set_service(name, Some(service)),
            Content::EndpointSlice(slice) => self.set_slice(name, Some(slice)),
            Content::Endpoints { slices, .. } => self.set_endpoints(name, Some(slices.into())),
            Content::Node(node) => self.node = Some(node),
            Content::ServiceCidr(ranges) => {
                self.service_cidrs.insert(name, ranges);
            }
            Content::Namespace => {}
            Content::Irrelevant => {
                self.remove(kind, name);
                return Outcome::Ignored;
            }
        }
        Outcome::Accepted
    }

    /// Forgets an object and what was wrong with it.
    fn delete(&mut self, kind: Kind, name: &NamespacedName) {
        if kind == Kind::Node && name.name != self.node_name {
            return;
        }
        self.rejections.set(kind, name, Vec::new());
        self.remove(kind, name.clone());
    }

    fn remove(&mut self, kind: Kind, name: NamespacedName) {
        match kind {
            Kind::Service => self.set_service(name, None),
            Kind::EndpointSlice => self.set_slice(name, None),
            Kind::Endpoints => self.set_endpoints(name, None),
            Kind::Node => self.node = None,
            Kind::Namespace => {}
            Kind::ServiceCidr => {
                self.service_cidrs.remove(&name);
            }
        }
    }

    fn set_service(&mut self, name: NamespacedName, service: Option<Box<Service>>) {
        let replaced = match service {
            Some(service) => self.services.insert(name.clone(), service),
            None => self.services.remove(&name),
        };
        let current = self.services.get(&name).map(Box::as_ref);
        let is_change = self
            .service_changes
            .record(name, replaced, current, PartialEq::eq);
        self.tally.service_changes += u64::from(is_change);
    }

    fn set_slice(&mut self, name: NamespacedName, slice: Option<Box<EndpointSlice>>) {
        let replaced = match slice {
            Some(slice) => self.slices.insert(slice),
            None => self.slices.remove(&name),
        };
        let current = self.slices.get(&name);
        if let Some(current) = current {
            self.trigger_times.record(replaced.as_deref(), current);
        }
        let family = family_of_slice(replaced.as_deref(), current);
        let is_change = self
            .slice_changes
            .record(name, replaced, current, |one, other| {
                one.is_equivalent(other)
            });
        self.tally.slice_changes[family] += u64::from(is_change);
    }

    fn set_endpoints(&mut self, name: NamespacedName, slices: Option<Box<[EndpointSlice]>>) {
        let replaced = match slices {
            Some(slices) => self.endpoints.insert(name.clone(), slices),
            None => self.endpoints.remove(&name),
        };
        let current = self.endpoints.get(&name).map(Box::as_ref);
        self.endpoints_changes
            .record(name, replaced, current, |one, other| {
                one.len() == other.len()
                    && one
                        .iter()
                        .zip(other)
                        .all(|(one, other)| one.is_equivalent(other))
            });
    }

    /// The names of the objects of a kind that are known, or known to be invalid.
    fn names(&self, kind: Kind) -> HashSet<NamespacedName> {
        let mut names: HashSet<_> = self
            .rejections
            .of_kind(kind)
            .map(|(name, _)| name.clone())
            .collect();
        match kind {
            Kind::Service => names.extend(self.services.keys().cloned()),
            Kind::EndpointSlice => names.extend(self.slices.names().cloned()),
            Kind::Endpoints => names.extend(self.endpoints.keys().cloned()),
            Kind::Node => names.extend(self.node.iter().map(|_| NamespacedName {
                namespace: SmolStr::default(),
                name: self.node_name.clone(),
            })),
            Kind::Namespace => {}
            Kind::ServiceCidr => names.extend(self.service_cidrs.keys().cloned()),
        }
        names
    }
}

/// The index of a slice's family in [`Family::ALL`], by its first endpoint, as it is or was. One that
/// never had an endpoint counts as IPv4.
fn family_of_slice(before: Option<&EndpointSlice>, after: Option<&EndpointSlice>) -> usize {
    let slices = after.into_iter().chain(before);
    let first = slices.flat_map(|slice| &slice.endpoints).next();
    usize::from(first.is_some_and(|endpoint| endpoint.address.is_ipv6()))
}

fn report(event: WatchEvent, object: Identified) -> EventReport {
    EventReport {
        event,
        kind: object.kind,
        resource_version: object.resource_version,
        rejected: false,
    }
}

fn display_name(kind: Kind, name: &NamespacedName) -> SmolStr {
    if kind.is_namespaced() {
        SmolStr::new(name.to_string())
    } else {
        name.name.clone()
    }
}

#[cfg(test)]
mod tests;
