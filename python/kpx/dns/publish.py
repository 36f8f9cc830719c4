"""Updates of another name server (RFC 2136), with as few changes as there are."""

import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import dns.exception
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

from kpx.dns.zone_file import RecordSet
from kpx.errors import KpxError

__all__ = ["PublishFailed", "Published", "Publisher", "Target", "read_key", "resolve"]

CHUNK_NAMES: Final = 100
"""How many names one update changes."""

ATTEMPTS: Final = 4
"""How often an update is tried that gets no answer, or one that says to try again."""

READ_AGAIN_SECONDS: Final = 300.0
"""After how long a zone is read again, to mend what others did to our names."""

_ROUNDS: Final = 2
"""How often a zone is read when it is not as expected: an update without an answer may count."""

_NO_ANSWER: Final = (dns.exception.DNSException, OSError, EOFError)
_MARKER: Final = dns.name.Name(["_kpx"])
_NOT_OURS: Final = (dns.rdatatype.SOA, dns.rdatatype.NS)
_SECONDS: Final = 10.0
_KEY: Final = re.compile(
    r'key\s+"?([^"\s{]+)"?\s*\{\s*algorithm\s+"?([\w.-]+)"?\s*;\s*secret\s+"([^"]+)"\s*;\s*\}', re.S
)
_REFUSED_BY_PREREQUISITE: Final = (
    dns.rcode.YXDOMAIN,
    dns.rcode.YXRRSET,
    dns.rcode.NXDOMAIN,
    dns.rcode.NXRRSET,
)

Sets = Mapping[dns.rdatatype.RdataType, dns.rdataset.Rdataset]


class PublishFailed(KpxError):
    """A name server could not be read, or did not take an update."""


@dataclass(frozen=True)
class Target:
    """A zone of another name server."""

    host: str
    port: int
    zone: dns.name.Name
    key: dns.tsig.Key | None
    owner: str
    """Who we are: names that bear another mark, or none, are left alone."""


@dataclass
class Published:
    """What an update changed."""

    added: int = 0
    """Names that were added."""
    changed: int = 0
    removed: int = 0
    foreign: list[str] = field(default_factory=list)
    """Names that somebody else has; they stayed as they were."""
    refused: bool = False
    """Whether somebody else has changed a name meanwhile."""

    @property
    def total(self) -> int:
        """How many names were written."""
        return self.added + self.changed + self.removed


@dataclass(frozen=True)
class _Change:
    """What becomes of one name."""

    name: dns.name.Name
    before: Sets
    """Empty if the name is new."""
    after: Sets
    """Empty if it goes."""


def read_key(path: Path) -> dns.tsig.Key:
    """Reads a key as `tsig-keygen` writes it.

    Raises:
        PublishFailed: The file holds none.
    """
    try:
        found = _KEY.search(path.read_text())
        if found is None:
            raise PublishFailed(
                f"no TSIG key in `{path}`", "`tsig-keygen NAME` writes what kpx reads"
            )
        name, algorithm, secret = found.groups()
        return dns.tsig.Key(name, secret, algorithm)
    except (OSError, ValueError) as failure:
        raise PublishFailed(f"cannot read the TSIG key in `{path}`: {failure}") from failure


class Publisher:
    """Keeps the names of one zone that are ours, and no others, as record sets say.

    What the zone holds is read once, and again after `READ_AGAIN_SECONDS` or when something was not
    as expected; in between, it is what was written last.
    """

    def __init__(self, target: Target) -> None:
        """Connects nowhere yet."""
        self._target = target
        self._current: dict[dns.name.Name, Sets] | None = None
        self._read_at = 0.0

    def publish(self, record_sets: Sequence[RecordSet]) -> Published:
        """Writes what differs.

        Args:
            record_sets: All of a zone; its SOA and NS records are the server's own business.

        Raises:
            PublishFailed: The zone cannot be read, or an update failed. What was sent before
                counts.
        """
        desired = _desired(self._target, record_sets)
        published = Published()
        for _ in range(_ROUNDS):
            if self._current is None or time.monotonic() - self._read_at > READ_AGAIN_SECONDS:
                self._current = _transfer(self._target)
                self._read_at = time.monotonic()
            known, self._current = self._current, None
            changes, published.foreign = _compare(self._target, known, desired)
            published.refused = False
            for start in range(0, len(changes), CHUNK_NAMES):
                chunk = changes[start : start + CHUNK_NAMES]
                if not _send(self._target, chunk, published):
                    continue
                for change in chunk:
                    _note(self._target, known, change)
            if not published.refused:
                self._current = known
                break
        return published


def _desired(target: Target, record_sets: Iterable[RecordSet]) -> dict[dns.name.Name, Sets]:
    desired: dict[dns.name.Name, dict[dns.rdatatype.RdataType, dns.rdataset.Rdataset]] = {}
    for owner, ttl, kind, data in record_sets:
        name = dns.name.from_text(owner)
        record_type = dns.rdatatype.from_text(kind)
        if record_type in _NOT_OURS or name == target.zone:
            continue
        rdataset = dns.rdataset.from_text("IN", record_type, ttl, *data)
        desired.setdefault(name, {})[record_type] = rdataset
    return dict(desired)


def _transfer(target: Target) -> dict[dns.name.Name, Sets]:
    zone = dns.zone.Zone(target.zone, relativize=False)
    query, _ = dns.xfr.make_query(zone, keyring=_keyring(target), keyname=_key_name(target))
    try:
        dns.query.inbound_xfr(
            target.host, zone, query, port=target.port, timeout=_SECONDS, lifetime=60 * _SECONDS
        )
    except _NO_ANSWER as failure:
        raise PublishFailed(
            f"cannot transfer `{target.zone}` from {target.host}: {failure}",
            "the server must allow transfers and updates with the key",
        ) from failure
    return {
        name: {one.rdtype: one for one in node.rdatasets if one.rdtype not in _NOT_OURS}
        for name, node in zone.nodes.items()
    }


def _compare(
    target: Target, current: Mapping[dns.name.Name, Sets], desired: Mapping[dns.name.Name, Sets]
) -> tuple[list[_Change], list[str]]:
    """What is to be written, and the names that are somebody else's."""
    foreign = []
    marker = _marker(target)
    owned = {
        name.parent()
        for name, sets in current.items()
        if name.labels[0] == _MARKER.labels[0] and sets.get(dns.rdatatype.TXT) == marker
    }
    changes = []
    for name in sorted(desired.keys() | owned):
        before, after = current.get(name, {}), desired.get(name, {})
        if name not in owned and before:
            foreign.append(name.to_text())
        elif name not in owned or not _is_same(before, after):
            changes.append(_Change(name, before if name in owned else {}, after))
    return changes, foreign


def _is_same(one: Sets, other: Sets) -> bool:
    return one.keys() == other.keys() and all(
        one[kind] == other[kind] and one[kind].ttl == other[kind].ttl for kind in one
    )


def _note(target: Target, current: dict[dns.name.Name, Sets], change: _Change) -> None:
    """Brings what the zone holds up to date with a change that was written."""
    mark = _MARKER.concatenate(change.name)
    if change.after:
        current[change.name] = change.after
        current[mark] = {dns.rdatatype.TXT: _marker(target)}
    else:
        current.pop(change.name, None)
        current.pop(mark, None)


def _send(target: Target, changes: Sequence[_Change], published: Published) -> bool:
    """Sends an update; returns whether all of it was written."""
    update = dns.update.UpdateMessage(
        target.zone, keyring=_keyring(target), keyname=_key_name(target)
    )
    for change in changes:
        _write(target, update, change)
    rcode = _exchange(target, update)
    if rcode in _REFUSED_BY_PREREQUISITE:
        # Somebody has changed one of the names since they were read; the others can be written.
        published.refused = True
        if len(changes) > 1:
            for change in changes:
                _send(target, [change], published)
        else:
            published.foreign.append(changes[0].name.to_text())
        return False
    if rcode != dns.rcode.NOERROR:
        raise PublishFailed(
            f"{target.host} refused an update of `{target.zone}`: {dns.rcode.to_text(rcode)}"
        )
    published.added += sum(not change.before for change in changes)
    published.removed += sum(not change.after for change in changes)
    published.changed += sum(bool(change.before and change.after) for change in changes)
    return True


def _write(target: Target, update: dns.update.UpdateMessage, change: _Change) -> None:
    """Writes what differs, and that the name must be ours, or nobody's."""
    mark = _MARKER.concatenate(change.name)
    if change.before:
        update.present(mark, dns.rdatatype.TXT, *(one.to_text() for one in _marker(target)))
    else:
        update.absent(change.name)
        update.absent(mark)
        update.add(mark, _marker(target))
    for kind, before in change.before.items():
        after = change.after.get(kind)
        if after is None or after.ttl != before.ttl:
            update.delete(change.name, kind)
            continue
        gone = [record for record in before if record not in after]
        for record in gone:
            update.delete(change.name, record)
    for kind, after in change.after.items():
        old = change.before.get(kind)
        for record in after:
            if old is None or old.ttl != after.ttl or record not in old:
                update.add(change.name, after.ttl, record)
    if not change.after:
        update.delete(mark, dns.rdatatype.TXT)


def _exchange(
    target: Target, update: dns.update.UpdateMessage, wait: Callable[[float], None] = time.sleep
) -> dns.rcode.Rcode:
    failure: object = None
    for attempt in range(ATTEMPTS):
        if attempt:
            wait(0.25 * 2**attempt)
        try:
            response = dns.query.tcp(update, target.host, port=target.port, timeout=_SECONDS)
        except _NO_ANSWER as error:
            failure = error
            continue
        if response.rcode() != dns.rcode.SERVFAIL:
            return response.rcode()
        failure = "SERVFAIL"
    raise PublishFailed(f"{target.host} did not take an update of `{target.zone}`: {failure}")


def _marker(target: Target) -> dns.rdataset.Rdataset:
    return dns.rdataset.from_text("IN", "TXT", 0, f'"kpx owner={target.owner}"')


def _keyring(target: Target) -> dns.tsig.Key | None:
    return target.key


def _key_name(target: Target) -> dns.name.Name | None:
    return target.key.name if target.key else None


def resolve(server: str) -> tuple[str, int]:
    """The address and port of `HOST`, `HOST:PORT` or `[HOST]:PORT`.

    Raises:
        PublishFailed: There is no such host.
    """
    host, separator, port = server.rpartition(":")
    if not separator or (":" in host and not host.startswith("[")):
        host, port = server, "53"
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError) as failure:
        raise PublishFailed(f"`{server}` is not a name server: {failure}") from failure
    return str(found[0][4][0]), int(port)
