"""What a client is told, over UDP and TCP.

Each row is named by the row of CoreDNS' behaviour it stands beside; `differs` marks where kpx
answers otherwise on purpose.
"""

import json
import resource
import socket
import struct
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest

from dns_cluster import SLICES
from kpx._core import DnsStore
from kpx.dns import write_zone_file, zone_text

Address = tuple[str, int]
SHOP = "shop.svc.cluster.local."
WEB = f"web.{SHOP}"
DB = f"db.{SHOP}"

ANSWERS = [
    ("version", "dns-version.cluster.local. TXT", {'"1.1.0"'}),
    ("ClusterIP, IPv4", f"{WEB} A", {"10.96.0.10"}),
    ("ClusterIP, IPv6", f"{WEB} AAAA", {"fd00:96::a"}),
    ("SRV of a named port", f"_http._tcp.{WEB} SRV", {f"0 100 80 {WEB}"}),
    ("SRV of the bare name", f"{WEB} SRV", {f"0 100 80 {WEB}", f"0 100 53 {WEB}"}),
    ("SRV of an unnamed port", f"plain.{SHOP} SRV", {f"0 100 443 plain.{SHOP}"}),
    ("PTR of a ClusterIP", "10.0.96.10.in-addr.arpa. PTR", {WEB}),
    (
        "headless: ready endpoints, each once",
        f"{DB} A",
        {"10.244.1.7", "10.244.2.7", "10.244.2.9"},
    ),
    ("headless, IPv6", f"{DB} AAAA", {"fd00:244::7", "fd00:244::"}),
    ("host name", f"db-0.{DB} A", {"10.244.1.7"}),
    ("host name, IPv6", f"db-0.{DB} AAAA", {"fd00:244::7"}),
    ("dashed address", f"10-244-2-9.{DB} A", {"10.244.2.9"}),
    ("dashed address that would end in a dash", f"fd00-244--0.{DB} AAAA", {"fd00:244::"}),
    ("endpoint of a ClusterIP Service", f"10-244-1-5.{WEB} A", {"10.244.1.5"}),
    (
        "SRV of a headless Service, with the target port; differs: a share for each target",
        f"_sql._tcp.{DB} SRV",
        {f"0 25 15432 {label}.{DB}" for label in ("db-0", "db-1", "10-244-2-9", "fd00-244--0")},
    ),
    ("headless without ports has addresses", f"peers.{SHOP} A", {"10.244.3.1"}),
    ("PTR of an endpoint", "7.1.244.10.in-addr.arpa. PTR", {f"db-0.{DB}"}),
    ("CNAME of an ExternalName", f"away.{SHOP} CNAME", {"www.example.org."}),
    ("NS", "cluster.local. NS", {"ns.dns.cluster.local."}),
    ("the name server's glue: its Service's address", "ns.dns.cluster.local. A", {"10.96.0.10"}),
]
NOTHING = [
    ("apex", "cluster.local. A", "NOERROR"),
    ("apex, TXT; differs: the name exists", "cluster.local. TXT", "NOERROR"),
    ("svc", "svc.cluster.local. A", "NOERROR"),
    ("svc, TXT; differs", "svc.cluster.local. TXT", "NOERROR"),
    ("namespace", f"{SHOP} A", "NOERROR"),
    ("namespace, TXT; differs", f"{SHOP} TXT", "NOERROR"),
    ("unknown namespace", "no.svc.cluster.local. A", "NXDOMAIN"),
    ("below an unknown namespace", "web.no.svc.cluster.local. A", "NXDOMAIN"),
    ("other family", f"plain.{SHOP} AAAA", "NOERROR"),
    ("other type", f"{WEB} MX", "NOERROR"),
    ("Service, TXT", f"{WEB} TXT", "NOERROR"),
    ("headless, none ready", f"asleep.{SHOP} A", "NXDOMAIN"),
    ("not ready host name", f"db-2.{DB} A", "NXDOMAIN"),
    ("empty non-terminal; differs", f"_tcp.{WEB} A", "NOERROR"),
    ("empty non-terminal above nothing", f"_tcp.peers.{SHOP} A", "NXDOMAIN"),
    ("A of a port name; differs", f"_http._tcp.{WEB} A", "NOERROR"),
    ("wrong port name", f"_no._tcp.{WEB} SRV", "NXDOMAIN"),
    ("right port, wrong protocol", f"_http._udp.{WEB} SRV", "NXDOMAIN"),
    ("no name for an unnamed port", f"_._tcp.plain.{SHOP} SRV", "NXDOMAIN"),
    ("SRV of a headless Service without ports", f"peers.{SHOP} SRV", "NOERROR"),
    ("unknown endpoint", f"10-0-0-1.{WEB} A", "NXDOMAIN"),
    ("more labels than any form", f"a.b.c.{WEB} A", "NXDOMAIN"),
    ("not svc", "web.shop.other.cluster.local. A", "NXDOMAIN"),
    ("pod names, gone from the specification", "10-244-1-5.shop.pod.cluster.local. A", "NXDOMAIN"),
    ("below an ExternalName", f"x.away.{SHOP} A", "NXDOMAIN"),
    ("IP literal as ExternalName", f"literal.{SHOP} A", "NXDOMAIN"),
    ("reverse name without match", "1.0.0.10.in-addr.arpa. PTR", "NXDOMAIN"),
    ("apex of a reverse zone", "10.in-addr.arpa. PTR", "NOERROR"),
    ("partial reverse name; differs", "96.10.in-addr.arpa. PTR", "NOERROR"),
    ("partial reverse name above nothing", "97.10.in-addr.arpa. PTR", "NXDOMAIN"),
]


def ask(server: Address, question: str, **options: object) -> dns.message.Message:
    """Asks over UDP and TCP; both must say the same, in whatever order.

    Addresses of targets that do not fit over UDP are left to be asked for.
    """
    name, record_type = question.split()
    query = dns.message.make_query(name, record_type, **options)  # type: ignore[arg-type]
    over_udp = dns.query.udp(query, server[0], port=server[1], timeout=5)
    over_tcp = dns.query.tcp(query, server[0], port=server[1], timeout=5)
    assert (over_udp.id, over_udp.flags) == (over_tcp.id, over_tcp.flags)
    assert over_udp.answer == over_tcp.answer
    # A second may pass in between, and with it the serial.
    assert [one.name for one in over_udp.authority] == [one.name for one in over_tcp.authority]
    assert all(rrset in over_tcp.additional for rrset in over_udp.additional)
    return over_tcp


def texts(response: dns.message.Message) -> set[str]:
    return {str(record) for rrset in response.answer for record in rrset}


@pytest.mark.parametrize(
    ("question", "expected"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_records(server: Address, question: str, expected: set[str]) -> None:
    response = ask(server, question)
    assert response.rcode() == dns.rcode.NOERROR
    assert response.flags & dns.flags.AA
    assert not response.flags & dns.flags.TC
    assert len(response.answer) == 1
    assert texts(response) == expected
    assert not response.authority
    assert str(response.answer[0].name) == question.split()[0]


@pytest.mark.parametrize(
    ("question", "rcode"), [row[1:] for row in NOTHING], ids=[row[0] for row in NOTHING]
)
def test_nothing(server: Address, question: str, rcode: str) -> None:
    response = ask(server, question)
    assert dns.rcode.to_text(response.rcode()) == rcode
    assert response.flags & dns.flags.AA
    assert not response.answer
    (soa,) = response.authority
    assert soa.rdtype == dns.rdatatype.SOA
    assert soa.ttl == 5
    assert question.split()[0].endswith(str(soa.name))


def test_srv_comes_with_the_addresses_of_its_target(server: Address) -> None:
    response = ask(server, f"_http._tcp.{WEB} SRV")
    additional = {str(record) for rrset in response.additional for record in rrset}
    assert additional == {"10.96.0.10", "fd00:96::a"}


def test_external_name_in_the_zone_is_followed(server: Address) -> None:
    assert texts(ask(server, f"here.{SHOP} A")) == {WEB, "10.96.0.10"}


def test_external_name_outside_the_zone_is_an_alias_alone(server: Address) -> None:
    response = ask(server, f"away.{SHOP} A")
    assert response.rcode() == dns.rcode.NOERROR
    assert texts(response) == {"www.example.org."}


def test_alias_of_a_missing_name_is_shown_with_nxdomain(server: Address) -> None:
    # CoreDNS hides the alias (coredns#6088); RFC 6604 wants both.
    response = ask(server, f"lost.{SHOP} A")
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert texts(response) == {f"no.{SHOP}"}
    assert response.authority


def test_loop_of_aliases_ends(server: Address) -> None:
    assert texts(ask(server, f"loop.{SHOP} A")) == {f"pool.{SHOP}", f"loop.{SHOP}"}


def test_case_is_kept(server: Address) -> None:
    response = ask(server, "wEb.ShOp.SvC.cLuStEr.LoCaL. A")
    assert response.answer[0].name.to_text() == "wEb.ShOp.SvC.cLuStEr.LoCaL."
    assert texts(response) == {"10.96.0.10"}


def test_names_of_others_are_refused(server: Address) -> None:
    assert ask(server, "www.example.org. A").rcode() == dns.rcode.REFUSED
    assert ask(server, "1.2.0.192.in-addr.arpa. PTR").rcode() == dns.rcode.REFUSED


def test_class_other_than_in_is_refused(server: Address) -> None:
    assert ask(server, f"{WEB} A", rdclass="CH").rcode() == dns.rcode.REFUSED


def test_edns(server: Address) -> None:
    response = ask(server, f"{WEB} A", use_edns=0, payload=4096, want_dnssec=True)
    assert (response.edns, response.payload) == (0, 1232)
    assert response.ednsflags & dns.flags.DO
    assert ask(server, f"{WEB} A", use_edns=1).rcode() == dns.rcode.BADVERS
    assert ask(server, f"{WEB} A").edns == -1


def test_what_is_not_known_yet_fails(store: DnsStore) -> None:
    config = {"zone": "cluster.local", "ttl": 5}
    fresh = DnsStore(json.dumps(config))

    def rcode(name: str) -> str:
        return str(json.loads(fresh.query(name, "A"))["rcode"])

    assert rcode(WEB) == "SERVFAIL"
    from dns_cluster import manifest

    fresh.feed(manifest())
    assert rcode(WEB) == "NOERROR"
    assert rcode(f"no.{SHOP}") == rcode(DB) == "SERVFAIL"
    fresh.complete()
    assert (rcode(f"no.{SHOP}"), rcode(DB)) == ("NXDOMAIN", "NOERROR")


def test_large_answers_are_truncated_over_udp_alone(store: DnsStore, server: Address) -> None:
    from dns_cluster import SQL, endpoint, slice_of

    many = [endpoint(f"10.245.{number // 250}.{number % 250}") for number in range(1000)]
    store.feed(json.dumps(slice_of("peers", "peers-many", many, SQL)).encode())
    for edns, size in ((False, 512), (True, 1232)):
        query = dns.message.make_query(f"peers.{SHOP}", "A", use_edns=edns, payload=4096)
        response = dns.query.udp(query, server[0], port=server[1], timeout=5)
        assert response.flags & dns.flags.TC
        assert size - 32 < len(response.to_wire(max_size=65535)) <= size
        assert 0 < len(texts(response)) < 1001
        whole = dns.query.tcp(query, server[0], port=server[1], timeout=5)
        assert not whole.flags & dns.flags.TC
        assert len(texts(whole)) == 1001


def test_change_counts_at_once(store: DnsStore, server: Address) -> None:
    from dns_cluster import SQL, endpoint, slice_of

    def event(kind: str, endpoints: list[dict[str, object]]) -> bytes:
        return json.dumps({"type": kind, "object": slice_of("db", "db-4", endpoints, SQL)}).encode()

    store.feed_event(event("MODIFIED", [endpoint("10.244.9.9", "db-1")]))
    assert texts(ask(server, f"db-1.{DB} A")) == {"10.244.9.9"}
    assert texts(ask(server, "9.9.244.10.in-addr.arpa. PTR")) == {f"db-1.{DB}"}
    assert ask(server, "7.2.244.10.in-addr.arpa. PTR").rcode() == dns.rcode.NXDOMAIN
    store.feed_event(event("DELETED", []))
    assert ask(server, f"db-1.{DB} A").rcode() == dns.rcode.NXDOMAIN
    assert texts(ask(server, f"db-0.{DB} A")) == {"10.244.1.7"}, "another slice still has it"


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [
        (b"\x01\x02\x01\x00" + bytes(8), dns.rcode.FORMERR),
        (b"\x01\x02\x01\x00\x00\x01" + bytes(6) + b"\xc0\x0c\x00\x01\x00\x01", dns.rcode.FORMERR),
        (b"\x01\x02\x01\x00\x00\x01" + bytes(6) + b"\x3fabc", dns.rcode.FORMERR),
        (b"\x01\x02\x28\x00\x00\x01" + bytes(6), dns.rcode.NOTIMP),
        (b"\x01\x02\x01\x00\x00\x01" + bytes(6) + b"\x00\x00\x01\x00\x01junk", dns.rcode.FORMERR),
    ],
    ids=["no question", "pointer in the question", "cut short", "update", "trailing bytes"],
)
def test_malformed_packets(server: Address, packet: bytes, rcode: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(server)
        client.send(packet[:5])  # nothing to answer to
        client.send(packet)
        answer = client.recv(512)
    assert answer[:2] == packet[:2]
    assert answer[3] & 0xF == rcode


def test_slow_and_idle_tcp_clients_do_not_stop_others(server: Address) -> None:
    idle = [socket.create_connection(server) for _ in range(50)]
    try:
        for client in idle[:25]:
            client.sendall(struct.pack("!H", 65535) + b"x")
        assert texts(ask(server, f"{WEB} A")) == {"10.96.0.10"}
    finally:
        for client in idle:
            client.close()


def test_a_thousand_idle_connections_do_not_stop_others(server: Address) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    idle = []
    try:
        for _ in range(1000):
            idle.append(socket.create_connection(server, timeout=5))
        assert texts(ask(server, f"{WEB} A")) == {"10.96.0.10"}
        # The first were closed to make room for the last.
        assert idle[0].recv(1) == b""
    finally:
        for client in idle:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_zone_file_holds_what_is_answered(store: DnsStore, server: Address, tmp_path: Path) -> None:
    path = tmp_path / "cluster.local.zone"
    assert write_zone_file(path, zone_text(store.records("cluster.local")))
    zone = dns.zone.from_file(str(path), "cluster.local.", relativize=False)
    count = 0
    for name, rdataset in zone.iterate_rdatasets():
        if rdataset.rdtype in (dns.rdatatype.SOA, dns.rdatatype.CNAME):
            continue
        response = ask(server, f"{name} {dns.rdatatype.to_text(rdataset.rdtype)}")
        assert texts(response) == {str(record) for record in rdataset}
        count += 1
    assert count > 20


def test_serial_of_a_zone_file_only_grows(store: DnsStore, tmp_path: Path) -> None:
    path = tmp_path / "zone"
    text = zone_text(store.records("cluster.local"))
    write_zone_file(path, text)
    first = dns.zone.from_file(str(path), "cluster.local.").get_soa().serial
    assert not write_zone_file(path, text), "the same records are no change"
    changed = text.replace("10.96.0.11", "10.96.0.12").replace(f" {first} ", " 7 ")
    assert write_zone_file(path, changed)
    assert dns.zone.from_file(str(path), "cluster.local.").get_soa().serial == first + 1


def test_difference_from_the_current_version_is_the_serial_alone(server: Address) -> None:
    soa = ask(server, "cluster.local. SOA").answer[0]
    query = dns.message.make_query("cluster.local.", "IXFR")
    query.authority.append(soa)
    now = dns.query.tcp(query, server[0], port=server[1], timeout=5)
    assert [rrset.rdtype for rrset in now.answer] == [dns.rdatatype.SOA]
    old = dns.rrset.from_text("cluster.local.", 5, "IN", "SOA", "ns. hostmaster. 7 1 1 1 1")
    query.authority[:] = [old]
    whole = dns.query.tcp(query, server[0], port=server[1], timeout=5, one_rr_per_rrset=True)
    assert len(whole.answer) > 30
    assert whole.answer[0] == whole.answer[-1] == soa


def test_external_name_that_is_none_is_reported(store: DnsStore) -> None:
    (rejection,) = store.rejections()
    assert (rejection.kind, rejection.name, rejection.whole) == ("Service", "shop/literal", True)
    assert rejection.reason == "spec.externalName: `192.0.2.1` is not a domain name"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "literal", "namespace": "shop"},
        "spec": {"type": "ExternalName", "externalName": "www.example.org"},
    }
    store.feed(json.dumps(service).encode())
    assert not store.rejections()


def test_endpoints_count_where_there_are_no_slices(store: DnsStore, server: Address) -> None:
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "asleep",
            "namespace": "shop",
            "labels": {"service.kubernetes.io/headless": ""},
        },
        "subsets": [
            {
                "addresses": [{"ip": "10.244.4.2", "hostname": "old-0"}],
                "ports": [{"name": "x", "port": 1}],
            }
        ],
    }
    store.feed(json.dumps(endpoints).encode())
    assert ask(server, f"old-0.asleep.{SHOP} A").rcode() == dns.rcode.NXDOMAIN, "a slice is there"
    gone = {"type": "DELETED", "object": {**SLICES[-1]}}
    store.feed_event(json.dumps(gone).encode())
    assert texts(ask(server, f"old-0.asleep.{SHOP} A")) == {"10.244.4.2"}
    assert texts(ask(server, f"_x._tcp.asleep.{SHOP} SRV")) == {f"0 100 1 old-0.asleep.{SHOP}"}
