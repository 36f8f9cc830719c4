"""Clients that mean no good: nothing ends, nobody else waits, and memory stays bounded."""

import random
import re
import resource
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from dns_cluster import manifest
from dns_peers import Address

WEB = "web.shop.svc.cluster.local."
MEMORY_KIB = 64 << 10
"""How much more memory attacks may take; 256 connections of 64 KiB each are a quarter of it."""


class Served:
    """`kpx dns serve` in a process of its own, whose memory can be measured."""

    def __init__(self, process: "subprocess.Popen[str]", address: Address) -> None:
        self._process = process
        self.address = address

    def status(self, field: str) -> int:
        """A number of /proc/PID/status, such as `VmHWM` in KiB, or `Threads`."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"^{field}:\s*(\d+)", text, re.MULTILINE)
        assert found
        return int(found.group(1))

    def answers(self) -> None:
        """Asks over UDP and TCP, as clients do: again if an answer is lost."""
        query = dns.message.make_query(WEB, "A")
        for attempt in range(5):
            try:
                response = dns.query.udp(query, self.address[0], port=self.address[1], timeout=4)
                break
            except dns.exception.Timeout:
                assert attempt < 4, "no answer"
        assert str(response.answer[0][0]) == "10.96.0.10"
        response = dns.query.tcp(query, self.address[0], port=self.address[1], timeout=10)
        assert str(response.answer[0][0]) == "10.96.0.10"

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=10)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "manifest.json").write_bytes(manifest())
    command = [sys.executable, "-m", "kpx", "dns", "serve", "-f", str(tmp_path / "manifest.json")]
    command += ["--listen", "127.0.0.1:0", "--http", "none", "--threads", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        line = ""
        while "answering" not in line:
            line = process.stderr.readline()
            assert line, "it does not start"
        served = Served(process, ("127.0.0.1", int(line.rsplit(":", 1)[1])))
        served.answers()
        yield served
        assert process.poll() is None, "it has ended"
        served.answers()
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


@contextmanager
def bounded(served: Served) -> Iterator[None]:
    """What is done within takes no more memory than it may."""
    before = served.status("VmRSS")
    yield
    grown = served.status("VmHWM") - before
    assert grown < MEMORY_KIB, f"{grown} KiB"


@contextmanager
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_idle_connections(served: Served) -> None:
    idle: list[socket.socket] = []
    with bounded(served), many_files():
        try:
            idle = [served.connect() for _ in range(1000)]
            served.answers()
            # The first were closed to make room for the last.
            assert idle[0].recv(1) == b""
            assert served.status("Threads") < 300
        finally:
            for client in idle:
                client.close()


def test_slow_clients(served: Served) -> None:
    """Half of a message of 64 KiB each, and a byte from time to time."""
    slow: list[socket.socket] = []
    with bounded(served):
        try:
            for _ in range(250):
                client = served.connect()
                client.sendall(struct.pack("!H", 65535) + bytes(32_000))
                slow.append(client)
            started = time.monotonic()
            while time.monotonic() - started < 6:
                for client in slow[::10]:
                    try:
                        client.send(b"\0")
                    except OSError:
                        continue
                served.answers()
            # Whoever takes longer than 5 s for a message is no longer waited for.
            readable, _, _ = select.select(slow, [], [], 10)
            assert readable
        finally:
            for client in slow:
                client.close()


def test_who_never_reads(served: Served) -> None:
    """Questions with large answers, one after the other, and none of the answers read."""
    query = dns.message.make_query(WEB, "SRV").to_wire()
    framed = (struct.pack("!H", len(query)) + query) * 2000
    deaf: list[socket.socket] = []
    with bounded(served):
        try:
            for _ in range(40):
                client = served.connect()
                client.setblocking(False)
                deaf.append(client)
                for _ in range(20):
                    try:
                        client.send(framed)
                    except BlockingIOError:
                        break
            served.answers()
        finally:
            for client in deaf:
                client.close()


def test_messages_of_64_kib(served: Served) -> None:
    query = dns.message.make_query(WEB, "A").to_wire()
    options = query[:10] + struct.pack("!H", 5900) + query[12:] + (b"\0\0\x29" + bytes(8)) * 5900
    random.seed(7)
    with bounded(served):
        for message in (
            random.randbytes(65535),
            query + bytes(65535 - len(query)),
            options[:65535],
        ):
            for _ in range(400):
                with served.connect() as client:
                    client.sendall(struct.pack("!H", len(message)) + message)
                    client.recv(2)
        served.answers()


def loops() -> list[bytes]:
    """Messages whose names never end, or lead out of them."""
    header = b"\x01\x02\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
    question = b"\x03web\x00\x00\x01\x00\x01"
    names = [b"\xc0\x0c", b"\xc0\x0e\xc0\x0c", b"\xc0\xff", b"\xff\xff", b"\x01a\xc0\x0c", b"\x80a"]
    # A pointer to itself, where the record is.
    names.append(b"\xc0" + bytes([len(header) + len(question)]))
    tail = b"\x00\x01\x00\x01"
    record = b"\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
    return [header + name + tail for name in names] + [
        header + question + name + record for name in names
    ]


def fuzzed(count: int) -> Iterator[bytes]:
    """Questions with some bytes changed, cut, added or repeated."""
    random.seed(11)
    seeds = [
        dns.message.make_query(WEB, kind, use_edns=edns, want_dnssec=edns == 0).to_wire()
        for kind in ("A", "SRV", "TXT", "AXFR", "ANY")
        for edns in (-1, 0)
    ]
    for _ in range(count):
        message = bytearray(random.choice(seeds))
        for _ in range(random.randint(1, 6)):
            at = random.randrange(len(message))
            match random.randrange(4):
                case 0:
                    message[at] = random.randrange(256)
                case 1:
                    message[at:at] = random.choice([b"\xc0\x0c", b"\xff" * 9, b"\0" * 40])
                case 2:
                    del message[at : at + random.randint(1, 20)]
                case _:
                    message += message[at : at + 30]
            message = message or bytearray(b"\0")
        yield bytes(message)


def test_compression_loops_and_fuzzed_messages(served: Served) -> None:
    messages = loops() * 20 + list(fuzzed(4000))
    with bounded(served):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(served.address)
            for number, message in enumerate(messages):
                client.send(message)
                # More at a time than the socket takes would be lost.
                if number % 100 == 0:
                    served.answers()
        for start in range(0, len(messages), 20):
            with served.connect() as stream:
                for message in messages[start : start + 20]:
                    try:
                        stream.sendall(struct.pack("!H", len(message)) + message)
                    except OSError:
                        break


def test_everything_at_once(served: Served) -> None:
    idle: list[socket.socket] = []
    stop = threading.Event()

    def flood() -> None:
        query = dns.message.make_query(WEB, "A").to_wire()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(served.address)
            for number in range(200_000):
                if stop.is_set():
                    break
                client.send(query)
                if number % 50 == 0:
                    time.sleep(0.002)

    with bounded(served), many_files():
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            for number in range(400):
                client = served.connect()
                client.sendall(struct.pack("!H", 65535) + bytes(number * 50))
                idle.append(client)
            for _ in range(5):
                served.answers()
        finally:
            stop.set()
            thread.join()
            for client in idle:
                client.close()


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [
        (b"\x01\x02\x01\x00" + bytes(8), dns.rcode.FORMERR),
        (b"\x01\x02\x01\x00\x00\x01" + bytes(6) + b"\xc0\x0c\x00\x01\x00\x01", dns.rcode.FORMERR),
        (b"\x01\x02\x01\x00\x00\x01" + bytes(6) + b"\x3fabc", dns.rcode.FORMERR),
        (b"\x01\x02\x28\x00\x00\x01" + bytes(6), dns.rcode.NOTIMP),
        (b"\x01\x02\x20\x00\x00\x01" + bytes(6), dns.rcode.NOTIMP),
        (b"\x01\x02\x01\x00\x00\x01" + bytes(6) + b"\x00\x00\x01\x00\x01junk", dns.rcode.FORMERR),
    ],
    ids=[
        "no question",
        "pointer in the question",
        "cut short",
        "update",
        "notify",
        "trailing bytes",
    ],
)
def test_n20_p12_malformed_and_unknown_messages(
    server: Address, packet: bytes, rcode: dns.rcode.Rcode
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(server)
        client.send(packet[:5])  # nothing to answer to
        client.send(packet)
        answer = client.recv(512)
    assert answer[:2] == packet[:2]
    assert answer[3] & 0xF == rcode
