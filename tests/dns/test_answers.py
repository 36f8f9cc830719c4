"""What a client is told while names change, and what messages look like.

The rest is in scenarios.
"""

import json
import socket
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

from dns_cluster import SLICES
from kpx._core import DnsServer, DnsStore
from kpx.dns import write_zone_file, zone_text

Address = tuple[str, int]
SHOP = "shop.svc.cluster.local."
WEB = f"web.{SHOP}"
DB = f"db.{SHOP}"


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


def test_answers_leave_from_the_address_that_was_asked(store: DnsStore) -> None:
    query = dns.message.make_query(WEB, "A")
    for wildcard, asked in (
        ("0.0.0.0", ("127.0.0.2", "127.0.0.1")),
        ("[::]", ("::1", "127.0.0.3")),
    ):
        server = DnsServer(store, f"{wildcard}:0", 1, [])
        try:
            port = int((server.address() or "").rsplit(":", 1)[1])
            for address in asked * 3:
                # An answer from another address is not taken.
                response = dns.query.udp(query, address, port=port, timeout=5)
                assert texts(response) == {"10.96.0.10"}
        finally:
            server.stop()


def test_p6_names_are_compressed_where_they_are_the_question(server: Address) -> None:
    # CoreDNS compresses what would else be too large; the name that is repeated most is the
    # question's.
    query = dns.message.make_query(WEB, "A")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(server)
        client.send(query.to_wire())
        answer = client.recv(512)
    assert answer.count(b"\x03web\x04shop") == 1
    assert answer[len(query.to_wire()) :].startswith(b"\xc0\x0c")


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


def test_p11_difference_from_the_current_version_is_the_serial_alone(server: Address) -> None:
    query = dns.message.make_query("cluster.local.", "IXFR")
    for attempt in range(3):
        query.authority[:] = ask(server, "cluster.local. SOA").answer
        now = dns.query.tcp(query, server[0], port=server[1], timeout=5)
        if [rrset.rdtype for rrset in now.answer] == [dns.rdatatype.SOA]:
            break
        # The second of the last change has just ended, and with it came its serial.
        assert attempt < 2, now
    old = dns.rrset.from_text("cluster.local.", 5, "IN", "SOA", "ns. hostmaster. 7 1 1 1 1")
    query.authority[:] = [old]
    whole = dns.query.tcp(query, server[0], port=server[1], timeout=5, one_rr_per_rrset=True)
    assert len(whole.answer) > 30
    assert whole.answer[0] == whole.answer[-1]
    assert whole.answer[0].rdtype == dns.rdatatype.SOA


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
