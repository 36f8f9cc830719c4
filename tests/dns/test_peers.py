"""Other name servers, as Debian ships them, with what kpx gives them."""

import json
import random
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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
from dns_peers import (
    KEY,
    SECRET,
    ZONE,
    Address,
    Peers,
    ask,
    free_port,
    knotd,
    named,
    wait_for,
)
from kpx._core import DnsStore
from kpx.dns import write_zone_file, zone_text
from kpx.dns.publish import Publisher, PublishFailed, Target, read_key

REVERSE = "10.in-addr.arpa"
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


def files(store: DnsStore, directory: Path) -> dict[str, Path]:
    written = {zone: directory / f"{zone}.zone" for zone in (ZONE, REVERSE)}
    for zone, path in written.items():
        assert write_zone_file(path, zone_text(store.records(zone)))
    return written


@pytest.mark.parametrize("peer", ["bind", "knot"])
def test_zone_files_are_answered_from_as_kpx_answers(
    store: DnsStore, server: Address, peers: Peers, tmp_path: Path, peer: str
) -> None:
    port = free_port()
    written = files(store, tmp_path)
    if peer == "bind":
        zones = "".join(
            f'zone "{zone}" {{ type primary; file "{path}"; check-names ignore; }};\n'
            for zone, path in written.items()
        )
        peers.start(named(tmp_path, port, zones), tmp_path, port)
    else:
        zones = "".join(f"  - domain: {zone}\n    file: {path}\n" for zone, path in written.items())
        peers.start(knotd(tmp_path, port, f"zone:\n{zones}"), tmp_path, port)
    assert same(server, ("127.0.0.1", port)) > 15


@pytest.mark.parametrize("peer", ["bind", "knot"])
def test_p10_secondaries_transfer_the_zones(
    server: Address, peers: Peers, tmp_path: Path, peer: str
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
        command = knotd(
            tmp_path,
            port,
            f"remote:\n  - id: kpx\n    address: 127.0.0.1@{server[1]}\n"
            f"template:\n  - id: default\n    storage: {tmp_path}\n    master: kpx\n"
            f"zone:\n  - domain: {ZONE}\n  - domain: {REVERSE}\n",
        )
    peers.start(command, tmp_path, port)
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


@pytest.fixture(params=["bind", "knot"])
def primary(peers: Peers, tmp_path: Path, request: pytest.FixtureRequest) -> Target:
    """A name server that takes updates signed with a key, with records of somebody else."""
    port = free_port()
    (tmp_path / "zone").write_text(
        f"$ORIGIN {ZONE}.\n@ 60 IN SOA ns hostmaster 1 60 60 60 60\n@ 60 IN NS ns\n"
        "ns 60 IN A 192.0.2.53\nplain.shop.svc 60 IN A 192.0.2.99\nmail 60 IN A 192.0.2.25\n"
    )
    (tmp_path / "reverse").write_text(
        f"$ORIGIN {REVERSE}.\n@ 60 IN SOA ns.{ZONE}. hostmaster.{ZONE}. 1 60 60 60 60\n"
        f"@ 60 IN NS ns.{ZONE}.\n9.9.9 60 IN PTR printer.example.org.\n"
    )
    written = {ZONE: tmp_path / "zone", REVERSE: tmp_path / "reverse"}
    if request.param == "bind":
        zones = "".join(
            f'zone "{zone}" {{ type primary; file "{path}"; check-names ignore;'
            ' allow-update { key "kpx"; }; allow-transfer { key "kpx"; }; };\n'
            for zone, path in written.items()
        )
        peers.start(named(tmp_path, port, zones), tmp_path, port)
    else:
        zones = (
            f"key:\n  - id: kpx\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"
            "acl:\n  - id: kpx\n    key: kpx\n    action: [update, transfer]\n"
            "zone:\n"
        ) + "".join(
            f"  - domain: {zone}\n    file: {path}\n    acl: kpx\n"
            for zone, path in written.items()
        )
        peers.start(knotd(tmp_path, port, zones), tmp_path, port)
    (tmp_path / "key").write_text(KEY)
    return Target("127.0.0.1", port, dns.name.from_text(ZONE), read_key(tmp_path / "key"), "kpx")


def test_updates_write_what_differs_and_leave_others_alone(
    store: DnsStore, primary: Target
) -> None:
    address = (primary.host, primary.port)
    first = Publisher(primary).publish(store.records(ZONE))
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

    assert Publisher(primary).publish(store.records(ZONE)).total == 0

    changed = slice_of("peers", "peers-1", [endpoint("10.244.3.2", "peer-0")], SQL)
    store.feed(json.dumps(changed).encode())
    serial = ask(address, ZONE, "SOA").answer[0][0].serial
    second = Publisher(primary).publish(store.records(ZONE))
    assert second.changed == 2  # the Service and its host name
    assert second.added == 1  # the port's name
    assert second.removed == 0
    assert ask(address, ZONE, "SOA").answer[0][0].serial == serial + 1

    empty = DnsStore(json.dumps({"zone": ZONE, "ttl": 5}))
    empty.complete()
    third = Publisher(primary).publish([row for row in empty.records(ZONE) if row[2] == "SOA"])
    assert third.removed == first.added + 1
    assert ask(address, f"web.shop.svc.{ZONE}", "A").rcode() == dns.rcode.NXDOMAIN
    assert str(ask(address, f"plain.shop.svc.{ZONE}", "A").answer[0][0]) == "192.0.2.99"


def test_updates_with_another_key_fail(store: DnsStore, primary: Target, tmp_path: Path) -> None:
    (tmp_path / "other").write_text(KEY.replace("c2VjcmV0", "b3RoZXJv"))
    key = read_key(tmp_path / "other")
    stranger = Target(primary.host, primary.port, primary.zone, key, "kpx")
    with pytest.raises(PublishFailed, match="cannot transfer"):
        Publisher(stranger).publish(store.records(ZONE))
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


def services(count: int) -> bytes:
    items = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"many-{number}", "namespace": "shop"},
            "spec": {"clusterIP": f"10.97.{number // 250}.{number % 250}", "ports": [{"port": 80}]},
        }
        for number in range(count)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()


def test_updates_go_in_chunks_and_reverse_names_too(store: DnsStore, primary: Target) -> None:
    address = (primary.host, primary.port)
    Publisher(primary).publish(store.records(ZONE))
    serial = ask(address, ZONE, "SOA").answer[0][0].serial
    store.feed(services(250))
    assert Publisher(primary).publish(store.records(ZONE)).added == 250
    assert ask(address, ZONE, "SOA").answer[0][0].serial == serial + 3, "a hundred in each"

    reverse = replace(primary, zone=dns.name.from_text(REVERSE))
    done = Publisher(reverse).publish(store.records(REVERSE))
    assert (done.foreign, done.changed, done.removed) == ([], 0, 0)
    pointer = ask(address, f"7.0.97.{REVERSE}", "PTR").answer[0][0]
    assert str(pointer) == f"many-7.shop.svc.{ZONE}."
    pointer = ask(address, f"9.9.9.{REVERSE}", "PTR").answer[0][0]
    assert str(pointer) == "printer.example.org.", "that of somebody else"
    assert Publisher(reverse).publish(store.records(REVERSE)).total == 0


class Flaky(socketserver.ThreadingTCPServer):
    """Stands before a server, and closes some connections before the question or the answer."""

    daemon_threads = True

    def __init__(self, behind: Address, before: set[int], after: set[int]) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind, self.before, self.after, self.number = behind, before, after, 0


class Passing(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Flaky)
        self.server.number += 1
        number = self.server.number
        if number in self.server.before:
            return
        with socket.create_connection(self.server.behind, timeout=10) as onward:
            pairs = {self.request: onward, onward: self.request}
            while True:
                for one in select.select(list(pairs), [], [], 10)[0]:
                    data = one.recv(65536)
                    if not data or (number in self.server.after and one is onward):
                        return
                    pairs[one].sendall(data)


def test_update_without_an_answer_is_sent_again(store: DnsStore, primary: Target) -> None:
    # The first connection is the transfer, the next is an update that does not arrive, and then one
    # that counts though nobody hears of it: what is refused after that is ours.
    with Flaky((primary.host, primary.port), {2}, {3}) as flaky:
        thread = threading.Thread(target=flaky.serve_forever, args=(0.05,))
        thread.start()
        try:
            through = replace(primary, port=flaky.server_address[1])
            done = Publisher(through).publish(store.records(ZONE))
            assert done.foreign == [f"plain.shop.svc.{ZONE}."]
        finally:
            flaky.shutdown()
            thread.join()
    assert Publisher(primary).publish(store.records(ZONE)).total == 0


def test_names_changed_by_others_meanwhile_are_left_alone(store: DnsStore, primary: Target) -> None:
    publisher = Publisher(primary)
    publisher.publish(store.records(ZONE))
    # Somebody takes a name over behind our back: without our mark it is theirs.
    update = dns.update.UpdateMessage(primary.zone, keyring=primary.key)
    update.delete(f"_kpx.web.shop.svc.{ZONE}.")
    update.replace(f"web.shop.svc.{ZONE}.", 60, "A", "192.0.2.77")
    assert dns.query.tcp(update, primary.host, port=primary.port, timeout=5).rcode() == 0
    for name, cluster_ip in (("web", "10.96.0.88"), ("other", "10.96.0.89")):
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"clusterIP": cluster_ip, "ports": [{"port": 80}]},
        }
        store.feed(json.dumps(service).encode())
    second = publisher.publish(store.records(ZONE))
    assert f"web.shop.svc.{ZONE}." in second.foreign
    address = (primary.host, primary.port)
    assert str(ask(address, f"web.shop.svc.{ZONE}", "A").answer[0][0]) == "192.0.2.77"
    assert str(ask(address, f"other.shop.svc.{ZONE}", "A").answer[0][0]) == "10.96.0.89"


def test_whatever_happens_names_are_ours_or_theirs(primary: Target) -> None:
    """Services come, change and go, and somebody else writes to the same zone."""
    random.seed(3)
    store = DnsStore(json.dumps({"zone": ZONE, "ttl": 5}))
    store.complete()
    publisher = Publisher(primary)
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    for step in range(60):
        label = f"s{random.randrange(6)}"
        name = f"{label}.shop.svc.{ZONE}."
        metadata = {"name": label, "namespace": "shop"}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
        match random.randrange(5):
            case 0 | 1:
                ours[name] = f"10.96.1.{step}"
                spec = {"clusterIP": ours[name], "ports": [{"name": "http", "port": 80}]}
                store.feed(json.dumps({**service, "spec": spec}).encode())
            case 2:
                ours.pop(name, None)
                gone = {"type": "DELETED", "object": {**service, "spec": {}}}
                store.feed_event(json.dumps(gone).encode())
            case 3 if name not in ours and name not in theirs:
                theirs[name] = f"192.0.2.{step}"
                update = dns.update.UpdateMessage(primary.zone, keyring=primary.key)
                update.add(name, 60, "A", theirs[name])
                assert (
                    dns.query.tcp(update, primary.host, port=primary.port, timeout=9).rcode() == 0
                )
            case 4 if name in theirs:
                del theirs[name]
                update = dns.update.UpdateMessage(primary.zone, keyring=primary.key)
                update.delete(name)
                assert (
                    dns.query.tcp(update, primary.host, port=primary.port, timeout=9).rcode() == 0
                )
                # That a name is free again is only seen when the zone is read.
                publisher = Publisher(primary)
        done = publisher.publish(store.records(ZONE))
        assert set(done.foreign) == ours.keys() & theirs.keys()
        for number in range(6):
            name = f"s{number}.shop.svc.{ZONE}."
            response = ask((primary.host, primary.port), name, "A")
            found = {str(record) for rrset in response.answer for record in rrset}
            assert found == {*filter(None, [theirs.get(name) or ours.get(name)])}, (step, name)
            port = ask((primary.host, primary.port), f"_http._tcp.{name}", "SRV")
            assert bool(port.answer) == (name in ours), (step, name)
    assert Publisher(primary).publish(store.records(ZONE)).total == 0


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "kpx", "dns", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        _, complaints = process.communicate(timeout=30)
        assert process.returncode in (0, 3), complaints
    finally:
        process.kill()
        process.communicate()


def write_manifest(path: Path, *extra: dict[str, object]) -> None:
    """Replaces a manifest as a whole."""
    document = json.loads(manifest())
    document["items"] += extra
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(document))
    fresh.replace(path)


NEW: dict[str, object] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "new", "namespace": "shop"},
    "spec": {"clusterIP": "10.96.0.77", "ports": [{"port": 80}]},
}


def test_publish_follows_changes(primary: Target, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_manifest(path)
    command = ["publish", "--watch", "-f", str(path), "--server", f"127.0.0.1:{primary.port}"]
    address = (primary.host, primary.port)
    with running([*command, "--tsig-key-file", str(tmp_path / "key")]):
        name = f"new.shop.svc.{ZONE}"
        wait_for(lambda: ask(address, f"web.shop.svc.{ZONE}", "A").rcode() == 0)
        assert ask(address, name, "A").rcode() == dns.rcode.NXDOMAIN
        serial = ask(address, ZONE, "SOA").answer[0][0].serial
        write_manifest(path, NEW)
        wait_for(lambda: ask(address, name, "A").rcode() == 0)
        assert ask(address, ZONE, "SOA").answer[0][0].serial == serial + 1
        write_manifest(path)
        wait_for(lambda: ask(address, name, "A").rcode() == dns.rcode.NXDOMAIN)


def test_zone_file_follows_changes_and_knot_is_told(peers: Peers, tmp_path: Path) -> None:
    port, path, zone = free_port(), tmp_path / "manifest.json", tmp_path / "file.zone"
    write_manifest(path)
    config = tmp_path / "knot.conf"
    # The command of the name server, with arguments that a shell would take apart.
    tell = tmp_path / "tell it; now"
    # It fails the first time, and is told again.
    tell.write_text(
        f"#!/bin/sh\necho told >>{tmp_path}/told\n"
        f'[ "$(wc -l <{tmp_path}/told)" -gt 1 ] && exec knotc -c "$1" zone-reload {ZONE}\n'
    )
    tell.chmod(0o755)
    command = ["zone", "-f", str(path), "--address", "127.0.0.1", "-o", str(zone)]
    first = subprocess.run(
        [sys.executable, "-m", "kpx", "dns", *command], capture_output=True, text=True, timeout=50
    )
    assert first.returncode == 3, first.stderr
    peers.start(
        knotd(tmp_path, port, f"zone:\n  - domain: {ZONE}\n    file: {zone}\n"), tmp_path, port
    )
    address = ("127.0.0.1", port)
    with running([*command, "--watch", "--", str(tell), str(config)]) as process:
        assert process.stderr
        while "nothing to change" not in process.stderr.readline():
            pass
        serial = ask(address, ZONE, "SOA").answer[0][0].serial
        write_manifest(path, NEW)
        wait_for(lambda: ask(address, f"new.shop.svc.{ZONE}", "A").rcode() == 0)
        assert ask(address, ZONE, "SOA").answer[0][0].serial > serial
        assert (tmp_path / "told").read_text() == "told\n" * 2


def test_failed_reload_is_an_error(tmp_path: Path) -> None:
    path, zone = tmp_path / "manifest.json", tmp_path / "file.zone"
    write_manifest(path)
    command = ["zone", "-f", str(path), "--address", "127.0.0.1", "-o", str(zone), "--"]
    for hook, complaint in (("false", "ended with status 1"), ("/no/such", "cannot run")):
        zone.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "kpx", "dns", *command, hook],
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 1
        assert complaint in done.stderr
        assert zone.exists()


def test_reverse_zones_between_octets_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_manifest(path)
    command = ["query", "x", "-f", str(path), "--reverse-zone", "10.96.0.0/12"]
    done = subprocess.run(
        [sys.executable, "-m", "kpx", "dns", *command], capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 1
    assert "`10.96.0.0/12` is not a multiple of 8" in done.stderr
    assert "name the ranges that it is made of" in done.stderr
