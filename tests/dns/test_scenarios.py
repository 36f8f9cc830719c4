"""Scenario files: manifests and questions in, whole answers out.

`--update` rewrites what is expected.

Each question names the rows of behaviour it shows (`rows.txt`), and says where it `differs` from
CoreDNS on purpose. dnspython asks over UDP and TCP; `dig` asks the same over UDP, `kdig` over TCP.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
import yaml

from dns_peers import Address, Send, Upstream
from kpx._core import DnsServer, DnsStore
from kpx.sources import Manifests

HERE = Path(__file__).parent
FILES = sorted((HERE / "scenarios").glob("*.yaml"))
SECTIONS = ("answer", "authority", "additional")

Scenario = dict[str, Any]


@contextmanager
def serving(scenario: Scenario, directory: Path) -> Iterator[Address]:
    config = {"zone": "cluster.local", "ttl": 5, **scenario.get("config", {})}
    store = DnsStore(json.dumps(config))
    manifest = directory / "manifest.json"
    body = {"apiVersion": "v1", "kind": "List", "items": scenario["objects"]}
    manifest.write_text(json.dumps(body))
    Manifests([str(manifest)]).load(store)
    if scenario.get("complete", True):
        store.complete()
    with ExitStack() as stack:
        upstream = []
        if "upstream" in scenario:
            resolver = stack.enter_context(Upstream(partial(resolve, scenario["upstream"])))
            upstream.append(resolver.address)
        server = DnsServer(store, "127.0.0.1:0", 2, [], upstream)
        stack.callback(server.stop)
        host, port = (server.address() or "").rsplit(":", 1)
        yield host, int(port)


def resolve(records: list[str], question: bytes, send: Send) -> None:
    """Answers as a resolver that knows some records, in the form of a zone file."""
    query = dns.message.from_wire(question)
    response = dns.message.make_response(query, recursion_available=True)
    name, kind = str(query.question[0].name).lower(), query.question[0].rdtype
    if name.startswith("broken."):
        response.set_rcode(dns.rcode.SERVFAIL)
    elif not any(line.split()[0] == name for line in records):
        response.set_rcode(dns.rcode.NXDOMAIN)
    while True:
        lines = [line.split(maxsplit=4) for line in records if line.split()[0] == name]
        found = [line for line in lines if line[3] in (dns.rdatatype.to_text(kind), "CNAME")]
        if not found:
            break
        owner, ttl, class_, text, _ = found[0]
        data = [line[4] for line in found]
        response.answer.append(dns.rrset.from_text(owner, int(ttl), class_, text, *data))
        if text != "CNAME" or kind == dns.rdatatype.CNAME:
            break
        name = data[0]
    is_found = any(rrset.rdtype == kind for rrset in response.answer)
    if not is_found and response.rcode() != dns.rcode.SERVFAIL:
        soa = next(line.split(maxsplit=4) for line in records if line.split()[3] == "SOA")
        response.authority.append(dns.rrset.from_text(soa[0], int(soa[1]), *soa[2:]))
    send(response.to_wire())


def key(question: Scenario) -> str:
    """The question with its options, such as `web... A CH`."""
    words = [question["ask"], question.get("class", "")]
    if "edns" in question:
        words.append(f"edns {question['edns']}")
    if question.get("dnssec"):
        words.append("do")
    if "edns_version" in question:
        words.append(f"version {question['edns_version']}")
    return " ".join(filter(None, words))


def query(question: Scenario) -> dns.message.Message:
    name, kind = question["ask"].split()
    message = dns.message.make_query(name, kind, rdclass=question.get("class", "IN"))
    if "edns" in question:
        flags = dns.flags.DO if question.get("dnssec") else 0
        message.use_edns(question.get("edns_version", 0), flags, question["edns"])
    return message


def record(line: str) -> str:
    """A record with single blanks; the serial of an SOA record is that of the day."""
    line = re.sub(r"\s+", " ", line.strip())
    return re.sub(r"( SOA \S+ \S+) \d+ ", r"\1 SERIAL ", line)


def seen(response: dns.message.Message) -> Scenario:
    """All that a client sees of a response. The order of the records of a set means nothing."""
    found: Scenario = {
        "rcode": dns.rcode.to_text(response.rcode()),
        "flags": dns.flags.to_text(response.flags),
    }
    if response.edns >= 0:
        edns = {"version": int(response.edns), "payload": int(response.payload)}
        found["edns"] = {**edns, "flags": dns.flags.edns_to_text(response.ednsflags)}
    for section in SECTIONS:
        lines = [
            record(line)
            for rrset in getattr(response, section)
            for line in sorted(rrset.to_text().splitlines())
        ]
        if lines:
            found[section] = lines
    return found


def ask(server: Address, question: Scenario) -> Scenario:
    """What UDP and TCP say; both, where they differ."""
    message = query(question)
    if "AXFR" in question["ask"] or "IXFR" in question["ask"]:
        over_udp = dns.query.udp(message, server[0], port=server[1], timeout=10)
        assert over_udp.rcode() == dns.rcode.REFUSED
    else:
        over_udp = dns.query.udp(message, server[0], port=server[1], timeout=10)
    over_tcp = dns.query.tcp(message, server[0], port=server[1], timeout=10)
    one, other = seen(over_udp), seen(over_tcp)
    if one == other:
        return one
    if over_udp.flags & dns.flags.TC:
        # Which of the records fit is no matter; that they are some of them is.
        assert set(one.pop("answer")) < set(other["answer"])
        return {"udp": {**one, "answer": "some"}, "tcp": other}
    return {"udp": one, "tcp": other}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    scenario = yaml.safe_load(path.read_text())
    with serving(scenario, tmp_path) as server:
        found = {key(question): ask(server, question) for question in scenario["questions"]}
    assert len(found) == len(scenario["questions"]), "a question twice"
    if request.config.getoption("--update"):
        given, _, _ = path.read_text().partition("expected:\n")
        dumped = yaml.safe_dump({"expected": found}, sort_keys=False, width=1000)
        path.write_text(given + dumped)
        return
    assert found == scenario["expected"]


def transcript(text: str) -> Scenario:
    """What `dig` or `kdig` printed of one response."""
    status = re.search(r"status: (\w+)", text)
    flags = re.search(r"^;; [fF]lags: ([a-z ]*);", text, re.MULTILINE)
    assert status, text
    assert flags, text
    found: Scenario = {"rcode": status.group(1), "flags": " ".join(flags.group(1).upper().split())}
    for section in SECTIONS:
        block = re.search(rf"^;; {section.upper()} SECTION:\n(.*?)\n\n", text, re.M | re.S)
        lines = [record(line) for line in block.group(1).splitlines()] if block else []
        if lines:
            found[section] = sorted(lines)
    return found


def expected_transcript(expected: Scenario) -> Scenario:
    kept = {name: expected[name] for name in ("rcode", "flags")}
    return kept | {name: sorted(expected[name]) for name in SECTIONS if name in expected}


@pytest.mark.parametrize("program", ["dig", "kdig"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_transcript(path: Path, tmp_path: Path, program: str) -> None:
    scenario = yaml.safe_load(path.read_text())
    questions = [
        question
        for question in scenario["questions"]
        if not question["ask"].endswith("XFR") and "edns_version" not in question
    ]
    assert shutil.which(program), f"{program} is not installed"
    with serving(scenario, tmp_path) as server:
        for question in questions:
            name, kind = question["ask"].split()
            command = [program, f"@{server[0]}", "-p", str(server[1]), name, kind]
            command += ["-c", question.get("class", "IN"), "+noadflag"]
            command += ["+notcp", "+ignore"] if program == "dig" else ["+tcp"]
            if "edns" in question:
                command.append(f"+bufsize={question['edns']}")
            else:
                command.append("+noedns")
            if question.get("dnssec"):
                command.append("+dnssec")
            if program == "dig":
                command += ["+nocookie", "+tries=5"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=40)
            assert done.returncode == 0, done.stdout + done.stderr
            expected = scenario["expected"][key(question)]
            expected = expected.get("udp" if program == "dig" else "tcp", expected)
            found = transcript(done.stdout)
            if expected.get("answer") == "some":
                assert found.pop("answer")
                expected = {name: expected[name] for name in expected if name != "answer"}
            wanted = expected_transcript(expected)
            if program == "kdig":
                # It prints names in lower case, whatever they came in.
                found, wanted = (json.loads(json.dumps(one).lower()) for one in (found, wanted))
            assert found == wanted, f"{program} {key(question)}"


def rows() -> dict[str, str]:
    lines = (HERE / "rows.txt").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if not line.startswith("#"))


def test_every_row_is_shown_or_said_to_be_missing() -> None:
    shown: set[str] = set()
    for path in FILES:
        for question in yaml.safe_load(path.read_text())["questions"]:
            shown |= set(question["rows"])
    for path in HERE.glob("test_*.py"):
        for name in re.findall(r"def test_(\w+)", path.read_text()):
            shown |= {row.upper() for row in re.findall(r"(?<![a-z0-9])([dnp]\d+)(?=_)", name)}
    known = rows()
    assert shown <= known.keys()
    missing = {row for row, text in known.items() if text.startswith("- ")}
    assert known.keys() - shown - missing == set(), "rows that no scenario shows"
    assert missing & shown == set(), "no longer missing"
