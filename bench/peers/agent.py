"""kpx as an agent."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .. import cases
from ..changes import Change
from ..commits import Commits
from ..list_watch import ListWatch
from .peer import Peer, resident_peak

_METRICS = "http://127.0.0.1:10249/metrics"
_SYNCED = b"kubeproxy_sync_proxy_rules_last_timestamp_seconds{"
PATIENCE_SECONDS = 600
"""More than any bound: whoever runs the session ends it before."""
LAG_SECONDS = 10.0
"""How far the agent may be behind at the end of a steady load."""


class Agent(Peer):
    """`kpx run`, from an event that an API server writes over HTTP until the kernel's commit."""

    name = "agent"
    title = "`kpx run`: from an event that an API server writes over HTTP to the end of the commit"
    cases = Peer.cases | {"burst", "steady"}
    _process: "subprocess.Popen[bytes] | None" = None

    def prepare(self) -> None:
        """Starts the API server."""
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self._server = ListWatch(self.cluster.services, self.cluster.endpoints)
        self._kubeconfig = self.directory / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {"server": self._server.url}}],
            "users": [{"name": "bench", "user": {"token": "bench"}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        }
        self._kubeconfig.write_text(json.dumps(config))
        self._commits = Commits()

    def load(self) -> None:
        """Starts the agent, until it has programmed everything."""
        self._start()
        assert self._commits.wait(PATIENCE_SECONDS, self._runs), "the agent ended, or did nothing"

    def prepare_restart(self) -> None:
        """Stops the agent, which leaves everything as it is."""
        self._stop()
        self._server.forget_watches()

    def restart(self) -> None:
        """Starts it again, until its metrics tell that all is programmed."""
        self._start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self._runs():
            if _last_sync() > 0:
                return
            time.sleep(0.005)
        raise AssertionError("the agent did not say that all is programmed")

    def encode(self, change: Change) -> Any:
        """Returns the watch events, and what the kernel will tell of the last."""
        self._server.wait_for_watches(60)
        if change.after:
            last = list(change.after.values())[-1][-1 if not change.before else 0]
        else:
            last = cases.cluster_ip(list(change.before)[-1])
        return list(change.events()), socket.inet_aton(last)

    def apply(self, encoded: Any) -> None:
        """Writes the events, and waits until the last is programmed."""
        lines, last = encoded
        for line in lines:
            self._server.send(line)
        programmed = self._commits.wait(PATIENCE_SECONDS, self._runs, last)
        assert programmed, "the agent ended, or did not program an event"

    def follow(self, encoded: list[Any], period: float) -> list[float]:
        """Writes events at a rate, whether the agent keeps up or not."""
        due = {}
        with ThreadPoolExecutor(1) as pool:
            addresses = [last for _lines, last in encoded]
            patience = len(encoded) * period + LAG_SECONDS
            told = pool.submit(self._commits.first_told, addresses, patience)
            began = time.perf_counter()
            for number, (lines, last) in enumerate(encoded):
                due[last] = began + number * period
                time.sleep(max(0.0, due[last] - time.perf_counter()))
                for line in lines:
                    self._server.send(line)
            programmed = told.result()
        assert len(programmed) == len(due), f"{len(due) - len(programmed)} were not programmed"
        return [programmed[last] - moment for last, moment in due.items()]

    def cpu_seconds(self) -> float:
        """Returns the processor time of the agent alone."""
        tasks = Path(f"/proc/{self._process.pid}/task") if self._process else None
        if tasks is None:
            return 0.0
        return (
            sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9
        )

    def peak_bytes(self) -> int:
        """Returns that of the agent."""
        assert self._process is not None
        return resident_peak(self._process.pid)

    def close(self) -> None:
        """Stops both ends."""
        self._stop()
        self._commits.close()
        self._server.close()

    def _start(self) -> None:
        command = [sys.executable, "-m", "kpx", "run", f"--kubeconfig={self._kubeconfig}"]
        options = [f"--cluster-cidr={cases.CLUSTER_CIDR}", f"--node-name={cases.NODE_NAME}"]
        self._process = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None


def _last_sync() -> float:
    try:
        with urllib.request.urlopen(_METRICS, timeout=10) as answer:
            for line in answer:
                if line.startswith(_SYNCED):
                    return float(line.split()[1])
    except OSError:
        pass
    return 0.0
