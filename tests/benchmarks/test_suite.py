"""A run measures, bounds and counts."""

import errno
import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench import sent
from bench.commits import Commits
from bench.peers import IPVS_PEERS, PEERS
from bench.plans import PLANS, Plan
from bench.recording import fed
from bench.results import DONE, FAILED, UNFINISHED, UNTRIED
from bench.session import Spec, thinned
from bench.suite import Suite
from bench.targets import IPVS_PLANS, IPVS_TARGETS, TARGETS, Target

pytestmark = [pytest.mark.netns, pytest.mark.timeout(180)]

COUNTS = {"restart": 1, "endpoint": 3, "service": 2, "rolling": 1}


def test_a_run_measures_every_case() -> None:
    told: list[str] = []
    specs = [
        Spec("core", 30, 2, counts=COUNTS),
        Spec("core", 30, 2, counts={"traffic": 3}, traffic_seconds=0.2),
    ]

    results = Suite(Plan("made-up", 60, specs, specs[:1]), told.append).run()

    assert told[0] == "[1/2] core, 30 x 2: cold, restart, endpoint, service, rolling"
    assert {one.case: one.outcome for one in results.measurements} == dict.fromkeys(
        (
            "cold",
            "restart",
            "endpoint",
            "added",
            "removed",
            "rolling",
            "connect",
            "connect-updating",
        ),
        DONE,
    )
    counts = {"cold": 1, "restart": 1, "endpoint": 3, "added": 1, "removed": 1, "rolling": 1}
    for case, count in counts.items():
        one = results.get("core", case, 30, 2)
        assert one is not None
        assert len(one.seconds) == count
        assert one.cpu_seconds
        assert one.peak_bytes
        assert one.sent_bytes
        assert one.messages
    assert results.machine["cpus"] > 0
    assert results.versions["nft"].startswith("nftables v")


def test_an_agent_follows_a_steady_load_and_a_burst() -> None:
    spec = Spec("agent", 30, 2, counts={"burst": 1, "steady": 200})

    results = Suite(Plan("made-up", 60, [spec]), lambda _told: None).run()

    assert {one.case: one.reason for one in results.measurements} == dict.fromkeys(
        ("cold", "burst", "steady"), ""
    )
    steady = results.get("agent", "steady", 30, 2)
    assert steady is not None
    assert len(steady.seconds) == 200
    assert min(steady.seconds) > 0
    assert steady.cpu_seconds
    assert steady.peak_bytes


def test_nothing_is_kept_of_warming_up() -> None:
    told: list[str] = []
    specs = [Spec("core", services, 1) for services in (10, 20)]

    results = Suite(Plan("made-up", 60, specs[1:], warm_up=specs[:1]), told.append).run()

    assert told[0] == "core: warming up"
    assert [one.services for one in results.measurements] == [20]


def test_what_takes_too_long_did_not_finish_and_larger_sizes_are_not_tried() -> None:
    specs = [
        Spec("nft-upstream", services, endpoints, counts={"endpoint": 2})
        for services, endpoints in ((100, 10), (100, 20), (50, 20), (200, 10))
    ]

    # No process starts and ends in so little time.
    results = Suite(Plan("made-up", 1e-4, specs), lambda _told: None).run()

    outcomes = {(one.services, one.endpoints, one.case): one for one in results.measurements}
    assert outcomes[100, 10, "cold"].outcome == UNFINISHED
    assert outcomes[100, 10, "cold"].reason == "more than 0.0001 s"
    assert outcomes[100, 10, "endpoint"].outcome == UNTRIED
    assert outcomes[100, 20, "cold"].outcome == outcomes[200, 10, "cold"].outcome == UNTRIED
    assert outcomes[200, 10, "cold"].reason == "did not finish with 100 x 10"
    assert outcomes[50, 20, "cold"].outcome == UNFINISHED
    assert not any(one.seconds for one in results.measurements)


@pytest.mark.parametrize("case", ["restart", "service", "traffic"])
def test_a_case_that_fails_ends_only_itself(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    spec = Spec("core", 10, 1, counts={"restart": 1, "service": 1, "rolling": 1, "traffic": 1})
    suite = Suite(Plan("made-up", 60, [spec]), lambda _told: None)
    asked: list[dict[str, int]] = []

    def end_once(running: Spec) -> tuple[str, str, str] | None:
        asked.append(running.counts)
        first = "added" if case == "service" else case
        return (first, UNFINISHED, "more than 60 s") if len(asked) == 1 else None

    monkeypatch.setattr(suite, "_run", end_once)
    suite._session(spec)

    left = list(spec.counts)[list(spec.counts).index(case) + 1 :]
    assert [list(counts) for counts in asked] == [list(spec.counts), *([left] if left else [])]
    ended = {one.case for one in suite._found.values() if one.outcome == UNFINISHED}
    assert (
        ended
        == {
            "restart": {"restart"},
            "service": {"added"},
            "traffic": {"connect", "connect-updating"},
        }[case]
    )


def test_a_peer_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusing = tmp_path / "nft"
    refusing.write_text("#!/bin/sh\necho 'no such rule' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    spec = Spec("nft-upstream", 10, 1, counts={"endpoint": 1})
    session = Suite(Plan("made-up", 60, [spec]), lambda _told: None)
    session._session(spec)

    cold, endpoint = session._found.values()
    assert (cold.outcome, cold.reason) == (FAILED, "AssertionError: no such rule")
    assert endpoint.outcome == UNTRIED


def test_bytes_and_messages_are_those_of_the_transaction() -> None:
    batch = fed(20, 2, "plain").plan_changes().to_batch()
    count = offset = 0
    while offset < len(batch):
        (length,) = struct.unpack_from("=I", batch, offset)
        offset += (length + 3) & ~3
        count += 1

    counted = sent.trace(Spec("kernel", 20, 2, counts={"endpoint": 1}), 60)

    assert counted["cold"] == sent.Sent(len(batch), count)
    assert counted["endpoint"].messages < 10


def test_a_send_that_another_thread_interrupts_is_counted() -> None:
    lines = (
        '7 write(1, "{\\"begin\\": \\"endpoint\\"}\\n", 23) = 23',
        "8 sendto(3, [[{nlmsg_len=20}, [{nlmsg_len=56}]], 76, 0, NULL, 0 <unfinished ...>",
        "9 sendmsg(4, {msg_iov=[{iov_base=[{nlmsg_len=44}], iov_len=44}]} <unfinished ...>",
        "9 <... sendmsg resumed>, 0) = 44",
        '7 write(1, "{\\"case\\": \\"endpoint\\", \\"seconds\\": 1}\\n", 40) = 40',
        "8 <... sendto resumed>) = 76",
        "8 sendto(3, [{nlmsg_len=20}], 20, 0, NULL, 0) = 20",
    )

    assert sent.read(lines) == {"endpoint": sent.Sent(120, 3)}


def test_the_minimal_sender_reports_what_the_kernel_refuses() -> None:
    script = (
        "from bench import cases\n"
        "from bench.netfilter import Sender\n"
        "from bench.recording import fed\n"
        "proxier, sender = fed(5, 2, 'plain'), Sender()\n"
        "proxier.apply(proxier.plan())\n"
        "proxier.feed_event(cases.slice_event(1, 2, 7))\n"
        "batch = proxier.plan_changes().to_batch()\n"
        "sender.commit(batch)\n"
        "try:\n"
        "    sender.commit(batch)\n"  # what it deletes is gone
        "except OSError as error:\n"
        "    print(error.errno)\n"
    )
    completed = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent.parent,
    )

    assert completed.stdout == f"{errno.ENOENT}\n"


def test_nobody_waits_for_what_has_ended() -> None:
    commits = Commits()
    began = time.monotonic()

    came = commits.wait(60, still=lambda: False)

    commits.close()
    assert not came
    assert time.monotonic() - began < 30


def test_samples_are_thinned_by_rank() -> None:
    samples = [float(n) for n in range(5_000)]

    kept = thinned(samples)

    assert len(kept) == 1_000
    assert max(kept) == 4_999
    assert sum(kept) / len(kept) == pytest.approx(2_500, rel=0.01)
    assert thinned([1.0, 2.0]) == [2.0, 1.0]


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        *(("quick", TARGETS), ("full", TARGETS)),
        *((name, IPVS_TARGETS) for name in IPVS_PLANS),
    ],
)
def test_a_plan_measures_all_that_its_targets_need(name: str, targets: tuple[Target, ...]) -> None:
    plan = PLANS[name]()
    measured = {
        (spec.peer, case, spec.services, spec.endpoints, spec.kind)
        for spec in plan.specs
        for case in ("cold", *spec.counts)
    } | {("core", "flow", services, 1, "plain") for services in plan.flows}

    for target in targets:
        for figure in (target.figure, target.against):
            key = (figure.peer, figure.case, figure.services, figure.endpoints, figure.kind)
            assert key in measured, target.what


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_asks_no_peer_for_what_it_cannot_do(name: str) -> None:
    peers = PEERS | IPVS_PEERS
    plan = PLANS[name]()
    for spec in (*plan.warm_up, *plan.specs, *plan.traced):
        assert {"cold", *spec.counts} <= peers[spec.peer].cases, json.dumps(spec.counts)
        assert spec.kind == "plain" or peers[spec.peer].reads_mixed
