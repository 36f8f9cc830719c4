import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpx.kube.lines import Lines


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_lines_do_not_depend_on_how_bytes_come(text: bytes, cuts: list[int]) -> None:
    lines = Lines()
    ends = sorted({*cuts, 0, len(text)})
    found = [line for start, end in itertools.pairwise(ends) for line in lines.add(text[start:end])]
    assert found == [line for line in text.split(b"\n")[:-1] if line]


@given(st.lists(st.sampled_from([b"a" * 4, b"a" * 5, b"a" * 6, b"b\n", b"\n"])))
def test_lines_that_are_too_long_are_left_out_and_counted(chunks: list[bytes]) -> None:
    lines = Lines(longest=9)
    found = [line for chunk in chunks for line in lines.add(chunk)]
    *whole, rest = b"".join(chunks).split(b"\n")
    assert found == [line for line in whole if 0 < len(line) <= 9]
    assert lines.overlong == sum(len(line) > 9 for line in [*whole, rest])


@pytest.mark.parametrize("chunk", [b"x" * 1000, b"x" * 1_000_000])
def test_what_is_kept_is_bounded(chunk: bytes) -> None:
    lines = Lines(longest=10_000)
    for _ in range(2 * 10_000 // len(chunk) + 2):
        lines.add(chunk)
        assert sum(map(len, lines._parts)) <= 10_000
