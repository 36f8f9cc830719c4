//! The Pods there are, found by name, by label and by Node.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;
use kpx_frames::{DecodeError, EventReport, FeedReport};
use smol_str::SmolStr;

use crate::Pod;
use crate::decode::{Key, Shared, Written};
use crate::frame::{Event, Frame, POD, Unreadable};

type Index<K> = HashMap<K, BTreeSet<u64>, RandomState>;

/// A Pod that came, changed or is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it was; `None` if it was not there.
    pub old: Option<Arc<Pod>>,
    /// What it is; `None` if it is gone.
    pub new: Option<Arc<Pod>>,
}

/// A Pod that is left out. Its last good version stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// `namespace/name`, or `?` for an object without a name.
    pub name: String,
    /// The field, and what is wrong with it.
    pub reason: String,
}

/// What became of Pods that were taken in.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is not as before, in order.
    pub changes: Vec<Change>,
    /// The Pods that are left out.
    pub rejections: Vec<Rejection>,
}

/// Pods by the order in which they came.
#[derive(Debug, Default)]
pub struct Store {
    pods: BTreeMap<u64, Arc<Pod>>,
    next: u64,
    by_name: HashMap<Key, u64, RandomState>,
    by_namespace: Index<SmolStr>,
    by_label: Index<(SmolStr, SmolStr, SmolStr)>,
    by_node: Index<SmolStr>,
    shared: Shared,
    unseen: Option<HashSet<u64, RandomState>>,
}

impl Store {
    /// How many Pods there are.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Whether there is no Pod.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// Begins a new list; what is known stays until it ends.
    pub fn begin_replace(&mut self) {
        self.unseen = Some(self.pods.keys().copied().collect());
    }

    /// Ends a new list: what did not come since `begin_replace` is gone.
    pub fn end_replace(&mut self) -> Vec<Change> {
        let mut gone: Vec<u64> = self.unseen.take().into_iter().flatten().collect();
        gone.sort_unstable();
        gone.into_iter()
            .filter_map(|number| self.remove(number))
            .collect()
    }

    /// Takes in the Pods of a page of a list, or of a manifest; what else is in it is ignored.
    ///
    /// Fails, and changes nothing, if the frame as a whole cannot be read.
    pub fn feed(&mut self, frame: &[u8]) -> Result<(FeedReport, Outcome), DecodeError> {
        let Frame { mut report, pods } = Frame::decode(frame)?;
        let count = pods.len();
        let outcome = self.take(pods);
        for (counts, count) in [
            (&mut report.accepted, count - outcome.rejections.len()),
            (&mut report.rejected, outcome.rejections.len()),
        ] {
            if count > 0 {
                counts.insert(POD, count);
            }
        }
        Ok((report, outcome))
    }

    /// Takes in a line of a watch.
    ///
    /// Fails, and changes nothing, if the line cannot be read.
    pub fn feed_event(&mut self, line: &[u8]) -> Result<(EventReport, Outcome), DecodeError> {
        let Event { report, pod, gone } = Event::decode(line)?;
        let mut outcome = self.take(pod);
        let number = gone.and_then(|key| self.by_name.get(&key).copied());
        let removed = number.and_then(|number| self.remove(number));
        outcome.changes.extend(removed);
        let rejected = !outcome.rejections.is_empty();
        Ok((EventReport { rejected, ..report }, outcome))
    }

    /// The Pods of a namespace that have all of some labels, in the order in which they came.
    pub fn select<N, V>(
        &self,
        namespace: &str,
        selector: impl IntoIterator<Item = (N, V)>,
    ) -> Vec<Arc<Pod>>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let namespace = SmolStr::new(namespace);
        let selector: Vec<(SmolStr, SmolStr)> = selector
            .into_iter()
            .map(|(name, value)| (SmolStr::new(name), SmolStr::new(value)))
            .collect();
        let labels = selector.iter().map(|(name, value)| {
            let label = (namespace.clone(), name.clone(), value.clone());
            self.by_label.get(&label)
        });
        // Without a selector, all of the namespace; with a label that no Pod has, none.
        let rarest = labels
            .reduce(|one, other| {
                let (one, other) = (one?, other?);
                Some(if other.len() < one.len() { other } else { one })
            })
            .unwrap_or_else(|| self.by_namespace.get(&namespace));
        let candidates = rarest.into_iter().flatten();
        let candidates = candidates.filter_map(|number| self.pods.get(number));
        let matching = candidates.filter(|pod| {
            let mut labels = selector.iter();
            labels.all(|(name, value)| pod.label(name) == Some(value))
        });
        matching.map(Arc::clone).collect()
    }

    /// The Pods on a Node.
    pub fn on_node(&self, name: &str) -> Vec<Arc<Pod>> {
        let numbers = self.by_node.get(name).into_iter().flatten();
        let pods = numbers.filter_map(|number| self.pods.get(number));
        pods.map(Arc::clone).collect()
    }

    fn take(
        &mut self,
        pods: impl IntoIterator<Item = Result<Box<Written>, Unreadable>>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for read in pods {
            let (key, reason) = match read {
                Ok(written) => match written.into_pod(&mut self.shared) {
                    Some(pod) => {
                        outcome.changes.extend(self.put(pod));
                        continue;
                    }
                    None => (None, "metadata.name: missing".to_owned()),
                },
                Err(unreadable) => (unreadable.key, unreadable.reason),
            };
            if let Some(number) = key.as_ref().and_then(|key| self.by_name.get(key)) {
                // It is there, whatever is wrong with it.
                if let Some(unseen) = &mut self.unseen {
                    unseen.remove(number);
                }
            }
            let name = key.map(|(namespace, name)| format!("{namespace}/{name}"));
            outcome.rejections.push(Rejection {
                name: name.unwrap_or_else(|| "?".to_owned()),
                reason,
            });
        }
        outcome
    }

    fn put(&mut self, pod: Pod) -> Option<Change> {
        let key = (pod.namespace.clone(), pod.name.clone());
        let number = self.by_name.get(&key).copied();
        if let (Some(number), Some(unseen)) = (number, &mut self.unseen) {
            unseen.remove(&number);
        }
        let old = number
            .and_then(|number| self.pods.get(&number))
            .map(Arc::clone);
        if old.as_deref() == Some(&pod) {
            return None;
        }
        let number = number.unwrap_or_else(|| {
            self.next += 1;
            self.by_name.insert(key, self.next);
            self.next
        });
        if let Some(old) = &old {
            self.unindex(number, old);
        }
        let new = Arc::new(pod);
        self.index(number, &new);
        self.pods.insert(number, Arc::clone(&new));
        Some(Change {
            old,
            new: Some(new),
        })
    }

    fn remove(&mut self, number: u64) -> Option<Change> {
        let old = self.pods.remove(&number)?;
        if let Some(unseen) = &mut self.unseen {
            unseen.remove(&number);
        }
        self.by_name
            .remove(&(old.namespace.clone(), old.name.clone()));
        self.unindex(number, &old);
        Some(Change {
            old: Some(old),
            new: None,
        })
    }

    fn index(&mut self, number: u64, pod: &Pod) {
        let namespace = &pod.namespace;
        self.by_namespace
            .entry(namespace.clone())
            .or_default()
            .insert(number);
        self.by_node
            .entry(pod.node_name.clone())
            .or_default()
            .insert(number);
        for (name, value) in pod.labels.iter() {
            let label = (namespace.clone(), name.clone(), value.clone());
            self.by_label.entry(label).or_default().insert(number);
        }
    }

    fn unindex(&mut self, number: u64, pod: &Pod) {
        let namespace = &pod.namespace;
        discard(&mut self.by_namespace, namespace.clone(), number);
        discard(&mut self.by_node, pod.node_name.clone(), number);
        for (name, value) in pod.labels.iter() {
            let label = (namespace.clone(), name.clone(), value.clone());
            discard(&mut self.by_label, label, number);
        }
    }
}

fn discard<K: Eq + Hash>(index: &mut Index<K>, key: K, number: u64) {
    if let std::collections::hash_map::Entry::Occupied(mut members) = index.entry(key) {
        members.get_mut().remove(&number);
        if members.get().is_empty() {
            members.remove();
        }
    }
}
