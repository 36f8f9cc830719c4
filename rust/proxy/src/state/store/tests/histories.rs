//! Random histories: however the state came about, it is as if built from what is there now.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// How an object can be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    Good(u8),
    /// Valid, but not for the proxy.
    Irrelevant,
    Bad,
}

/// Objects that histories are about: few, so that they meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    Service(u8),
    Slice(u8),
    Endpoints(u8),
}

#[derive(Clone, Debug)]
enum Step {
    /// A watch says the object came or changed. Slices belong to a Service.
    Set(Object, u8, Version),
    /// A watch says the object is gone.
    Delete(Object),
    /// All Services and slices are listed anew, but for these, which went unseen.
    Relist(BTreeSet<Object>),
    /// The changes are taken.
    Take,
}

fn json(object: Object, service_index: u8, version: Version) -> String {
    match object {
        Object::Service(index) => {
            let service_name = format!("s{index}");
            match version {
                Version::Good(number) => service(&service_name, 80 + u32::from(number)),
                Version::Irrelevant => headless(&service_name),
                Version::Bad => service(&service_name, 0),
            }
        }
        Object::Slice(index) => {
            let (slice_name, service_name) = (format!("e{index}"), format!("s{service_index}"));
            match version {
                Version::Good(number) => slice(&slice_name, &service_name, number),
                Version::Irrelevant => slice(&slice_name, "", 1),
                Version::Bad => slice(&slice_name, &service_name, 1).replace("IPv4", "IPv5"),
            }
        }
        Object::Endpoints(index) => {
            let endpoints_name = format!("s{index}");
            match version {
                Version::Good(number) => endpoints(&endpoints_name, number),
                Version::Irrelevant => endpoints(&endpoints_name, 1).replace(
                    r#""metadata": {"#,
                    r#""metadata": {"labels": {"service.kubernetes.io/headless": ""}, "#,
                ),
                Version::Bad => endpoints(&endpoints_name, 1).replace("80", "-1"),
            }
        }
    }
}

/// What is so, kept the simple way.
#[derive(Default)]
struct Model {
    /// What the API server holds: the Service of a slice, and the version.
    actual: BTreeMap<Object, (u8, Version)>,
    /// What the proxy is to go by: the last good versions.
    good: BTreeMap<Object, (u8, Version)>,
}

impl Model {
    fn set(&mut self, object: Object, service_index: u8, version: Version) {
        self.actual.insert(object, (service_index, version));
        match version {
            Version::Good(_) => {
                self.good.insert(object, (service_index, version));
            }
            Version::Irrelevant => {
                self.good.remove(&object);
            }
            Version::Bad => {}
        }
    }

    fn delete(&mut self, object: Object) {
        self.actual.remove(&object);
        self.good.remove(&object);
    }

    fn rebuild(&self) -> State {
        let good = self.good.iter();
        let objects = good.map(|(object, (index, version))| json(*object, *index, *version));
        let mut state = state_of(&objects.collect::<Vec<_>>());
        // What is bad now shows, and changes nothing.
        for (object, (index, version)) in &self.actual {
            if *version == Version::Bad {
                feed(&mut state, &json(*object, *index, *version));
            }
        }
        state
    }
}

/// What a Service comes to: itself, and its slices.
type View = (Option<Service>, Vec<EndpointSlice>);

fn views(state: &State) -> BTreeMap<NamespacedName, View> {
    let names = (0..3).map(|index| name(&format!("s{index}")));
    let views = names.map(|name| {
        let slices = state.slices(&name).cloned().collect();
        let view = (state.service(&name).cloned(), slices);
        (name, view)
    });
    views.collect()
}

fn step() -> impl Strategy<Value = Step> {
    let object = prop_oneof![
        (0..3u8).prop_map(Object::Service),
        (0..4u8).prop_map(Object::Slice),
        (0..3u8).prop_map(Object::Endpoints),
    ];
    let version = prop_oneof![
        4 => (1..3u8).prop_map(Version::Good),
        1 => Just(Version::Irrelevant),
        1 => Just(Version::Bad),
    ];
    prop_oneof![
        8 => (object.clone(), 0..3u8, version)
            .prop_map(|(object, index, version)| Step::Set(object, index, version)),
        4 => object.clone().prop_map(Step::Delete),
        1 => proptest::collection::btree_set(object, 0..4).prop_map(Step::Relist),
        2 => Just(Step::Take),
    ]
}

fn relist(state: &mut State, model: &mut Model, unseen: &BTreeSet<Object>) {
    let kinds = [Kind::Service, Kind::EndpointSlice, Kind::Endpoints];
    for object in unseen {
        model.delete(*object);
    }
    for kind in kinds {
        state.begin_replace(kind);
    }
    for (object, (index, version)) in &model.actual {
        feed(state, &json(*object, *index, *version));
    }
    for kind in kinds {
        state.end_replace(kind);
    }
}

proptest! {
    #[test]
    fn a_state_is_as_if_built_from_what_is_there(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let mut state = State::new(NODE);
        let mut model = Model::default();
        let mut told = views(&state);
        for step in steps.into_iter().chain([Step::Take]) {
            match step {
                Step::Set(object, index, version) => {
                    model.set(object, index, version);
                    feed_event(&mut state, "MODIFIED", &json(object, index, version));
                }
                Step::Delete(object) => {
                    let version = model.actual.get(&object).map_or(Version::Bad, |entry| entry.1);
                    model.delete(object);
                    feed_event(&mut state, "DELETED", &json(object, 0, version));
                }
                Step::Relist(unseen) => relist(&mut state, &mut model, &unseen),
                Step::Take => {
                    let now = views(&state);
                    let differ = now.iter().filter(|(name, view)| told.get(*name) != Some(view));
                    let differ: BTreeSet<_> = differ.map(|(name, _)| name.clone()).collect();
                    prop_assert_eq!(state.take_changes().services, differ);
                    told = now;
                }
            }
            let rebuilt = model.rebuild();
            prop_assert_eq!(views(&state), views(&rebuilt));
            prop_assert_eq!(reasons(&state), reasons(&rebuilt));
            prop_assert_eq!(state.held(), rebuilt.held());
            prop_assert_eq!(state.services_without_slices(), rebuilt.services_without_slices());
        }
    }
}
