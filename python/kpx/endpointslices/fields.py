"""The fields of decoded JSON objects, checked as they are read.

Every reader raises `ObjectInvalid` where a field has another type.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from kpx.errors import KpxError

__all__ = [
    "Object",
    "ObjectInvalid",
    "get",
    "mapping",
    "mappings",
    "number",
    "sequence",
    "text",
    "texts",
]

Object = Mapping[str, Any]
"""A decoded JSON object, of which nothing is known yet."""

_T = TypeVar("_T")
_Default = TypeVar("_Default")


class ObjectInvalid(KpxError):
    """A field of an object has a type it cannot have. The message names the field."""


def get(parent: Object, key: str, kind: type[_T], default: _Default) -> _T | _Default:
    """The value of a field; a field that is null is a field that is not there."""
    value = parent.get(key)
    if value is None:
        return default
    # A boolean is an int to Python, but never where the API wants a number.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ObjectInvalid(f"`{key}` is a {type(value).__name__}, not a {kind.__name__}")
    return value


def text(parent: Object, key: str) -> str:
    """A field that holds text; empty where it is not there."""
    return get(parent, key, str, "")


def number(parent: Object, key: str) -> int:
    """A field that holds a whole number; 0 where it is not there."""
    return get(parent, key, int, 0)


def mapping(parent: Object, key: str) -> Object:
    """A field that holds an object; empty where it is not there."""
    found: Object = get(parent, key, dict, {})
    return found


def texts(parent: Object, key: str) -> dict[str, str]:
    """A field that holds text by name, such as labels."""
    found: dict[str, str] = get(parent, key, dict, {})
    for name in found:
        text(found, name)
    return found


def sequence(parent: Object, key: str, kind: type[_T]) -> list[_T]:
    """A field that holds a list of values of one type."""
    values: list[_T] = get(parent, key, list, [])
    for value in values:
        if not isinstance(value, kind):
            raise ObjectInvalid(f"`{key}` holds a {type(value).__name__}, not a {kind.__name__}")
    return values


def mappings(parent: Object, key: str) -> list[dict[str, Any]]:
    """A field that holds a list of objects."""
    return sequence(parent, key, dict)
