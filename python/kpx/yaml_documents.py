"""YAML as `kubectl` reads it: documents of JSON values, or an error that says where.

`kubectl` turns YAML into JSON with go-yaml version 2, whose reading of plain scalars differs from
PyYAML's: `y` and `on` are booleans, `08` is a number, `1:30` and dates are strings. Scalars are
therefore resolved here, by go-yaml's rules (its resolve.go), and not by a PyYAML loader.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, Protocol, TypeAlias

from yaml import CBaseLoader, MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from yaml.reader import ReaderError

from kpx.errors import YamlInvalid

__all__ = ["Json", "YamlDocument", "read_documents"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value that JSON can hold."""

MAX_ALIASED_SIZE: Final = 10_000_000
"""How many values and characters the aliases of one stream may stand for, repeats included.

Without a bound, a file of a few hundred bytes can stand for gigabytes.
"""

MAX_DEPTH: Final = 100
"""How deep collections may nest. The core refuses JSON deeper than 128."""

_TAG: Final = "tag:yaml.org,2002:"
_BOOLEANS: Final = {
    form: value
    for value, words in ((True, ("y", "yes", "true", "on")), (False, ("n", "no", "false", "off")))
    for word in words
    for form in (word, word.capitalize(), word.upper())
}
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGER: Final = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<binary>[01]+)"
    r"|0[oO]?(?P<octal>[0-7]+)|(?P<decimal>0|[1-9][0-9]*))"
)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MAX_INTEGER_LENGTH: Final = 64
_NOT_STRINGS_START_WITH: Final = frozenset("+-.0123456789yYnNtTfFoO~")


@dataclass(frozen=True)
class YamlDocument:
    """One document of a stream."""

    value: Json
    line: int
    """The line its content starts on, counted from 1."""


def read_documents(stream: bytes) -> Iterator[YamlDocument]:
    """Reads the documents of a YAML stream one by one, leaving out those without content.

    Raises:
        YamlInvalid: The stream is no YAML, has a key twice, a tag or value that JSON has not, or
            nests or expands beyond all measure.
    """
    # Only the loader's events are used: its composer overflows the C stack on deep nesting.
    parser = CBaseLoader(stream)
    composer = _Composer(parser)
    try:
        while parser.check_event():
            if isinstance(parser.get_event(), DocumentStartEvent):
                document = composer.document()
                if document.value is not None:
                    yield document
    except MarkedYAMLError as failure:
        cause = ", ".join(part for part in (failure.context, failure.problem) if part)
        raise _invalid(failure.problem_mark or failure.context_mark, cause) from failure
    except ReaderError as failure:
        line = stream.count(b"\n", 0, failure.position) + 1
        raise YamlInvalid(f"line {line}: {failure.reason}") from failure
    except YAMLError as failure:
        raise YamlInvalid(str(failure)) from failure
    finally:
        parser.dispose()


@dataclass(frozen=True)
class _Anchored:
    """A value that aliases may repeat."""

    value: Json
    size: int


@dataclass
class _Composer:
    """Builds JSON values from the events of one stream."""

    parser: CBaseLoader
    anchors: dict[str, _Anchored] = field(default_factory=dict)
    depth: int = 0
    size: int = 0
    """How many values and characters the current document holds so far, aliases expanded."""
    aliased_size: int = 0

    def document(self) -> YamlDocument:
        """Builds the document that starts with the next event."""
        self.anchors.clear()
        self.size = 0
        root = self._next()
        return YamlDocument(self._value(root), _mark(root).line + 1)

    def _next(self) -> Event:
        event = self.parser.get_event()
        assert event is not None, "a document ends with an event of its own"
        return event

    def _value(self, event: Event) -> Json:
        if isinstance(event, AliasEvent):
            return self._alias(event)
        assert isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent)
        size_before = self.size
        self.size += 1
        value: Json
        if isinstance(event, ScalarEvent):
            self.size += len(event.value)
            value = _scalar(event)
        else:
            value = self._collection(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(value, self.size - size_before)
        return value

    def _alias(self, event: AliasEvent) -> Json:
        anchored = self.anchors.get(event.anchor or "")
        if anchored is None:
            raise _invalid(_mark(event), f"the alias `*{event.anchor}` has no anchor before it")
        self.size += anchored.size
        self.aliased_size += anchored.size
        if self.aliased_size > MAX_ALIASED_SIZE:
            raise _invalid(
                _mark(event), f"aliases stand for more than {MAX_ALIASED_SIZE} characters"
            )
        return anchored.value

    def _collection(self, event: SequenceStartEvent | MappingStartEvent) -> Json:
        own_tag = "seq" if isinstance(event, SequenceStartEvent) else "map"
        if event.tag not in (None, "!", _TAG + own_tag):
            raise _invalid(_mark(event), f"the tag `{event.tag[:80]}` is not known")
        if self.depth == MAX_DEPTH:
            raise _invalid(_mark(event), f"collections nest deeper than {MAX_DEPTH}")
        self.depth += 1
        value: Json
        if isinstance(event, SequenceStartEvent):
            value = [self._value(item) for item in self._children()]
        else:
            value = self._mapping()
        self.depth -= 1
        return value

    def _children(self) -> Iterator[Event]:
        while not isinstance(event := self._next(), CollectionEndEvent):
            yield event

    def _mapping(self) -> dict[str, Json]:
        own: dict[str, Json] = {}
        merged: dict[str, Json] = {}
        for key_event in self._children():
            if _is_merge(key_event):
                merged = {**self._merged(), **merged}
                continue
            key = self._key(key_event)
            if key in own:
                raise _invalid(_mark(key_event), f"the key `{key[:80]}` is there twice")
            own[key] = self._value(self._next())
        return {**merged, **own} if merged else own

    def _key(self, event: Event) -> str:
        match self._value(event):
            case str() as key:
                return key
            case bool() as key:
                return "true" if key else "false"
            case int() | float() as key:
                return str(key)
            case _:
                raise _invalid(_mark(event), "a key must be a string, a number or a boolean")

    def _merged(self) -> dict[str, Json]:
        """Reads the value of a `<<` key: a mapping, or a list of them, the first of which wins."""
        event = self._next()
        value = self._value(event)
        merged: dict[str, Json] = {}
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise _invalid(_mark(event), "only mappings can be merged with `<<`")
            merged = {**source, **merged}
        return merged


def _is_merge(event: Event) -> bool:
    return isinstance(event, ScalarEvent) and event.value == "<<" and event.implicit[0]


def _scalar(event: ScalarEvent) -> Json:
    text = event.value
    match _scalar_tag(event):
        case "str":
            return text
        case "null" if text in _NULLS:
            return None
        case "bool" if text in _BOOLEANS:
            return _BOOLEANS[text]
        case "int" if (integer := _integer(text)) is not None:
            return integer
        case "float" if (number := _number(text)) is not None:
            return number
        case "null" | "bool" | "int" | "float" as tag:
            raise _invalid(_mark(event), f"`{text[:40]}` is no {tag} that JSON can hold")
        case tag:
            raise _invalid(_mark(event), f"the tag `{tag[:80]}` is not known")


def _scalar_tag(event: ScalarEvent) -> str:
    """Names the type of a scalar: by its tag, or by what it looks like where it is plain."""
    plain, quoted = event.implicit
    text = event.value
    if not plain:
        return "str" if quoted or event.tag is None else event.tag.removeprefix(_TAG)
    if text and text[0] not in _NOT_STRINGS_START_WITH:
        return "null" if text in _NULLS else "str"
    if text in _BOOLEANS:
        return "bool"
    if text in _NULLS:
        return "null"
    if _integer(text) is not None:
        return "int"
    if _FLOAT.fullmatch(text.replace("_", "")) or _NOT_FINITE.fullmatch(text):
        return "float"
    return "str"


def _integer(text: str) -> int | None:
    match = _INTEGER.fullmatch(text.replace("_", ""))
    if match is None or len(text) > _MAX_INTEGER_LENGTH:
        return None
    bases = {"hex": 16, "binary": 2, "octal": 8, "decimal": 10}
    magnitude = next(int(match[name], base) for name, base in bases.items() if match[name])
    return -magnitude if match["sign"] == "-" else magnitude


def _number(text: str) -> int | float | None:
    """A float as Go writes it to JSON: without a fraction where it has none."""
    if not _FLOAT.fullmatch(text.replace("_", "")):
        return None
    number = float(text.replace("_", ""))
    if not isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


class _Place(Protocol):
    """What the two kinds of marks of PyYAML have in common."""

    line: int
    column: int


def _mark(event: Event) -> _Place:
    assert event.start_mark is not None, "the parser marks every event"
    return event.start_mark


def _invalid(mark: _Place | None, cause: str) -> YamlInvalid:
    if mark is None:
        return YamlInvalid(cause)
    return YamlInvalid(f"line {mark.line + 1}, column {mark.column + 1}: {cause}")
