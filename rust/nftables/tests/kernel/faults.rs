//! A transport that fails leaves a client that knows what it knows, and can go on.

use std::io;

use kpx_netlink::socket::NETLINK_NETFILTER;
use kpx_netlink::{Fault, FaultyTransport, Interrupting, Socket, Transport};
use kpx_nftables::{
    Client, CommitError, Family, Object, ObserveError, Transaction, Verb, next_generation,
};

use crate::namespace::{client, in_namespace};
use crate::samples::{add, chain, table, whole};

const FAMILY: Family = Family::Ipv4;

fn faulty() -> FaultyTransport<Socket> {
    FaultyTransport::new(Socket::open(NETLINK_NETFILTER).unwrap())
}

fn add_table() -> Transaction {
    let mut transaction = Transaction::new();
    add(&mut transaction, Object::Table(table(FAMILY)));
    transaction
}

/// Deletes a table that does not exist.
fn impossible() -> Transaction {
    let mut transaction = Transaction::new();
    let object = Object::Table(table(Family::Ipv6));
    transaction.push(Verb::Delete, object).unwrap();
    transaction
}

fn has_table(client: &mut Client<Socket>) -> bool {
    !client.dump("kpx").unwrap().tables.is_empty()
}

#[test]
fn a_send_that_fails_changes_nothing() {
    in_namespace(|mut observer| {
        let transport = faulty().on_send([Fault::Fail(libc::ENOBUFS)]);
        let mut client = Client::new(transport);
        let error = client.commit(&add_table(), None).unwrap_err();
        assert!(matches!(error, CommitError::Io(_)), "{error:?}");
        assert!(!has_table(&mut observer));
        client.commit(&add_table(), None).unwrap();
        assert!(has_table(&mut observer));
    });
}

#[test]
fn a_batch_that_is_too_large_says_so() {
    in_namespace(|_| {
        let transport = faulty().on_send([Fault::Fail(libc::EMSGSIZE)]);
        let error = Client::new(transport)
            .commit(&add_table(), None)
            .unwrap_err();
        assert!(
            matches!(error, CommitError::TooLarge { length: 68 }),
            "{error:?}"
        );
        assert!(error.hint().unwrap().contains("wmem_max"));
    });
}

#[test]
fn a_lost_answer_leaves_the_outcome_open_and_the_next_commit_clear() {
    in_namespace(|mut observer| {
        let transport = faulty().on_receive([Fault::Lose]);
        let mut client = Client::new(transport);
        match client.commit(&add_table(), None).unwrap_err() {
            CommitError::Io(error) => assert_eq!(error.kind(), io::ErrorKind::TimedOut),
            other => panic!("{other:?}"),
        }
        assert!(has_table(&mut observer));
        client.commit(&add_table(), None).unwrap();
    });
}

#[test]
fn errors_left_waiting_are_not_taken_for_those_of_the_next_commit() {
    in_namespace(|_| {
        // The error of the first commit is still to be received when that gives up.
        let transport = faulty().on_receive([Fault::Fail(libc::EIO)]);
        let mut client = Client::new(transport);
        let error = client.commit(&impossible(), None).unwrap_err();
        assert!(matches!(error, CommitError::Io(_)), "{error:?}");
        client.commit(&add_table(), None).unwrap();
    });
}

#[test]
fn dropped_errors_do_not_hide_the_first() {
    in_namespace(|_| {
        let transport = faulty().on_receive([Fault::Pass, Fault::Fail(libc::ENOBUFS)]);
        let mut client = Client::new(transport);
        let error = client.commit(&impossible(), None).unwrap_err();
        assert!(
            matches!(error, CommitError::Rejected { operation: 0, .. }),
            "{error:?}"
        );
    });
}

fn dump_interrupted(times: usize) -> Result<(), ObserveError> {
    let socket = Socket::open(NETLINK_NETFILTER).unwrap();
    let mut client = Client::new(Interrupting::new(socket, times));
    let ruleset = client.dump("kpx")?;
    assert_eq!(ruleset.tables.len(), 2);
    Ok(())
}

#[test]
fn an_interrupted_dump_is_taken_again_but_not_for_ever() {
    in_namespace(|mut client| {
        client.commit(&whole(), None).unwrap();
        dump_interrupted(3).unwrap();
        let error = dump_interrupted(usize::MAX).unwrap_err();
        assert!(
            matches!(error, ObserveError::Unsteady { attempts: 10 }),
            "{error:?}"
        );
    });
}

/// Lets another client commit before one of its sends.
struct Meddling {
    socket: Socket,
    sends_before: usize,
    other: Client<Socket>,
    transaction: Transaction,
}

impl Meddling {
    fn client(sends_before: usize, transaction: Transaction) -> Client<Self> {
        Client::new(Self {
            socket: Socket::open(NETLINK_NETFILTER).unwrap(),
            sends_before,
            other: client(),
            transaction,
        })
    }
}

impl Transport for Meddling {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.sends_before == 0 {
            self.other.commit(&self.transaction, None).unwrap();
        }
        self.sends_before = self.sends_before.wrapping_sub(1);
        self.socket.send(bytes)
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.socket.receive(buffer)
    }
}

#[test]
fn a_change_between_two_lists_of_a_dump_is_seen() {
    in_namespace(|mut client| {
        client.commit(&whole(), None).unwrap();
        let mut transaction = Transaction::new();
        let late = chain(FAMILY, "late", None);
        add(&mut transaction, Object::Chain(late));
        // Behind the generation, the tables, and the chains of the first table.
        let ruleset = Meddling::client(3, transaction).dump("kpx").unwrap();
        assert_eq!(ruleset.generation, client.generation().unwrap());
        assert!(ruleset.tables[&table(FAMILY)].chains.contains_key("late"));
    });
}

#[test]
fn a_commit_does_not_take_the_generation_of_another_for_its_own() {
    in_namespace(|mut client| {
        let before = client.generation().unwrap();
        let mut transaction = Transaction::new();
        add(&mut transaction, Object::Table(table(Family::Ipv6)));
        // Between the batch and the question for the generation.
        let mut meddled = Meddling::client(1, transaction);
        let made = meddled.commit(&add_table(), Some(before)).unwrap();
        assert_eq!(made, next_generation(before));
        assert_eq!(client.generation().unwrap(), next_generation(made));
    });
}
