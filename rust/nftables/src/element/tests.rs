use kpx_netlink::{Attributes, Writer};
use proptest::prelude::*;

use super::{Data, Element, Entry, join_intervals, predecessor, successor};
use crate::{Bytes, DataType, Family, Set, SetFlags, SetKind, Table, Verdict};

fn set(flags: SetFlags) -> Set {
    Set {
        table: Table {
            family: Family::Ipv4,
            name: "kpx".into(),
        },
        name: "set".into(),
        key: vec![DataType::InetService],
        kind: SetKind::Set,
        flags,
        timeout: None,
        size: None,
    }
}

fn entries(writer: &Writer) -> Vec<Entry> {
    Attributes::new(writer.as_bytes())
        .map(|entry| Entry::parse(&entry.nested()).unwrap())
        .collect()
}

/// An attribute list as it stands on a little-endian machine.
#[test]
#[cfg(target_endian = "little")]
fn an_element_is_what_nft_writes() {
    // `nft --debug=mnl add element ip kpx endpoints { 10.96.0.10 . tcp . 80 . 0 comment "hello" :
    // 10.1.1.1 . 8080 }`
    let expected = [
        [0x38, 0, 1, 0x80].as_slice(),
        &[0x18, 0, 1, 0x80, 0x14, 0, 1, 0],
        &[10, 96, 0, 10, 6, 0, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0],
        &[0x10, 0, 2, 0x80, 0x0c, 0, 1, 0],
        &[10, 1, 1, 1, 0x1f, 0x90, 0, 0],
        &[0x0c, 0, 6, 0, 0, 6, b'h', b'e', b'l', b'l', b'o', 0],
    ];
    let mut element = Element::new(
        Bytes::from_slice(&[10, 96, 0, 10, 6, 0, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0]),
        Data::Value(Bytes::from_slice(&[10, 1, 1, 1, 0x1f, 0x90, 0, 0])),
    );
    element.comment = Some("hello".into());
    let mut writer = Writer::new();
    element.emit(&mut writer, &set(SetFlags::default()));
    assert_eq!(writer.as_bytes(), expected.concat());
    assert_eq!(entries(&writer), [Entry::Element(element)]);
}

#[test]
fn to_find_an_element_its_key_is_enough() {
    let key = Bytes::from_slice(&[0, 80, 0, 0, 0, 80, 0, 0]);
    let element = Element {
        key_end: Some(Bytes::from_slice(&[0, 90, 0, 0, 0, 80, 0, 0])),
        data: Data::Verdict(Verdict::Jump("chain".into())),
        comment: Some("comment".into()),
        ..Element::new(key.clone(), Data::None)
    };
    let mut writer = Writer::new();
    element.emit_reference(&mut writer, &concatenation_of_intervals());
    let found = Element {
        key_end: element.key_end,
        ..Element::new(key, Data::None)
    };
    assert_eq!(entries(&writer), [Entry::Element(found)]);
}

#[test]
#[cfg(target_endian = "little")]
fn among_concatenated_intervals_a_single_key_is_its_own_end() {
    let element = Element::new(Bytes::from_slice(&[0, 80, 0, 0, 0, 90, 0, 0]), Data::None);
    let mut writer = Writer::new();
    element.emit(&mut writer, &concatenation_of_intervals());

    let key = [&[0x10, 0, 1, 0x80, 0x0c, 0, 1, 0], &element.key[..]].concat();
    let key_end = [&[0x10, 0, 10, 0x80, 0x0c, 0, 1, 0], &element.key[..]].concat();
    let expected = [&[0x24, 0, 1, 0x80], &key[..], &key_end].concat();
    assert_eq!(writer.as_bytes(), expected);
    assert_eq!(entries(&writer), [Entry::Element(element)]);
}

fn concatenation_of_intervals() -> Set {
    Set {
        key: vec![DataType::InetService; 2],
        ..paired()
    }
}

/// Ranges of ports as intervals that neither overlap nor, so that they stay apart, leave out the
/// case of touching.
fn intervals() -> impl Strategy<Value = Vec<(u16, u16)>> {
    prop::collection::btree_set(any::<u16>(), 0..40).prop_map(|bounds| {
        let bounds: Vec<_> = bounds.into_iter().collect();
        bounds
            .chunks_exact(2)
            .map(|bounds| (bounds[0], bounds[1]))
            .collect()
    })
}

fn interval(first: u16, last: u16) -> Element {
    let key_end = (first != last).then(|| Bytes::from_slice(&last.to_be_bytes()));
    Element {
        key_end,
        ..Element::new(Bytes::from_slice(&first.to_be_bytes()), Data::None)
    }
}

fn paired() -> Set {
    set(SetFlags {
        interval: true,
        ..SetFlags::default()
    })
}

/// Sends elements through the bytes of a paired set, listed backwards as the kernel does.
fn through_pairs(elements: &[Element]) -> Vec<Element> {
    let mut writer = Writer::new();
    for element in elements {
        element.emit(&mut writer, &paired());
    }
    let mut starts = Vec::new();
    let mut ends = Vec::new();
    for entry in entries(&writer).into_iter().rev() {
        match entry {
            Entry::Element(element) => starts.push(element),
            Entry::IntervalEnd(end) => ends.push(end),
        }
    }
    join_intervals(&mut starts, &mut ends);
    starts
}

#[test]
fn an_interval_may_reach_to_the_last_key() {
    let elements = [interval(7, 7), interval(8, 8), interval(9, 0xffff)];
    assert_eq!(through_pairs(&elements), elements);
}

#[test]
fn the_key_before_the_key_behind_is_the_key() {
    for key in [0_u16, 1, 0xff, 0x100, 0xfffe] {
        let key = Bytes::from_slice(&key.to_be_bytes());
        assert_eq!(predecessor(&successor(&key).unwrap()), key);
    }
    assert_eq!(successor(&Bytes::from_slice(&[0xff, 0xff])), None);
}

proptest! {
    #[test]
    fn intervals_read_back(list in intervals()) {
        let elements: Vec<_> = list.iter().map(|(first, last)| interval(*first, *last)).collect();
        prop_assert_eq!(through_pairs(&elements), elements);
    }

    #[test]
    fn any_bytes_can_be_read(bytes in any::<Vec<u8>>()) {
        let _ = Entry::parse(&Attributes::new(&bytes));
    }

    #[test]
    fn any_ends_can_be_joined(starts in any::<Vec<u16>>(), ends in any::<Vec<u16>>()) {
        let mut starts: Vec<_> = starts.iter().map(|start| interval(*start, *start)).collect();
        let mut ends: Vec<_> = ends.iter().map(|end| Bytes::from_slice(&end.to_be_bytes())).collect();
        join_intervals(&mut starts, &mut ends);
        for start in &starts {
            prop_assert!(start.key_end.as_ref().is_none_or(|end| *end > start.key));
        }
    }
}
