//! Every verb on every object it exists for, and many elements at once.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use kpx_netlink::Socket;
use kpx_nftables::{
    Client, Element, Elements, Family, Object, Set, SetContents, TableContents, Transaction, Verb,
};
use nix::sched::{CloneFlags, setns};

use crate::namespace::{client, in_namespace};
use crate::samples::{add, elements, endpoint, endpoints, table, whole};

const FAMILY: Family = Family::Ipv4;

fn contents(client: &mut Client<Socket>) -> TableContents {
    let mut ruleset = client.dump("kpx").unwrap();
    ruleset.tables.remove(&table(FAMILY)).unwrap()
}

fn commit(client: &mut Client<Socket>, operations: Vec<(Verb, Object)>) {
    let mut transaction = Transaction::new();
    for (verb, object) in operations {
        transaction.push(verb, object).unwrap();
    }
    client.commit(&transaction, None).unwrap();
}

/// All elements of a set, as an object.
fn all(contents: &SetContents) -> Object {
    elements(
        &contents.set,
        contents
            .elements
            .values()
            .map(|element| Element::clone(element))
            .collect(),
    )
}

#[test]
fn elements_of_every_set_can_be_deleted_by_their_keys() {
    in_namespace(|mut client| {
        client.commit(&whole(), None).unwrap();
        let sets = contents(&mut client).sets;
        for (name, set) in sets.iter().filter(|(_, set)| !set.set.flags.dynamic) {
            assert!(!set.elements.is_empty());
            commit(&mut client, vec![(Verb::Delete, all(set))]);
            let after = contents(&mut client);
            assert!(after.sets[name].elements.is_empty(), "{name}");
            commit(&mut client, vec![(Verb::Add, all(set))]);
            assert_eq!(
                contents(&mut client).sets[name].elements.len(),
                set.elements.len()
            );
        }
    });
}

#[test]
fn a_flush_empties_and_leaves_the_definition() {
    in_namespace(|mut client| {
        client.commit(&whole(), None).unwrap();
        let before = contents(&mut client);
        for set in before.sets.values() {
            commit(
                &mut client,
                vec![(Verb::Flush, Object::Set(Arc::clone(&set.set)))],
            );
        }
        for chain in before.chains.values() {
            commit(
                &mut client,
                vec![(Verb::Flush, Object::Chain(chain.chain.clone()))],
            );
        }
        let after = contents(&mut client);
        assert_eq!(after.sets.len(), before.sets.len());
        assert!(after.sets.values().all(|set| set.elements.is_empty()));
        assert_eq!(after.chains.len(), before.chains.len());
        assert!(after.chains.values().all(|chain| chain.rules.is_empty()));
    });
}

#[test]
fn a_table_can_be_taken_down_piece_by_piece() {
    in_namespace(|mut client| {
        client.commit(&whole(), None).unwrap();
        let before = contents(&mut client);
        let chains = || {
            before
                .chains
                .values()
                .map(|chain| Object::Chain(chain.chain.clone()))
        };
        let sets = || {
            before
                .sets
                .values()
                .map(|set| Object::Set(Arc::clone(&set.set)))
        };
        let mut operations: Vec<_> = chains().map(|chain| (Verb::Flush, chain)).collect();
        operations.extend(sets().map(|set| (Verb::Delete, set)));
        operations.extend(chains().map(|chain| (Verb::Delete, chain)));
        commit(&mut client, operations);
        assert_eq!(contents(&mut client), TableContents::default());
        commit(
            &mut client,
            vec![(Verb::Delete, Object::Table(table(FAMILY)))],
        );
        // The other family's table is still there.
        assert_eq!(client.dump("kpx").unwrap().tables.len(), 1);
        assert!(client.dump("kp").unwrap().tables.is_empty());
    });
}

#[test]
fn an_element_can_be_replaced_in_one_transaction() {
    in_namespace(|mut client| {
        client.commit(&whole(), None).unwrap();
        let map = Arc::new(endpoints(FAMILY));
        let mut other = endpoint(FAMILY, 1, 1);
        other.data = endpoint(FAMILY, 5, 5).data;
        let replaced = vec![
            (Verb::Delete, elements(&map, vec![endpoint(FAMILY, 1, 1)])),
            (Verb::Add, elements(&map, vec![other.clone()])),
        ];
        commit(&mut client, replaced);
        assert_eq!(
            *contents(&mut client).sets["endpoints"].elements[&other.key],
            other
        );
    });
}

/// A table with a map of many endpoints.
fn load(client: &mut Client<Socket>, count: u32) -> Arc<Set> {
    let map = Arc::new(endpoints(FAMILY));
    let many = (0..count).map(|number| endpoint(FAMILY, number / 10, number % 10));
    let mut transaction = Transaction::new();
    add(&mut transaction, Object::Table(table(FAMILY)));
    add(&mut transaction, Object::Set(Arc::clone(&map)));
    add(&mut transaction, elements(&map, many.collect()));
    client.commit(&transaction, None).unwrap();
    map
}

#[test]
fn elements_for_many_messages_all_arrive() {
    in_namespace(|mut client| {
        let map = load(&mut client, 20_000);
        let listed = contents(&mut client).sets.remove("endpoints").unwrap();
        assert_eq!(listed.elements.len(), 20_000);
        for number in 0..20_000 {
            let expected = endpoint(FAMILY, number / 10, number % 10);
            assert_eq!(*listed.elements[&expected.key], expected);
        }
        let object = Object::Elements(Elements {
            set: map,
            elements: listed
                .elements
                .into_values()
                .map(|element| *element)
                .collect(),
        });
        commit(&mut client, vec![(Verb::Delete, object)]);
        assert!(contents(&mut client).sets["endpoints"].elements.is_empty());
    });
}

/// The middle of the times that adding one element takes, of 200.
fn one_element(client: &mut Client<Socket>, map: &Arc<Set>) -> Duration {
    let mut times: Vec<_> = (0..200)
        .map(|slot| {
            let mut transaction = Transaction::new();
            let element = endpoint(FAMILY, 0xff_0000, slot);
            add(&mut transaction, elements(map, vec![element]));
            let start = Instant::now();
            client.commit(&transaction, None).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn the_time_of_a_commit_does_not_grow_with_the_table() {
    in_namespace(|mut client| {
        let map = load(&mut client, 100);
        let small = one_element(&mut client, &map);
        commit(
            &mut client,
            vec![(Verb::Delete, Object::Table(table(FAMILY)))],
        );
        let map = load(&mut client, 50_000);
        let large = one_element(&mut client, &map);
        // 500 times the elements: any walk over them would show.
        assert!(large < 10 * small, "{large:?} against {small:?}");
    });
}

#[test]
fn a_dump_beside_a_writer_shows_one_generation() {
    in_namespace(|mut client| {
        let map = load(&mut client, 500);
        // Between two commits there must be time for a dump, on a slow machine too.
        let start = Instant::now();
        client.dump("kpx").unwrap();
        let pause = 3 * start.elapsed();
        let namespace = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
        // Moves one element to and fro: at every generation there are 500.
        let writer = thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let mut client = self::client();
            for round in 0..40 {
                let ends = [endpoint(FAMILY, 0, 0), endpoint(FAMILY, 0xff_0000, 0)];
                let (from, to) = (&ends[round % 2], &ends[(round + 1) % 2]);
                let operations = vec![
                    (Verb::Delete, elements(&map, vec![from.clone()])),
                    (Verb::Add, elements(&map, vec![to.clone()])),
                ];
                commit(&mut client, operations);
                thread::sleep(pause);
            }
        });
        let mut generations = Vec::new();
        while !writer.is_finished() {
            if let Ok(ruleset) = client.dump("kpx") {
                let count = ruleset.tables[&table(FAMILY)].sets["endpoints"]
                    .elements
                    .len();
                assert_eq!(count, 500);
                generations.push(ruleset.generation);
            }
        }
        writer.join().unwrap();
        generations.dedup();
        assert!(generations.len() > 1, "no dump fell between two commits");
    });
}
