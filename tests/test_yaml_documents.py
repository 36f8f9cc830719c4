import json
import time
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpx.errors import YamlInvalid
from kpx.yaml_documents import MAX_ALIASED_SIZE, read_documents


def read_one(text: str) -> object:
    [document] = read_documents(text.encode())
    return document.value


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("y", True),
        ("Yes", True),
        ("ON", True),
        ("n", False),
        ("off", False),
        ("yEs", "yEs"),
        ("'yes'", "yes"),
        ("!!str yes", "yes"),
        ("", None),
        ("~", None),
        ("null", None),
        ("NuLL", "NuLL"),
        ("80", 80),
        ("-1", -1),
        ("1_000", 1000),
        ("0x1F", 31),
        ("010", 8),
        ("0o10", 8),
        ("0b101", 5),
        ("-0b11", -3),
        ("08", 8),
        ("80.0", 80),
        ("8e1", 80),
        ("1.5", 1.5),
        ("'80'", "80"),
        ("!!str 80", "80"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("10.96.0.10", "10.96.0.10"),
        ("fd00::1", "fd00::1"),
        ("<<", "<<"),
        ("+", "+"),
        ("0x", "0x"),
    ],
)
def test_scalars_are_read_as_go_yaml_reads_them(written: str, read: object) -> None:
    value = read_one(f"a: {written}")
    assert value == {"a": read}
    assert type(value["a"]) is type(read)


def test_keys_become_strings() -> None:
    value = read_one("80: a\nyes: b\n1.5: c")
    assert value == {"80": "a", "true": "b", "1.5": "c"}


def test_merge_keys_give_way_to_own_keys_and_to_earlier_merges() -> None:
    value = read_one("a: &a {x: 1, z: 1}\nb: &b {x: 2, w: 2}\nc:\n  z: 9\n  <<: [*a, *b]")
    assert isinstance(value, dict)
    assert value["c"] == {"x": 1, "z": 9, "w": 2}


def test_documents_are_counted_with_their_lines_and_empty_ones_left_out() -> None:
    documents = list(read_documents(b"# nothing\n---\na: 1\n---\n---\n~\n---\n- 2\n"))
    assert [(document.value, document.line) for document in documents] == [
        ({"a": 1}, 3),
        ([2], 8),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key `a` is there twice"),
        ("1: x\n'1': y", "line 2, column 1: the key `1` is there twice"),
        ("a: 'x", "line 1, column 6: while scanning a quoted scalar, found unexpected end"),
        ("a:\n\t- b", "line 2, column 1: while scanning for the next token, found character"),
        ("a: *b", "line 1, column 4: the alias `*b` has no anchor before it"),
        ("a: &a [*a]", "line 1, column 8: the alias `*a` has no anchor before it"),
        ("a: &b 1\n---\na: *b", "line 3, column 4: the alias `*b` has no anchor before it"),
        ("a: .inf", "line 1, column 4: `.inf` is no float that JSON can hold"),
        ("a: !!int x", "line 1, column 4: `x` is no int that JSON can hold"),
        ("a: !thing 1", "line 1, column 4: the tag `!thing` is not known"),
        ("a: !!set {b}", "line 1, column 4: the tag `tag:yaml.org,2002:set` is not known"),
        ("? [a]\n: b", "line 1, column 3: a key must be a string, a number or a boolean"),
        ("~: b", "line 1, column 1: a key must be a string, a number or a boolean"),
        ("a:\n  <<: 1", "line 2, column 7: only mappings can be merged with `<<`"),
        ("[" * 100_000, "line 1, column 101: collections nest deeper than 100"),
        ("- " * 100_000, "line 1, column 201: collections nest deeper than 100"),
        ("a: {b: 1", "line 2, column 1: while parsing a flow mapping, did not find expected"),
    ],
)
def test_errors_say_where(text: str, message: str) -> None:
    with pytest.raises(YamlInvalid) as failure:
        list(read_documents(text.encode()))
    assert failure.value.message.startswith(message)


def test_bytes_that_are_no_text_are_an_error() -> None:
    with pytest.raises(YamlInvalid, match="line 2: invalid leading UTF-8 octet"):
        list(read_documents(b"a: 1\nb: \xff"))


def test_aliases_cannot_expand_beyond_a_bound() -> None:
    names = "abcdefghij"
    lines = [f"a: &a [{','.join(['x'] * 9)}]"]
    lines += [
        f"{name}: &{name} [{','.join([f'*{previous}'] * 9)}]" for previous, name in pairwise(names)
    ]
    started = time.perf_counter()
    with pytest.raises(YamlInvalid, match=f"aliases stand for more than {MAX_ALIASED_SIZE}"):
        list(read_documents("\n".join(lines).encode()))
    assert time.perf_counter() - started < 1


def test_aliases_below_the_bound_repeat_their_value() -> None:
    value = read_one("a: &a {x: [1, 2]}\nb: [*a, *a]")
    assert value == {"a": {"x": [1, 2]}, "b": [{"x": [1, 2]}] * 2}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"])),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text("abcdef", min_size=1), children, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values.filter(lambda value: value is not None))
def test_json_is_yaml(value: object) -> None:
    [document] = read_documents(json.dumps(value, ensure_ascii=False).encode())
    assert document.value == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(YamlInvalid):
        json.dumps([document.value for document in read_documents(content)], allow_nan=False)
