//! Lists cut into pages.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::ListPages;

/// Feeds a text in pieces that end at these places; gives the pages.
fn cut(text: &str, page: usize, places: &[Index]) -> Vec<Vec<u8>> {
    let mut ends: Vec<usize> = places
        .iter()
        .map(|place| place.index(text.len() + 1))
        .collect();
    ends.push(text.len());
    ends.sort_unstable();
    let mut pages = ListPages::of_size(page);
    let (mut made, mut start) = (Vec::new(), 0);
    for end in ends {
        made.extend(pages.add(&text.as_bytes()[start..end]));
        start = end;
    }
    made.push(pages.finish());
    made
}

/// The items of all pages, and what the last page says besides.
fn joined(pages: &[Vec<u8>]) -> Value {
    let mut items = Vec::new();
    let mut list = Value::Null;
    for page in pages {
        list = serde_json::from_slice(page).unwrap();
        items.append(list["items"].as_array_mut().unwrap());
    }
    list["items"] = items.into();
    list
}

/// A Service with text in it that looks like other things.
fn service(name: &str, text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        r#"{{"metadata": {{"name": "{name}", "x": {text}, "items": [[1], {{}}]}},
            "spec": {{"clusterIP": "10.96.0.1", "ports": [{{"port": 80}}, {{"port": 81}}]}}}}"#
    )
}

proptest! {
    #[test]
    fn pages_hold_what_the_list_holds(
        texts in proptest::collection::vec(r#"[\[\]{},:"\\a]{0,12}"#, 0..12),
        before in any::<bool>(),
        page in 0_usize..400,
        places in proptest::collection::vec(any::<Index>(), 0..24),
    ) {
        let items: Vec<String> =
            (0..).zip(&texts).map(|(number, text)| service(&format!("s{number}"), text)).collect();
        let metadata = r#""metadata": {"resourceVersion": "7", "items": [[], "]"]}"#;
        let (front, behind) = if before { (format!("{metadata}, "), String::new()) } else {
            (String::new(), format!(", {metadata}"))
        };
        let items = items.join(",\n");
        let list = format!(
            r#" {{"kind": "ServiceList", "apiVersion": "v1", {front}"items" : [{items}]{behind}}} "#
        );
        let pages = cut(&list, page, &places);
        prop_assert_eq!(joined(&pages), serde_json::from_str::<Value>(&list).unwrap());
    }

    #[test]
    fn what_is_no_list_of_a_kind_comes_back_as_it_was(
        text in r#"([\[\]{},:"\\a]|"items":|"kind":"a"){0,40}"#,
        places in proptest::collection::vec(any::<Index>(), 0..8),
    ) {
        prop_assert_eq!(cut(&text, 0, &places).concat(), text.into_bytes());
    }
}

#[test]
fn a_page_is_made_as_soon_as_it_is_full() {
    let items: Vec<String> = (0..100)
        .map(|number| service(&format!("s{number}"), ""))
        .collect();
    let list = format!(
        r#"{{"kind": "ServiceList", "apiVersion": "v1", "items": [{}]}}"#,
        items.join(",")
    );
    let mut pages = ListPages::of_size(1000);
    let mut sizes = Vec::new();
    for piece in list.as_bytes().chunks(100) {
        sizes.extend(pages.add(piece).map(|page| page.len()));
    }
    assert!(sizes.len() > 10, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size < 1600), "{sizes:?}");
    assert!(pages.finish().len() < 1600);
}
