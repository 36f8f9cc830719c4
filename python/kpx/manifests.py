"""Manifest files as frames of JSON for the core.

JSON is handed on as it is, whatever its size; YAML is turned into JSON one document at a time.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kpx.errors import ManifestUnreadable, YamlInvalid

__all__ = ["STDIN", "Frame", "read"]

STDIN: Final = "-"
"""The path that stands for standard input."""

_SUFFIXES: Final = (".json", ".yaml", ".yml")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_JSON_OBJECT: Final = re.compile(rb'\s*\{\s*["}]')
# A closing brace, and an opening one at the start of a line: inside one JSON document there is a
# comma between objects, and no line break inside a string.
_BETWEEN_JSON_DOCUMENTS: Final = re.compile(rb"(?<=\})\s*\n(?=\{)")


@dataclass(frozen=True)
class Frame:
    """One JSON document."""

    content: bytes
    origin: str
    """Where it comes from, for error messages: a path, and the place in it if there are more."""


def read(paths: Iterable[str]) -> Iterator[Frame]:
    """Reads manifests in the order given.

    Args:
        paths: Files, directories (their `.json`, `.yaml` and `.yml` files, sorted by name, without
            subdirectories) and `-` for standard input.

    Raises:
        ManifestUnreadable: A path is missing, unreadable, malformed, or holds no object at all. An
            empty file is an error, so that a file cut short is not taken for the wish to have no
            Services; an empty `List` states that wish.
    """
    for path in paths:
        if path == STDIN:
            yield from _frames("standard input", sys.stdin.buffer.read())
        else:
            for file in _files(Path(path)):
                yield from _frames(str(file), _content(file))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    except OSError as failure:
        raise ManifestUnreadable(f"cannot read `{path}`: {failure.strerror}") from failure
    files = [file for file in files if not file.is_dir()]
    if not files:
        raise ManifestUnreadable(
            f"no manifests in the directory `{path}`",
            "kpx reads the `.yaml`, `.yml` and `.json` files directly inside it",
        )
    return files


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as failure:
        raise ManifestUnreadable(f"the file `{file}` does not exist") from failure
    except OSError as failure:
        raise ManifestUnreadable(f"cannot read `{file}`: {failure.strerror}") from failure


def _frames(origin: str, content: bytes) -> Iterator[Frame]:
    content = content.removeprefix(_BYTE_ORDER_MARK)
    is_json = origin.endswith(".json") or _JSON_OBJECT.match(content)
    frames = _json_frames(origin, content) if is_json else _yaml_frames(origin, content)
    empty = True
    for frame in frames:
        empty = False
        yield frame
    if empty:
        raise ManifestUnreadable(
            f"no objects in `{origin}`",
            'to say that there are none, write `{"apiVersion": "v1", "kind": "List", "items": []}`',
        )


def _json_frames(origin: str, content: bytes) -> Iterator[Frame]:
    # The plain search is what keeps large documents from being scanned byte by byte.
    if b"\n{" in content and _BETWEEN_JSON_DOCUMENTS.search(content):
        for number, document in enumerate(_BETWEEN_JSON_DOCUMENTS.split(content), start=1):
            yield Frame(document, f"{origin}: document {number}")
    elif content and not content.isspace():
        yield Frame(content, origin)


def _yaml_frames(origin: str, content: bytes) -> Iterator[Frame]:
    from kpx.yaml_documents import read_documents

    try:
        for document in read_documents(content):
            if not isinstance(document.value, dict):
                raise ManifestUnreadable(
                    f"{origin}: line {document.line}: the document is not an object",
                    "a manifest is a mapping with `apiVersion` and `kind`",
                )
            # Not-a-number cannot get here, but must never reach the core as invalid JSON.
            body = json.dumps(document.value, allow_nan=False).encode()
            yield Frame(body, f"{origin}: line {document.line}")
    except YamlInvalid as failure:
        raise ManifestUnreadable(f"{origin}: {failure.message}", failure.hint) from failure
