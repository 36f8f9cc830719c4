"""Runs a plan: every session in a network namespace of its own, one after another."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from . import flows, sent
from .plans import Plan
from .results import (
    DONE,
    FAILED,
    UNFINISHED,
    UNTRIED,
    Measurement,
    Results,
    these_versions,
    this_machine,
)
from .session import STEADY_PERIOD, Spec

PREPARATION_SECONDS = 300.0
"""How long what is not timed may take between two steps."""
TRACING_SECONDS = 60.0
"""How long a session may take that is traced."""
_RESULTS = {"service": ("added", "removed"), "traffic": ("connect", "connect-updating")}
"""What comes of a case, where it is not one result of the same name."""
Progress = Callable[[str], None]
"""Is told what is measured next."""


class Suite:
    """One run."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        """Takes what to do, and whom to tell."""
        self._plan, self._progress = plan, progress
        self._found: dict[tuple[str, str, int, int, str], Measurement] = {}

    def run(self) -> Results:
        """Does all of it."""
        began = time.monotonic()
        machine = this_machine()
        plan = self._plan
        for spec in plan.warm_up:
            self._progress(f"{spec.peer}: warming up")
            self._run(spec)
        self._found.clear()
        for number, spec in enumerate(plan.specs, 1):
            self._tell(number, len(plan.specs), spec)
            self._session(spec)
        for number, spec in enumerate(plan.traced, 1):
            self._tell(number, len(plan.traced), spec, "counting what is sent")
            self._trace(spec)
        for services in plan.flows:
            self._progress(f"new flows among {services:,} Services")
            self._add(flows.measure(services, plan.packets))
        return Results(
            plan.name,
            plan.bound,
            list(self._found.values()),
            machine,
            these_versions(),
            time.monotonic() - began,
        )

    def _tell(self, number: int, count: int, spec: Spec, doing: str = "") -> None:
        kind = "" if spec.kind == "plain" else f" {spec.kind}"
        size = f"{spec.services:,}{kind} x {spec.endpoints}"
        cases = doing or ", ".join(["cold", *spec.counts])
        self._progress(f"[{number}/{count}] {spec.peer}, {size}: {cases}")

    def _session(self, spec: Spec) -> None:
        """Runs a session; after one that did not finish a case, another without that case."""
        wanted = dict(spec.counts)
        while True:
            if reason := self._hopeless(spec, "cold"):
                for case in ["cold", *wanted]:
                    self._end(spec, case, UNTRIED, reason)
                return
            for case in list(wanted):
                if reason := self._hopeless(spec, case):
                    self._end(spec, case, UNTRIED, reason)
                    del wanted[case]
            running = replace(spec, counts=wanted)
            ended = self._run(running)
            if ended is None:
                return
            case, outcome, reason = ended
            self._end(spec, case, outcome, reason)
            if case == "cold":
                for left in wanted:
                    self._end(spec, left, UNTRIED, f"the cold load: {outcome}")
                return
            # The cases before it are done; those after it are not.
            case = next(each for each in wanted if case in (each, *_RESULTS.get(each, ())))
            wanted = dict(list(wanted.items())[list(wanted).index(case) + 1 :])
            if not wanted:
                return

    def _run(self, spec: Spec) -> tuple[str, str, str] | None:
        """Runs a session; returns the case that it ended in, how and why, if not at its end."""
        with subprocess.Popen(
            ["unshare", "--net", *spec.command()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            lines = _Lines(process.stdout.fileno())
            case, timed = "cold", False
            try:
                while line := lines.next(self._bound(spec) if timed else PREPARATION_SECONDS):
                    if timed := "begin" in line:
                        case = str(line["begin"]) or case
                    else:
                        self._take(spec, line)
            except TimeoutError:
                _kill(process)
                if timed:
                    return case, UNFINISHED, f"more than {self._bound(spec):g} s"
                return case, FAILED, "its preparation takes too long"
            said = process.stderr.read().decode(errors="replace").strip().splitlines()
        if process.returncode != 0:
            return case, FAILED, said[-1] if said else f"exit code {process.returncode}"
        return None

    def _bound(self, spec: Spec) -> float:
        traffic = 3 * spec.traffic_seconds if "traffic" in spec.counts else 0.0
        return self._plan.bound + traffic + STEADY_PERIOD * spec.counts.get("steady", 0)

    def _take(self, spec: Spec, line: dict[str, object]) -> None:
        case = str(line["case"])
        if not case or ("traffic" in spec.counts and case == "cold"):
            return
        if "samples" in line:
            seconds = line["samples"]
            assert isinstance(seconds, list)
            known = self._measurement(spec, case)
            known.seconds = seconds
            if "cpu_seconds" in line:
                known.cpu_seconds = _number(line["cpu_seconds"])
                known.peak_bytes = int(_number(line["peak_bytes"]))
            return
        known = self._measurement(spec, case)
        known.outcome, known.reason = DONE, ""
        count = len(known.seconds)
        known.seconds.append(_number(line["seconds"]))
        cpu = _number(line["cpu_seconds"])
        known.cpu_seconds = ((known.cpu_seconds or 0.0) * count + cpu) / (count + 1)
        known.peak_bytes = max(known.peak_bytes or 0, int(_number(line["peak_bytes"])))
        if "kernel_bytes" in line:
            known.kernel_bytes.append(int(_number(line["kernel_bytes"])))

    def _trace(self, spec: Spec) -> None:
        if any(self._hopeless(spec, case) for case in ("cold", *spec.counts)):
            return
        try:
            found = sent.trace(spec, TRACING_SECONDS)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            self._progress(f"  not counted: {type(error).__name__}")
            return
        for case, counted in found.items():
            known = self._measurement(spec, case)
            known.sent_bytes, known.messages = counted.sent_bytes, counted.messages

    def _hopeless(self, spec: Spec, case: str) -> str:
        """Says why a case cannot finish: the same peer did not finish a smaller size."""
        for known in self._found.values():
            if (
                (known.peer, known.kind) == (spec.peer, spec.kind)
                and known.case in _RESULTS.get(case, (case,))
                and known.outcome in (UNFINISHED, FAILED)
                and known.services <= spec.services
                and known.endpoints <= spec.endpoints
            ):
                return f"{known.outcome} with {known.services:,} x {known.endpoints}"
        return ""

    def _end(self, spec: Spec, case: str, outcome: str, reason: str) -> None:
        for result in _RESULTS.get(case, (case,)):
            known = self._measurement(spec, result)
            if not known.seconds or outcome == FAILED:
                known.outcome, known.reason = outcome, reason

    def _measurement(self, spec: Spec, case: str) -> Measurement:
        services, endpoints, kind = _size(spec)
        return self._add(Measurement(spec.peer, case, services, endpoints, kind))

    def _add(self, measurement: Measurement) -> Measurement:
        return self._found.setdefault(measurement.key, measurement)


def _size(spec: Spec) -> tuple[int, int, str]:
    return spec.services, spec.endpoints, spec.kind


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


class _Lines:
    """The JSON lines that a session prints."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._rest = descriptor, b""

    def next(self, seconds: float) -> dict[str, object] | None:
        """Returns the next line, or `None` at the end; raises `TimeoutError` where it is late."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._descriptor], [], [], left)[0]:
                raise TimeoutError
            received = os.read(self._descriptor, 1 << 20)
            if not received:
                return None
            self._rest += received
        line, self._rest = self._rest.split(b"\n", 1)
        decoded: dict[str, object] = json.loads(line)
        return decoded


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Ends a session and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def to_stderr(what: str) -> None:
    """Tells what is measured next."""
    print(what, file=sys.stderr, flush=True)
