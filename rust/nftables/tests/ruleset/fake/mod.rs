//! The fake ruleset beside the kernel: the same transaction, the same answer, the same ruleset.

mod chains;
mod rules;
mod sets;

use std::collections::BTreeMap;
use std::time::Duration;

use kpx_nftables::expression::{DestinationNat, LookupResult, MetaKey, Register};
use kpx_nftables::fake::Rejection::{
    Busy, Exists, Full, Invalid, NotFound, TooManyLinks, Unsupported,
};
use kpx_nftables::fake::{FakeRuleset, Rejection};
use kpx_nftables::{
    Chain, ChainKind, Data, DataType, Element, Expression, Family, Hook, Object, Rule, Ruleset,
    Set, SetFlags, SetKind, Verb, Verdict,
};

use crate::catalogue::{
    base_chain, chain, constant, counter, destination_address, elements, equal, goto, jump,
    load_meta, lookup, masquerade, not_equal, reject, rule, set, source_address, table,
    transaction,
};
use crate::oracle;

const V4: Family = Family::Ipv4;

/// A transaction on the ruleset of [`setup`], and why it is refused, if it is.
struct Case {
    name: &'static str,
    steps: Vec<(Verb, Object)>,
    rejection: Option<Rejection>,
}

fn accepted(name: &'static str, steps: impl IntoIterator<Item = (Verb, Object)>) -> Case {
    Case {
        name,
        steps: steps.into_iter().collect(),
        rejection: None,
    }
}

fn refused(
    name: &'static str,
    rejection: Rejection,
    steps: impl IntoIterator<Item = (Verb, Object)>,
) -> Case {
    Case {
        rejection: Some(rejection),
        ..accepted(name, steps)
    }
}

fn add(object: impl Into<Step>) -> (Verb, Object) {
    (Verb::Add, object.into().0)
}

fn delete(object: impl Into<Step>) -> (Verb, Object) {
    (Verb::Delete, object.into().0)
}

fn flush(object: impl Into<Step>) -> (Verb, Object) {
    (Verb::Flush, object.into().0)
}

/// An object of a step.
struct Step(Object);

impl From<Object> for Step {
    fn from(object: Object) -> Self {
        Self(object)
    }
}

impl From<Chain> for Step {
    fn from(chain: Chain) -> Self {
        Self(Object::Chain(chain))
    }
}

impl From<Rule> for Step {
    fn from(rule: Rule) -> Self {
        Self(Object::Rule(rule))
    }
}

impl From<Set> for Step {
    fn from(set: Set) -> Self {
        Self(Object::Set(set.into()))
    }
}

fn named(name: &str) -> Chain {
    chain(V4, name)
}

fn prerouting() -> Chain {
    base_chain(V4, "nat-prerouting", ChainKind::Nat, Hook::Prerouting, -100)
}

fn postrouting() -> Chain {
    base_chain(
        V4,
        "nat-postrouting",
        ChainKind::Nat,
        Hook::Postrouting,
        100,
    )
}

fn input() -> Chain {
    base_chain(V4, "filter-input", ChainKind::Filter, Hook::Input, 0)
}

fn addresses() -> Set {
    set(V4, "addresses", &[DataType::Ipv4Address], SetKind::Set)
}

fn translations() -> Set {
    let kind = SetKind::Map(vec![DataType::Ipv4Address]);
    set(V4, "translations", &[DataType::Ipv4Address], kind)
}

fn verdicts() -> Set {
    set(
        V4,
        "verdicts",
        &[DataType::Ipv4Address],
        SetKind::VerdictMap,
    )
}

fn ranges() -> Set {
    let flags = SetFlags {
        interval: true,
        ..SetFlags::default()
    };
    Set {
        flags,
        ..set(V4, "ranges", &[DataType::Ipv4Address; 2], SetKind::Set)
    }
}

fn intervals() -> Set {
    let flags = SetFlags {
        interval: true,
        ..SetFlags::default()
    };
    Set {
        flags,
        ..set(V4, "intervals", &[DataType::Ipv4Address], SetKind::Set)
    }
}

fn leases() -> Set {
    Set {
        flags: SetFlags {
            timeout: true,
            ..SetFlags::default()
        },
        timeout: Some(Duration::from_secs(3600)),
        ..set(V4, "leases", &[DataType::Ipv4Address], SetKind::Set)
    }
}

/// The address 10.0.0.`last`, alone.
fn host(last: u8) -> Element {
    Element::new([10, 0, 0, last].as_slice().into(), Data::None)
}

fn translated(last: u8, to: u8) -> Element {
    Element {
        data: Data::Value([10, 0, 1, to].as_slice().into()),
        ..host(last)
    }
}

fn decided(last: u8, verdict: Verdict) -> Element {
    Element {
        data: Data::Verdict(verdict),
        ..host(last)
    }
}

fn to(chain: &str) -> Verdict {
    Verdict::Goto(chain.into())
}

/// Two ranges of last bytes, 10.0.0.x and 10.0.0.y.
fn range(first: [u8; 2], second: [u8; 2]) -> Element {
    let key = |x, y| [10, 0, 0, x, 10, 0, 0, y].as_slice().into();
    Element {
        key_end: Some(key(first[1], second[1])),
        ..Element::new(key(first[0], second[0]), Data::None)
    }
}

fn interval(first: u8, last: u8) -> Element {
    Element {
        key_end: Some([10, 0, 0, last].as_slice().into()),
        ..host(first)
    }
}

fn with_timeout(element: Element, seconds: u64) -> Element {
    Element {
        timeout: Some(Duration::from_secs(seconds)),
        ..element
    }
}

/// Decides by destination.
fn by_verdicts(chain: &str) -> Rule {
    let decide = lookup("verdicts", LookupResult::Verdict);
    rule(V4, chain, [vec![destination_address(V4, 0), decide]])
}

/// Goes on if the source is in a set.
fn from_set(chain: &str, set: &str) -> Rule {
    rule(
        V4,
        chain,
        [
            vec![source_address(V4, 0), lookup(set, LookupResult::Member)],
            counter(),
        ],
    )
}

fn translate(chain: &str) -> Rule {
    let nat = DestinationNat {
        family: V4,
        address: Register(0),
        port: Register(1),
    };
    let constants = vec![
        constant(0, &[10, 0, 0, 1]),
        constant(1, &80_u16.to_be_bytes()),
    ];
    let is_tcp = vec![load_meta(MetaKey::TransportProtocol, 0), equal(&[6])];
    rule(
        V4,
        chain,
        [is_tcp, constants, vec![Expression::DestinationNat(nat)]],
    )
}

/// What every case starts from: one element leads from `nat-prerouting` to `called`.
fn setup() -> Vec<(Verb, Object)> {
    vec![
        add(Object::Table(table(V4))),
        add(named("called")),
        add(named("free")),
        add(prerouting()),
        add(postrouting()),
        add(input()),
        add(addresses()),
        add(translations()),
        add(verdicts()),
        add(ranges()),
        add(intervals()),
        add(leases()),
        add(elements(&addresses(), [host(1)])),
        add(elements(&translations(), [translated(1, 1)])),
        add(elements(&verdicts(), [decided(1, to("called"))])),
        add(elements(&ranges(), [range([8, 15], [0, 31])])),
        add(elements(&intervals(), [interval(8, 15)])),
        add(elements(&leases(), [host(1), with_timeout(host(2), 900)])),
        add(by_verdicts("nat-prerouting")),
        add(from_set("filter-input", "addresses")),
    ]
}

/// What `nft list ruleset` says, whatever the order of sets, elements and chains is.
fn normalize(listing: &str) -> BTreeMap<String, Vec<String>> {
    let mut blocks = BTreeMap::new();
    let mut table = "";
    for block in listing.split("\n\n").flat_map(|block| block.split("\n}\n")) {
        let mut lines = block
            .lines()
            .map(str::trim)
            .filter(|line| !matches!(*line, "" | "}"))
            .peekable();
        if let Some(line) = lines.next_if(|line| line.starts_with("table")) {
            table = line;
        }
        let Some(name) = lines.next() else {
            blocks.entry(table.to_owned()).or_default();
            continue;
        };
        let body: Vec<_> = lines.collect();
        let (declaration, elements) =
            match body.iter().position(|line| line.starts_with("elements")) {
                Some(start) => body.split_at(start),
                None => (body.as_slice(), [].as_slice()),
            };
        let elements = elements
            .join(" ")
            .replace("elements = {", "")
            .replace('}', "");
        let mut elements: Vec<_> = elements.split(',').map(without_expiry).collect();
        elements.sort();
        let lines = declaration.iter().map(ToString::to_string).chain(elements);
        blocks.insert(format!("{table} {name}"), lines.collect());
    }
    blocks
}

/// The element without the time that it still has.
fn without_expiry(element: &str) -> String {
    let words: Vec<_> = element.split_whitespace().collect();
    let expires = words
        .iter()
        .position(|word| *word == "expires")
        .unwrap_or(words.len());
    let kept = words
        .iter()
        .enumerate()
        .filter(|(index, _)| ![expires, expires + 1].contains(index));
    kept.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

fn listing_of(ruleset: &Ruleset) -> BTreeMap<String, Vec<String>> {
    let text = ruleset.to_string();
    let kernel = oracle::load(&text);
    assert!(kernel.accepted, "{}\n{text}", kernel.errors);
    normalize(&kernel.output)
}

fn check(cases: Vec<Case>) {
    let setup = transaction(setup());
    let script = r#"
        printf %s "$1" | nft -f - || echo "the setup failed" >&2
        printf %s "$2" | nft -f -
        status=$?
        nft list ruleset
        exit $status"#;
    for Case {
        name,
        steps,
        rejection,
    } in cases
    {
        let steps = transaction(steps);
        let mut fake = FakeRuleset::new();
        fake.apply(&setup).expect("the setup is accepted");
        let refusal = fake.apply(&steps).err().map(|error| error.rejection);
        assert_eq!(refusal, rejection, "the fake: {name}");

        let kernel = oracle::in_fresh_namespace(script, &[&setup.to_string(), &steps.to_string()]);
        assert!(!kernel.errors.contains("setup failed"), "{}", kernel.errors);
        assert_eq!(
            kernel.accepted,
            rejection.is_none(),
            "{name}: {}\n{steps}",
            kernel.errors
        );
        if let Some(rejection) = rejection
            && kernel.errors.contains("Could not process rule")
        {
            let says_why = kernel
                .errors
                .to_lowercase()
                .contains(&rejection.to_string());
            assert!(
                says_why,
                "{name}: {rejection}, but the kernel: {}",
                kernel.errors
            );
        }
        assert_eq!(
            listing_of(fake.ruleset()),
            normalize(&kernel.output),
            "{name}"
        );
    }
}

/// The kernel reports a generation for each commit that changes something.
#[test]
fn generations_are_counted_as_by_the_kernel() {
    let unchanged = [
        vec![add(Object::Table(table(V4)))],
        vec![add(elements(&addresses(), [host(1)]))],
        vec![flush(named("free")), flush(intervals()), flush(intervals())],
    ];
    let changed = [
        vec![add(named("free"))],
        vec![add(addresses())],
        vec![add(elements(&addresses(), [host(2), host(1)]))],
        vec![
            delete(elements(&addresses(), [host(2)])),
            add(elements(&addresses(), [host(2)])),
        ],
        vec![flush(prerouting())],
    ];
    let mut fake = FakeRuleset::new();
    fake.apply(&transaction(setup()))
        .expect("the setup is accepted");
    fake.apply(&transaction([delete(elements(
        &intervals(),
        [interval(8, 15)],
    ))]))
    .expect("the interval is there");
    assert_eq!(fake.ruleset().generation, 2);
    let mut texts = vec![fake.ruleset().to_string()];
    let mut expected = 2;
    for (steps, growth) in unchanged
        .into_iter()
        .zip([0; 3])
        .chain(changed.into_iter().zip([1; 5]))
    {
        let steps = transaction(steps);
        fake.apply(&steps).expect("the steps are accepted");
        expected += growth;
        assert_eq!(fake.ruleset().generation, expected, "{steps}");
        texts.push(steps.to_string());
    }
    let script = r#"
        await() { for i in $(seq 200); do "$@" && return; sleep 0.05; done; exit 1; }
        listens() { awk '$2 == 12 && $4 !~ /^0+$/ { found = 1 } END { exit !found }' /proc/net/netlink; }
        nft monitor > "$TMP" & monitor=$!
        await listens
        for text; do printf '%s\n' "$text" | nft -f - || exit 1; done
        nft add table ip last
        await grep -q 'table ip last' "$TMP"
        kill $monitor
        sed '/table ip last/,$d' "$TMP"; rm "$TMP""#;
    let script = format!("TMP=$(mktemp)\n{script}");
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let kernel = oracle::in_fresh_namespace(&script, &texts);
    assert!(kernel.accepted, "{}", kernel.errors);
    let generations = kernel.output.matches("# new generation").count();
    // The first of them made what the fake made in two.
    assert_eq!(generations + 1, expected as usize, "{}", kernel.output);
}
