use kpx_netlink::{Error, Messages};

use crate::expression::{Fib, FibAddress, RandomNumber, Register};
use crate::{
    BaseChain, Batch, Chain, ChainKind, CommitError, Expression, Family, Hook, Object, Operation,
    Rule, Table, Verb,
};

fn table(family: Family) -> Table {
    Table {
        family,
        name: "kpx".into(),
    }
}

fn batch(object: Object) -> Batch {
    encode(Verb::Add, object)
}

fn encode(verb: Verb, object: Object) -> Batch {
    Batch::encode([Operation::new(verb, object)], Some(5)).unwrap()
}

fn error(errno: i32, offset: Option<u32>, sequence: u32) -> Error {
    Error {
        errno,
        message: None,
        offset,
        sequence,
    }
}

fn rule(family: Family) -> Rule {
    Rule {
        table: table(family),
        chain: "chain".into(),
        expressions: vec![
            Expression::Fib(Fib {
                address: FibAddress::Destination,
                destination: Register(0),
            }),
            Expression::RandomNumber(RandomNumber {
                modulus: 2,
                destination: Register(0),
            }),
        ],
        comment: None,
    }
}

/// The position of a text in the first message of a batch behind its begin.
fn position(batch: &Batch, text: &str) -> u32 {
    let begin = Messages::new(batch.bytes()).next().unwrap();
    let message = &batch.bytes()[begin.payload.len() + 16..];
    let mut windows = message.windows(text.len());
    let position = windows.position(|window| window == text.as_bytes());
    u32::try_from(position.unwrap()).unwrap()
}

#[test]
fn a_missing_expression_is_named_with_its_kernel_option() {
    for (family, expression, option) in [
        (Family::Ipv4, "numgen", "CONFIG_NFT_NUMGEN"),
        (Family::Ipv4, "fib", "CONFIG_NFT_FIB_IPV4"),
        (Family::Ipv6, "fib", "CONFIG_NFT_FIB_IPV6"),
    ] {
        let batch = batch(Object::Rule(rule(family)));
        let offset = position(&batch, expression);
        let error = batch.rejection(error(libc::ENOENT, Some(offset), 1));
        assert!(error.hint().unwrap().contains(option), "{error:?}");
        assert!(
            error.to_string().ends_with(&format!("`{expression}`")),
            "{error}"
        );
    }
}

#[test]
fn missing_chains_are_no_matter_of_the_kernel() {
    let batch = batch(Object::Rule(rule(Family::Ipv4)));
    let offset = position(&batch, "chain");
    let error = batch.rejection(error(libc::ENOENT, Some(offset), 1));
    assert_eq!(error.hint(), None);
    assert_eq!(error.to_string(), "cannot add rule in chain ip kpx chain");
}

#[test]
fn tables_and_chains_are_named_with_their_kernel_option() {
    let table_batch = batch(Object::Table(table(Family::Ipv6)));
    let refused = table_batch.rejection(error(libc::EOPNOTSUPP, None, 1));
    assert!(refused.hint().unwrap().contains("CONFIG_NF_TABLES_IPV6"));
    assert_eq!(refused.to_string(), "cannot add table ip6 kpx");
    let chain_batch = batch(Object::Chain(Chain {
        table: table(Family::Ipv4),
        name: "prerouting".into(),
        base: Some(BaseChain {
            kind: ChainKind::Nat,
            hook: Hook::Prerouting,
            priority: -100,
        }),
    }));
    let offset = position(&chain_batch, "nat");
    let refused = chain_batch.rejection(error(libc::ENOENT, Some(offset), 1));
    assert!(refused.hint().unwrap().contains("CONFIG_NFT_NAT"));
    assert_eq!(refused.to_string(), "cannot add chain ip kpx prerouting");
}

#[test]
fn missing_tables_are_no_matter_of_the_kernel() {
    let deletion = encode(Verb::Delete, Object::Table(table(Family::Ipv4)));
    let refused = deletion.rejection(error(libc::ENOENT, None, 1));
    assert_eq!(refused.hint(), None);
    let chain_batch = batch(Object::Chain(Chain {
        table: table(Family::Ipv4),
        name: "chain".into(),
        base: None,
    }));
    let offset = position(&chain_batch, "kpx");
    let refused = chain_batch.rejection(error(libc::ENOENT, Some(offset), 1));
    assert_eq!(refused.hint(), None);
}

#[test]
fn errors_of_the_batch_itself_name_no_operation() {
    let batch = batch(Object::Table(table(Family::Ipv4)));
    let stale = batch.rejection(error(libc::ERESTART, None, 0));
    assert!(matches!(stale, CommitError::Stale { generation: 5 }));
    let permission = batch.rejection(error(libc::EPERM, None, 0));
    assert!(permission.is_permission());
    assert!(permission.hint().unwrap().contains("CAP_NET_ADMIN"));
    let unsupported = batch.rejection(error(libc::EOPNOTSUPP, None, 0));
    assert!(unsupported.hint().unwrap().contains("CONFIG_NF_TABLES"));
}

#[test]
fn any_position_can_be_looked_up() {
    let batch = batch(Object::Rule(rule(Family::Ipv4)));
    for sequence in 0..4 {
        for offset in (0..400).chain([u32::MAX]) {
            let error = batch.rejection(error(libc::EINVAL, Some(offset), sequence));
            assert!(!error.to_string().is_empty());
        }
    }
}
