//! Rules in the notation of `nft --debug=netlink`, to compare them with what `nft` makes.

use kpx_nftables::expression::{
    CompareOperator, DynamicSet, DynamicSetOperation, Fib, FibAddress, Immediate, Lookup,
    LookupResult, Masquerade, Meta, MetaKey, PayloadBase, Register,
};
use kpx_nftables::{Expression, Rule, Verdict};

/// The rules of a debug output, each with its expressions.
///
/// `nft` turns an 8-bit field of an interval's key around in units of 16 bits, which are none: the
/// `byteorder` expression does nothing and is left out.
pub(crate) fn parse(output: &str) -> Vec<Vec<String>> {
    let mut rules: Vec<Vec<String>> = Vec::new();
    for line in output.lines() {
        let expression = line
            .strip_prefix("  [ ")
            .and_then(|line| line.strip_suffix(" ]"));
        match (expression, rules.last_mut()) {
            (Some(expression), Some(rule)) if !expression.starts_with("byteorder") => {
                rule.push(expression.trim_end().to_owned());
            }
            // The line that names the chain starts a rule.
            (None, _) if line.starts_with("ip kpx") => rules.push(Vec::new()),
            _ => {}
        }
    }
    rules
}

/// A rule's expressions.
pub(crate) fn print(rule: &Rule) -> Vec<String> {
    rule.expressions.iter().map(print_expression).collect()
}

/// The kernel's number of a register: that of 16 bytes where one starts.
fn register(Register(word): Register) -> u8 {
    if word % 4 == 0 {
        1 + word / 4
    } else {
        8 + word
    }
}

/// Bytes as words in host byte order.
fn words(bytes: &[u8]) -> String {
    let words = bytes.chunks(4).map(|chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        format!("0x{:08x}", u32::from_ne_bytes(word))
    });
    words.collect::<Vec<_>>().join(" ")
}

fn meta_key(key: MetaKey) -> &'static str {
    match key {
        MetaKey::Priority => "priority",
        MetaKey::Mark => "mark",
        MetaKey::InputInterfaceName => "iifname",
        MetaKey::TransportProtocol => "l4proto",
    }
}

fn print_verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accept => "accept".into(),
        Verdict::Drop => "drop".into(),
        Verdict::Continue => "continue".into(),
        Verdict::Return => "return".into(),
        Verdict::Jump(chain) => format!("jump -> {chain}"),
        Verdict::Goto(chain) => format!("goto -> {chain}"),
    }
}

fn print_expression(expression: &Expression) -> String {
    match expression {
        Expression::Payload(payload) => {
            let header = match payload.base {
                PayloadBase::Network => "network",
                PayloadBase::Transport => "transport",
            };
            let (length, offset) = (payload.length, payload.offset);
            let to = register(payload.destination);
            format!("payload load {length}b @ {header} header + {offset} => reg {to}")
        }
        Expression::Meta(Meta::Load { key, destination }) => {
            format!(
                "meta load {} => reg {}",
                meta_key(*key),
                register(*destination)
            )
        }
        Expression::Meta(Meta::Set { key, source }) => {
            format!("meta set {} with reg {}", meta_key(*key), register(*source))
        }
        Expression::Compare(compare) => {
            let operator = match compare.operator {
                CompareOperator::Equal => "eq",
                CompareOperator::NotEqual => "neq",
            };
            format!(
                "cmp {operator} reg {} {}",
                register(compare.source),
                words(&compare.value)
            )
        }
        Expression::Bitwise(bitwise) => {
            let (to, from) = (register(bitwise.destination), register(bitwise.source));
            let (mask, xor) = (words(&bitwise.mask), words(&bitwise.xor));
            format!("bitwise reg {to} = ( reg {from} & {mask} ) ^ {xor}")
        }
        Expression::Immediate(Immediate::Verdict(verdict)) => {
            format!("immediate reg 0 {}", print_verdict(verdict))
        }
        Expression::Immediate(Immediate::Value { destination, value }) => {
            format!("immediate reg {} {}", register(*destination), words(value))
        }
        Expression::Lookup(lookup) => print_lookup(lookup),
        Expression::Conntrack(state) => {
            format!("ct load state => reg {}", register(state.destination))
        }
        Expression::DestinationNat(nat) => {
            let (address, port) = (register(nat.address), register(nat.port));
            format!(
                "nat dnat {} addr_min reg {address} proto_min reg {port}",
                nat.family
            )
        }
        Expression::Masquerade(Masquerade { fully_random: true }) => "masq flags 0x10".into(),
        Expression::Masquerade(Masquerade {
            fully_random: false,
        }) => "masq".into(),
        Expression::Fib(Fib {
            address: FibAddress::Source,
            destination,
        }) => {
            format!("fib saddr type => reg {}", register(*destination))
        }
        Expression::Fib(Fib {
            address: FibAddress::Destination,
            destination,
        }) => {
            format!("fib daddr type => reg {}", register(*destination))
        }
        Expression::RandomNumber(number) => {
            format!(
                "numgen reg {} = random mod {}",
                register(number.destination),
                number.modulus
            )
        }
        Expression::DynamicSet(change) => print_dynamic_set(change),
        Expression::Reject(reject) => format!("reject type 0 code {}", reject.code),
        Expression::Counter(counter) => {
            format!("counter pkts {} bytes {}", counter.packets, counter.bytes)
        }
        other => panic!("{other:?} has no notation"),
    }
}

fn print_lookup(lookup: &Lookup) -> String {
    let result = match lookup.result {
        LookupResult::Member => String::new(),
        LookupResult::NotMember => " 0x1".into(),
        LookupResult::Value(destination) => format!(" dreg {}", register(destination)),
        LookupResult::Verdict => " dreg 0".into(),
    };
    format!(
        "lookup reg {} set {}{result}",
        register(lookup.source),
        lookup.set
    )
}

fn print_dynamic_set(change: &DynamicSet) -> String {
    let operation = match change.operation {
        DynamicSetOperation::Add => "add",
        DynamicSetOperation::Update => "update",
        DynamicSetOperation::Delete => "delete",
    };
    let (key, set) = (register(change.key), &change.set);
    let data = change
        .data
        .map(|data| format!(" sreg_data {}", register(data)));
    let timeout = change
        .timeout
        .map(|timeout| format!(" timeout {}ms", timeout.as_millis()));
    let (data, timeout) = (data.unwrap_or_default(), timeout.unwrap_or_default());
    format!("dynset {operation} reg_key {key} set {set}{data}{timeout}")
}
