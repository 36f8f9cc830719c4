"""One peer and one cluster, in a network namespace of its own: `session SPEC`.

SPEC is a `Spec` as JSON. Prints a JSON object a line: `{"begin": CASE}` before each step that is
timed, and after it what the step cost. Whoever started it ends it where a step takes too long.
"""

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from .changes import Change, Cluster
from .peers import IPVS_PEERS, PEERS, Peer
from .probe import Probe

WARM_UP = 20
"""Changes made before any is timed, of cases of which there are more than ten times as many."""
UPDATE_PERIOD = 0.02
"""Seconds between the beginnings of two changes while connections are made."""
STEADY_PERIOD = 0.001
"""Seconds from one event of a steady load to the next."""
SAMPLES = 1_000


@dataclass(frozen=True)
class Spec:
    """What a session does."""

    peer: str
    services: int
    endpoints: int
    kind: str = "plain"
    """`plain`, or `mixed` for Services of all kinds."""
    counts: dict[str, int] = field(default_factory=dict)
    """How often each case is done at most; those without a count are not."""
    budget_seconds: float = 5.0
    """After so long a case is done no more often."""
    traffic_seconds: float = 2.0
    """How long connections are made, once without and once with changes."""

    def command(self) -> list[str]:
        """Returns the command that runs it."""
        return [sys.executable, "-m", "bench.session", json.dumps(asdict(self))]


def main() -> None:
    """Runs a session."""
    spec = Spec(**json.loads(sys.argv[1]))
    # Real-time, what it starts included: other work on the machine must not show as a percentile.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    gc.disable()
    cluster = Cluster(spec.services, spec.endpoints)
    with tempfile.TemporaryDirectory(prefix="kpx-bench-") as directory:
        peer = (PEERS | IPVS_PEERS)[spec.peer](cluster, spec.kind, spec.counts, Path(directory))
        peer.prepare()
        before = kernel_bytes()
        _timed(peer, "cold", peer.load, lambda: {"kernel_bytes": kernel_bytes() - before})
        _steps(spec, peer, cluster)
        peer.close()


def _steps(spec: Spec, peer: Peer, cluster: Cluster) -> None:
    for _ in range(spec.counts.get("restart", 0)):
        peer.prepare_restart()
        _timed(peer, "restart", peer.restart)
    for case, make in cluster.makers().items():
        if case == "traffic":
            if spec.counts.get(case):
                _traffic(spec, peer, cluster, make)
        elif case == "steady":
            if count := spec.counts.get(case):
                _steady(peer, [make() for _ in range(count)])
        else:
            _changes(spec, peer, case, make)


def _changes(spec: Spec, peer: Peer, case: str, make: Callable[[], Change]) -> None:
    count = spec.counts.get(case, 0)
    warm_up = WARM_UP if count > 10 * WARM_UP else 0
    began = time.perf_counter()
    for number in range(count):
        spent = time.perf_counter() - began > spec.budget_seconds
        if spent and number > warm_up and not peer.recorded_before:
            return
        change = make()
        encoded = peer.encode(change)
        named = case if case != "service" else "added" if change.after else "removed"
        _timed(peer, named if number >= warm_up else "", partial(peer.apply, encoded))


def _steady(peer: Peer, changes: list[Change]) -> None:
    encoded = [peer.encode(change) for change in changes]
    _print({"begin": "steady"})
    cpu = peer.cpu_seconds()
    samples = peer.follow(encoded, STEADY_PERIOD)
    cpu = (peer.cpu_seconds() - cpu) / len(encoded)
    _print(
        {
            "case": "steady",
            "samples": thinned(samples),
            "cpu_seconds": cpu,
            "peak_bytes": peer.peak_bytes(),
        }
    )


def _traffic(spec: Spec, peer: Peer, cluster: Cluster, make: Callable[[], Change]) -> None:
    services = list(range(0, cluster.services, max(1, cluster.services // 100)))
    # Packets and changes share the machine, and so does what the kernel does for both.
    _give_up_priority(os.getpid())
    _print({"begin": "traffic"})
    with Probe() as probe:
        probe.connect(services, spec.traffic_seconds / 4)
        idle = probe.connect(services, spec.traffic_seconds)
        probe.begin_connecting(services, spec.traffic_seconds)
        began, changes = time.perf_counter(), 0
        while changes < spec.counts["traffic"]:
            encoded = peer.encode(make())
            ahead = began + changes * UPDATE_PERIOD - time.perf_counter()
            if time.perf_counter() + ahead > began + spec.traffic_seconds:
                break
            time.sleep(max(0, ahead))
            peer.apply(encoded)
            changes += 1
        updating = probe.connected()
    assert changes > 0, "nothing was changed while connections were made"
    _print({"case": "connect", "samples": thinned(idle)})
    _print({"case": "connect-updating", "samples": thinned(updating)})


def _give_up_priority(process: int) -> None:
    """Takes a process and all that it started back to ordinary priority."""
    for task in Path(f"/proc/{process}/task").iterdir():
        os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
        for child in (task / "children").read_text().split():
            _give_up_priority(int(child))


def thinned(samples: list[float]) -> list[float]:
    """Returns at most a thousand of many samples, spread over their ranks; the largest is kept."""
    ranked = sorted(samples, reverse=True)
    return ranked[:: -(-len(ranked) // SAMPLES)]


def _timed(
    peer: Peer,
    case: str,
    step: Callable[[], None],
    after: Callable[[], dict[str, Any]] = dict,
) -> None:
    _print({"begin": case})
    cpu, began = peer.cpu_seconds(), time.perf_counter()
    step()
    seconds = time.perf_counter() - began
    cpu = peer.cpu_seconds() - cpu
    _print(
        {"case": case, "seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peer.peak_bytes()}
        | after()
    )


def _print(line: dict[str, Any]) -> None:
    # In one write: a line is a mark in a trace.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def kernel_bytes() -> int:
    """Returns what the kernel holds in slabs, in vmalloc areas and for each processor.

    Of the whole machine: what others do meanwhile is in a difference of two.
    """
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in ("Slab", "VmallocUsed", "Percpu")) * 1024


if __name__ == "__main__":
    main()
