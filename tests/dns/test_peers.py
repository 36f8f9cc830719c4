"""Other name servers, as Debian ships them, with what kpx gives them."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.update
import dns.zone
import pytest

from dns_cluster import SQL, endpoint, manifest, slice_of
from kpx._core import DnsStore
from kpx.dns import write_zone_file, zone_text
from kpx.dns.publish import PublishFailed, Target, publish, read_key

Address = tuple[str, int]
Start = Callable[..., int]
ZONE = "cluster.local"
REVERSE = "10.in-addr.arpa"
KEY = 'key "kpx" { algorithm hmac-sha256; secret "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"; };\n'
QUESTIONS = [
    (f"{name}.{ZONE}.", kind)
    for name in (
        "web.shop.svc",
        "db.shop.svc",
        "db-0.db.shop.svc",
        "_sql._tcp.db.shop.svc",
        "_tcp.db.shop.svc",
        "_no._tcp.db.shop.svc",
        "shop.svc",
        "no.svc",
        "svc",
        "asleep.shop.svc",
        "lost.shop.svc",
        "here.shop.svc",
        "away.shop.svc",
        "dns-version",
        "dns",
    )
    for kind in ("A", "AAAA", "SRV", "TXT", "MX")
] + [
    (f"{name}.in-addr.arpa.", kind)
    for name in ("10", "96.10", "97.10", "10.0.96.10", "7.1.244.10", "9.9.9.10")
    for kind in ("PTR", "A")
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start() -> Iterator[Callable[[list[str], Path, int], None]]:
    """Starts a name server in the foreground, waits until it answers, and ends it."""
    with ExitStack() as stack:

        def started(command: list[str], directory: Path, port: int) -> None:
            path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin"))
            program = shutil.which(command[0], path=path)
            assert program, f"{command[0]} is not installed"
            log = stack.enter_context((directory / "log").open("wb"))
            process = subprocess.Popen([program, *command[1:]], stdout=log, stderr=log)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            wait_for(lambda: ask(("127.0.0.1", port), f"{ZONE}.", "SOA").rcode() == 0)

        yield started


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while True:
        try:
            if condition():
                return
        except (OSError, dns.exception.DNSException):
            pass
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def ask(server: Address, name: str, kind: str) -> dns.message.Message:
    query = dns.message.make_query(name, kind, flags=0)
    return dns.query.tcp(query, server[0], port=server[1], timeout=5)


def same(one: Address, other: Address) -> int:
    """Asks both servers everything; returns how many answers had records."""
    count = 0
    for name, kind in QUESTIONS:
        first, second = ask(one, name, kind), ask(other, name, kind)
        assert first.rcode() == second.rcode(), (name, kind)
        assert first.answer == second.answer, (name, kind)
        soas = [{rrset.rdtype for rrset in message.authority} for message in (first, second)]
        if not first.answer:
            assert soas[0] == soas[1] == {dns.rdatatype.SOA}, (name, kind)
        count += bool(first.answer)
    return count


def named(directory: Path, port: int, zones: str) -> list[str]:
    (directory / "named.conf").write_text(
        KEY
        + f'options {{ directory "{directory}"; listen-on port {port} {{ 127.0.0.1; }};'
        + " listen-on-v6 { none; }; recursion no; pid-file none; notify no;"
        + " dnssec-validation no; empty-zones-enable no;"
        + f' session-keyfile "{directory}/session.key"; }};\ncontrols {{ }};\n'
        + zones
    )
    return ["named", "-g", "-n", "1", "-c", str(directory / "named.conf")]


def files(store: DnsStore, directory: Path) -> dict[str, Path]:
    written = {zone: directory / f"{zone}.zone" for zone in (ZONE, REVERSE)}
    for zone, path in written.items():
        assert write_zone_file(path, zone_text(store.records(zone)))
    return written


def test_bind_answers_from_the_zone_file_as_kpx_does(
    store: DnsStore, server: Address, start: Start, tmp_path: Path
) -> None:
    port = free_port()
    zones = "".join(
        f'zone "{zone}" {{ type primary; file "{path}"; check-names ignore; }};\n'
        for zone, path in files(store, tmp_path).items()
    )
    start(named(tmp_path, port, zones), tmp_path, port)
    assert same(server, ("127.0.0.1", port)) > 15


@pytest.mark.parametrize("peer", ["bind", "knot"])
def test_secondaries_transfer_the_zones(
    server: Address, start: Start, tmp_path: Path, peer: str
) -> None:
    port = free_port()
    if peer == "bind":
        zones = "".join(
            f'zone "{zone}" {{ type secondary; primaries {{ 127.0.0.1 port {server[1]}; }};'
            " check-names ignore; masterfile-format text; };\n"
            for zone in (ZONE, REVERSE)
        )
        command = named(tmp_path, port, zones)
    else:
        (tmp_path / "knot.conf").write_text(
            f"server:\n  rundir: {tmp_path}\n  listen: 127.0.0.1@{port}\n"
            f"database:\n  storage: {tmp_path}\n"
            f"remote:\n  - id: kpx\n    address: 127.0.0.1@{server[1]}\n"
            f"template:\n  - id: default\n    storage: {tmp_path}\n    master: kpx\n"
            f"zone:\n  - domain: {ZONE}\n  - domain: {REVERSE}\n"
        )
        command = ["knotd", "-c", str(tmp_path / "knot.conf")]
    start(command, tmp_path, port)
    wait_for(lambda: ask(("127.0.0.1", port), f"{REVERSE}.", "SOA").rcode() == 0)
    assert same(server, ("127.0.0.1", port)) > 15


def test_transfers_are_for_those_who_may(store: DnsStore) -> None:
    from kpx._core import DnsServer

    closed = DnsServer(store, "127.0.0.1:0", 1, ["192.0.2.0/24"])
    try:
        address = closed.address()
        assert address
        port = int(address.rsplit(":", 1)[1])
        assert ask(("127.0.0.1", port), ZONE, "AXFR").rcode() == dns.rcode.REFUSED
    finally:
        closed.stop()


@pytest.fixture
def primary(start: Start, tmp_path: Path) -> Target:
    """A BIND that takes updates signed with a key, with a record of somebody else."""
    port = free_port()
    (tmp_path / "zone").write_text(
        f"$ORIGIN {ZONE}.\n@ 60 IN SOA ns hostmaster 1 60 60 60 60\n@ 60 IN NS ns\n"
        "ns 60 IN A 192.0.2.53\nplain.shop.svc 60 IN A 192.0.2.99\nmail 60 IN A 192.0.2.25\n"
    )
    zone = (
        f'zone "{ZONE}" {{ type primary; file "{tmp_path}/zone"; check-names ignore;'
        ' allow-update { key "kpx"; }; allow-transfer { key "kpx"; }; };\n'
    )
    start(named(tmp_path, port, zone), tmp_path, port)
    (tmp_path / "key").write_text(KEY)
    return Target("127.0.0.1", port, dns.name.from_text(ZONE), read_key(tmp_path / "key"), "kpx")


def test_updates_write_what_differs_and_leave_others_alone(
    store: DnsStore, primary: Target
) -> None:
    address = (primary.host, primary.port)
    first = publish(primary, store.records(ZONE))
    assert first.added > 15
    assert (first.changed, first.removed) == (0, 0)
    assert first.foreign == [f"plain.shop.svc.{ZONE}."]
    assert str(ask(address, f"plain.shop.svc.{ZONE}", "A").answer[0][0]) == "192.0.2.99"
    assert str(ask(address, f"mail.{ZONE}", "A").answer[0][0]) == "192.0.2.25"
    for name in ("web", "db", "db-0.db", "_sql._tcp.db", "away"):
        for kind in ("A", "AAAA", "SRV", "CNAME"):
            response = ask(address, f"{name}.shop.svc.{ZONE}", kind)
            wanted = json.loads(store.query(f"{name}.shop.svc.{ZONE}", kind))["answer"]
            got = {str(record) for rrset in response.answer for record in rrset}
            assert got == {record["data"] for record in wanted}, (name, kind)

    assert publish(primary, store.records(ZONE)).total == 0

    changed = slice_of("peers", "peers-1", [endpoint("10.244.3.2", "peer-0")], SQL)
    store.feed(json.dumps(changed).encode())
    serial = ask(address, ZONE, "SOA").answer[0][0].serial
    second = publish(primary, store.records(ZONE))
    assert second.changed == 2  # the Service and its host name
    assert second.added == 1  # the port's name
    assert second.removed == 0
    assert ask(address, ZONE, "SOA").answer[0][0].serial == serial + 1

    empty = DnsStore(json.dumps({"zone": ZONE, "ttl": 5}))
    empty.complete()
    third = publish(primary, [row for row in empty.records(ZONE) if row[2] == "SOA"])
    assert third.removed == first.added + 1
    assert ask(address, f"web.shop.svc.{ZONE}", "A").rcode() == dns.rcode.NXDOMAIN
    assert str(ask(address, f"plain.shop.svc.{ZONE}", "A").answer[0][0]) == "192.0.2.99"


def test_updates_with_another_key_fail(store: DnsStore, primary: Target, tmp_path: Path) -> None:
    (tmp_path / "other").write_text(KEY.replace("c2VjcmV0", "b3RoZXJv"))
    key = read_key(tmp_path / "other")
    stranger = Target(primary.host, primary.port, primary.zone, key, "kpx")
    with pytest.raises(PublishFailed, match="cannot transfer"):
        publish(stranger, store.records(ZONE))
    (tmp_path / "nothing").write_text("no key")
    with pytest.raises(PublishFailed, match="no TSIG key"):
        read_key(tmp_path / "nothing")


def test_publish_command(primary: Target, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest())
    command = [sys.executable, "-m", "kpx", "dns", "publish", "-f", str(tmp_path / "manifest.json")]
    command += ["--server", f"127.0.0.1:{primary.port}", "--tsig-key-file", str(tmp_path / "key")]
    first = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert first.returncode == 3, first.stderr
    assert "belongs to somebody else" in first.stderr
    assert "0 changed, 0 removed" in first.stdout
    again = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert again.stdout == f"{ZONE}: 0 names added, 0 changed, 0 removed\n"
