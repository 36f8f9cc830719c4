"""Names outside the zones, asked of other name servers: a real one, and one that misbehaves."""

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from dns_peers import Address, Peers, Send, Upstream, free_port, named
from kpx._core import DnsServer, DnsStore
from kpx.dns.upstream import upstream_servers
from kpx.errors import ConfigurationInvalid

SHOP = "shop.svc.cluster.local."
LONG = " ".join(f'"{"x" * 250}"' for _ in range(20))


@contextmanager
def forwarding(store: DnsStore, *upstream: str) -> Iterator[Address]:
    server = DnsServer(store, "127.0.0.1:0", 2, [], list(upstream))
    try:
        host, port = (server.address() or "").rsplit(":", 1)
        yield host, int(port)
    finally:
        server.stop()


@pytest.fixture
def resolver(peers: Peers, tmp_path: Path) -> str:
    """A BIND that knows `example.org`."""
    port = free_port()
    (tmp_path / "zone").write_text(
        "$ORIGIN example.org.\n@ 60 IN SOA ns hostmaster 1 60 60 60 30\n@ 60 IN NS ns\n"
        "ns 60 IN A 192.0.2.53\nwww 60 IN CNAME host\nhost 60 IN A 192.0.2.80\n"
        f"www2 60 IN MX 10 mail.example.org.\nlong 60 IN TXT {LONG}\n"
    )
    zone = f'zone "example.org" {{ type primary; file "{tmp_path}/zone"; }};\n'
    peers.start(named(tmp_path, port, zone), tmp_path, port, "example.org")
    return f"127.0.0.1:{port}"


def both(server: Address, name: str, kind: str, **options: object) -> list[dns.message.Message]:
    """Asks over UDP and TCP, wishing for recursion."""
    query = dns.message.make_query(name, kind, **options)  # type: ignore[arg-type]
    return [
        dns.query.udp(query, server[0], port=server[1], timeout=8),
        dns.query.tcp(query, server[0], port=server[1], timeout=8),
    ]


def texts(response: dns.message.Message) -> list[str]:
    return [
        f"{rrset.name} {record}" for rrset in response.answer for record in sorted(rrset, key=str)
    ]


def test_names_outside_the_zones_are_asked_upstream(store: DnsStore, resolver: str) -> None:
    with forwarding(store, resolver) as server:
        for response in both(server, "wWw.example.org.", "A"):
            assert response.rcode() == dns.rcode.NOERROR
            assert str(response.question[0].name) == "wWw.example.org."
            assert texts(response) == [
                "www.example.org. host.example.org.",
                "host.example.org. 192.0.2.80",
            ]
        for response in both(server, "no.example.org.", "A", use_edns=0):
            assert response.rcode() == dns.rcode.NXDOMAIN
            assert response.authority[0].rdtype == dns.rdatatype.SOA
        for response in both(server, f"web.{SHOP}", "A"):
            assert response.flags & dns.flags.RA
            assert response.flags & dns.flags.AA


def test_external_names_are_followed_upstream(store: DnsStore, resolver: str) -> None:
    names = {"away": "www.example.org", "mail": "www2.example.org", "gone": "no.example.org"}
    for name, target in names.items():
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"type": "ExternalName", "externalName": target},
        }
        store.feed(json.dumps(service).encode())
    with forwarding(store, resolver) as server:
        for edns in (-1, 0):
            for response in both(server, f"away.{SHOP}", "A", use_edns=edns):
                assert response.rcode() == dns.rcode.NOERROR
                assert response.flags & dns.flags.RA
                assert response.edns == edns
                assert texts(response) == [
                    f"away.{SHOP} www.example.org.",
                    "www.example.org. host.example.org.",
                    "host.example.org. 192.0.2.80",
                ]
        for response in both(server, f"mail.{SHOP}", "MX"):
            assert texts(response)[1:] == ["www2.example.org. 10 mail.example.org."]
        for response in both(server, f"gone.{SHOP}", "A"):
            # RFC 6604: the outcome is that of the last name.
            assert response.rcode() == dns.rcode.NXDOMAIN
            assert texts(response) == [f"gone.{SHOP} no.example.org."]
            (soa,) = response.authority
            assert (str(soa.name), soa.rdtype) == ("example.org.", dns.rdatatype.SOA)
        for response in both(server, f"away.{SHOP}", "CNAME"):
            assert texts(response) == [f"away.{SHOP} www.example.org."]


def test_late_answers_leave_from_the_address_that_was_asked(store: DnsStore, resolver: str) -> None:
    server = DnsServer(store, "0.0.0.0:0", 1, [], [resolver])
    try:
        port = int((server.address() or "").rsplit(":", 1)[1])
        query = dns.message.make_query("host.example.org.", "A")
        response = dns.query.udp(query, "127.0.0.2", port=port, timeout=8)
        assert texts(response) == ["host.example.org. 192.0.2.80"]
    finally:
        server.stop()


def test_p8_large_replies_come_over_tcp(store: DnsStore, resolver: str) -> None:
    with forwarding(store, resolver) as server:
        for name in ("long.example.org.", f"long.{SHOP}"):
            service = {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "long", "namespace": "shop"},
                "spec": {"type": "ExternalName", "externalName": "long.example.org"},
            }
            store.feed(json.dumps(service).encode())
            for edns in (-1, 0):
                over_udp, over_tcp = both(server, name, "TXT", use_edns=edns)
                assert over_udp.flags & dns.flags.TC
                assert not over_tcp.flags & dns.flags.TC
                assert len(texts(over_tcp)[-1]) > 5000


def test_who_does_not_wish_for_recursion_gets_none(store: DnsStore, resolver: str) -> None:
    with forwarding(store, resolver) as server:
        for response in both(server, "www.example.org.", "A", flags=0):
            assert response.rcode() == dns.rcode.REFUSED
        for response in both(server, f"away.{SHOP}", "A", flags=0):
            assert texts(response) == [f"away.{SHOP} www.example.org."]


def silence(question: bytes, send: Send) -> None:
    pass


def truthful(question: bytes, send: Send) -> None:
    send(answer_of(question, "192.0.2.1"))


def answer_of(question: bytes, address: str) -> bytes:
    query = dns.message.from_wire(question)
    response = dns.message.make_response(query)
    name = query.question[0].name
    response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", address))
    return response.to_wire()


def test_made_up_replies_are_not_believed(store: DnsStore) -> None:
    def liar(question: bytes, send: Send) -> None:
        (number,) = struct.unpack("!H", question[:2])
        lie = answer_of(question, "203.0.113.66")
        send(struct.pack("!H", number ^ 1) + lie[2:])
        send(lie[:2] + b"\x01" + lie[3:])
        send(lie.replace(b"example", b"exAmple"))
        send(lie[:9])
        send(answer_of(question, "192.0.2.1"))

    with Upstream(liar) as resolver, forwarding(store, resolver.address) as server:
        for response in both(server, "www.example.org.", "A"):
            assert texts(response) == ["www.example.org. 192.0.2.1"]


def test_ports_and_ids_are_never_the_same(store: DnsStore) -> None:
    with Upstream(truthful) as resolver, forwarding(store, resolver.address) as server:
        for _ in range(40):
            query = dns.message.make_query("www.example.org.", "A", id=7)
            assert dns.query.udp(query, server[0], port=server[1], timeout=8).id == 7
    # Forty of 65,536 IDs and of some 28,000 ports: three that coincide would be a wonder.
    assert len({question[:2] for question, _ in resolver.seen}) > 37
    assert len({client for _, client in resolver.seen}) > 37


def test_the_next_server_is_asked_when_one_is_silent(store: DnsStore) -> None:
    with (
        Upstream(silence) as first,
        Upstream(truthful) as second,
        forwarding(store, first.address, second.address) as server,
    ):
        for _ in range(2):
            query = dns.message.make_query("www.example.org.", "A")
            response = dns.query.udp(query, server[0], port=server[1], timeout=8)
            assert texts(response) == ["www.example.org. 192.0.2.1"]
    assert len(first.seen) == 1, "the one that replied is asked first afterwards"


def test_silence_fails_in_time_and_stops_nobody(store: DnsStore) -> None:
    with Upstream(silence) as resolver, forwarding(store, resolver.address) as server:
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
        try:
            query = dns.message.make_query("www.example.org.", "A").to_wire()
            for client in sockets:
                client.connect(server)
                for number in range(100):
                    client.send(struct.pack("!H", number) + query[2:])
                # More at a time than the socket takes would be lost.
                both(server, f"web.{SHOP}", "A")
            started = time.monotonic()
            for response in both(server, f"web.{SHOP}", "A"):
                assert response.rcode() == dns.rcode.NOERROR
            # More than 512 wait for a reply; what is over that fails at once.
            (response, _) = both(server, f"away.{SHOP}", "A")
            assert response.rcode() == dns.rcode.SERVFAIL
            assert time.monotonic() - started < 8
            sockets[0].settimeout(20)
            assert sockets[0].recv(512)[3] & 0xF == dns.rcode.SERVFAIL
        finally:
            for client in sockets:
                client.close()


def test_a_server_that_cannot_be_reached_is_a_failure(store: DnsStore) -> None:
    with forwarding(store, f"127.0.0.1:{free_port()}") as server:
        for response in both(server, f"away.{SHOP}", "A"):
            assert response.rcode() == dns.rcode.SERVFAIL
            assert texts(response) == [f"away.{SHOP} www.example.org."]


def test_upstream_servers(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "search a.b\n# nameserver 192.0.2.9\nnameserver 192.0.2.1\nnameserver fd00::1\n"
    )
    assert upstream_servers(["192.0.2.5", "[fd00::2]:5353", "192.0.2.6:54", str(file)]) == [
        "192.0.2.5:53",
        "[fd00::2]:5353",
        "192.0.2.6:54",
        "192.0.2.1:53",
        "[fd00::1]:53",
    ]
    file.write_text("search a.b\n")
    for wrong in ("example.org", "192.0.2.1:0", "192.0.2.1:x", "/no/file", str(file)):
        with pytest.raises(ConfigurationInvalid, match="`--upstream`"):
            upstream_servers([wrong])
