"""Follows a Service that changes, and prints what it cost as a line of JSON.

    python -m bench.watch RATE COUNT

The API server is a process of its own on loopback; an event is a line of 3 KB.
"""

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from kubernetes.client import Configuration

from kpx import EventReport, Proxier
from kpx.kube import Client, Reflector
from kpx.kube.resources import SERVICES

_TESTS = Path(__file__).parent.parent / "tests"
_EMITTED = re.compile(rb'"emitted":"([^"]+)"')


def main() -> None:
    """Runs both ends."""
    rate, count = float(sys.argv[1]), int(sys.argv[2])
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "a", "name": "a", "annotations": {"pad": "x" * 2600}},
        "spec": {"clusterIP": "10.97.0.1", "ports": [{"port": 80}]},
    }
    with subprocess.Popen(
        [sys.executable, "-m", "fakes.apiserver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_TESTS,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps({"objects": {SERVICES.path: [service]}}) + "\n")
        server.stdin.flush()
        sink = Sink()
        reflector = Reflector(
            Client(Configuration(host=server.stdout.readline().strip())),
            SERVICES,
            sink,
            on_change=lambda: None,
            start_jitter=0,
        )
        stop = threading.Event()
        thread = threading.Thread(target=reflector.run, args=(stop,))
        thread.start()
        assert reflector.synced.wait(30)
        began, busy = time.monotonic(), time.process_time()
        command = ["emit", SERVICES.path, service, rate, count]
        server.stdin.write(json.dumps(command) + "\n")
        server.stdin.flush()
        server.stdout.readline()
        while len(sink.seconds) < count and time.monotonic() - began < 60 + count / rate:
            time.sleep(0.01)
        busy, took = time.process_time() - busy, time.monotonic() - began
        stop.set()
        thread.join()
        server.stdin.close()
    print(json.dumps({"seconds": sink.seconds, "cores": busy / took}))


class Sink:
    """The core, with a note of how long each event was under way."""

    def __init__(self) -> None:
        """Starts empty."""
        core = Proxier('{"node_name": "node"}')
        self.begin_replace = core.begin_replace
        self.feed = core.feed
        self.end_replace = core.end_replace
        self._feed_event = core.feed_event
        self.seconds: list[float] = []

    def feed_event(self, line: bytes) -> EventReport:
        """Hands a line on."""
        now = time.monotonic()
        emitted = _EMITTED.search(line)
        if emitted:
            self.seconds.append(now - float(emitted[1]))
        return self._feed_event(line)


if __name__ == "__main__":
    main()
