"""`kpx run` while everything changes all the time: its memory and its files stay as they are.

`KPX_SOAK` says for how many seconds; `make test-long` takes ten minutes.
"""

import os
import statistics
import time
from pathlib import Path

import pytest

from agent_process import AgentProcess
from fakes.apiserver import ENDPOINT_SLICES, SERVICES, ApiServerProcess, api_server_process

from .churn import Churn
from .cluster import NODE_NAME, Cluster, sync_options
from .conftest import Reprogram
from .manifest import VERSIONS
from .namespace import PATIENCE
from .steady import SteadyClient, steady_client

SECONDS = float(os.environ.get("KPX_SOAK", "30"))
SAMPLE_SECONDS = 0.25
NOISE_BYTES = 1 << 20
"""What memory may differ by over the last third, whatever its scatter."""
NOISE_DESCRIPTORS = 2
"""One watch that is just being replaced, of each of the two kinds that are cut."""
CLIENT_PORTS = 43000


class Disturbances:
    """What else happens to an agent, one after the other."""

    def __init__(self, churn: Churn, server: ApiServerProcess, client: SteadyClient) -> None:
        self.churn = churn
        self.server = server
        self.client = client
        self.count = 0

    def next(self) -> None:
        self.count += 1
        for path in (SERVICES, ENDPOINT_SLICES):
            match self.count % 5:
                case 0:
                    self.server.inject(path, "cut in line")
                case 1:
                    # What happened before is forgotten, so that all is listed anew.
                    self.server.tell("compact", path)
                    self.server.inject(path, "cut")
                case 2:
                    self.server.inject(path, "replay", code=20)
        if self.count % 5 == 3:
            self._reject()
        # New flows, some of them to endpoints that go.
        targets = [
            (*service.target("cluster", version, self.churn.cluster), CLIENT_PORTS + number)
            for number, service in enumerate(self.churn.services.values())
            for version in VERSIONS[:1]
        ]
        self.client(ask=targets)

    def _reject(self) -> None:
        """A Service that is invalid each time in another way, and is told of in the log."""
        broken = self.churn.brief.objects(self.churn.cluster.pods)[0]
        spec = {**broken["spec"], "clusterIP": f"no address {self.count}"}
        metadata = {**broken["metadata"], "name": f"broken-{self.count % 7}"}
        self.server.put(SERVICES, {**broken, "metadata": metadata, "spec": spec})


def slope(samples: list[tuple[float, int]]) -> tuple[float, float]:
    """How much a second the samples rise, by least squares, and the standard error of that."""
    times, values = zip(*samples, strict=True)
    rise, _ = statistics.linear_regression(times, values)
    mean = statistics.fmean(times)
    spread = sum((moment - mean) ** 2 for moment in times)
    start = statistics.fmean(values) - rise * mean
    errors = [value - start - rise * moment for moment, value in samples]
    scatter = sum(error**2 for error in errors) / (len(samples) - 2)
    return rise, (scatter / spread) ** 0.5


@pytest.mark.timeout((180 + 2 * SECONDS) * PATIENCE)
def test_memory_and_files_stay_as_they_are(
    programmed: Cluster, reprogram: Reprogram, tmp_path: Path
) -> None:
    del reprogram  # restores the Services behind the test
    churn = Churn(programmed)
    enter = programmed.node.command()
    with (
        api_server_process(enter, churn.objects()) as server,
        AgentProcess(enter, server.url, tmp_path, *sync_options(), node_name=NODE_NAME) as agent,
        steady_client(programmed.client) as client,
    ):
        agent.start()
        agent.eventually(churn.is_programmed, "the start programs everything")
        disturbances = Disturbances(churn, server, client)
        memory: list[tuple[float, int]] = []
        descriptors: list[int] = []
        began = time.monotonic()
        with churn.running(server):
            while (now := time.monotonic() - began) < SECONDS:
                memory.append((now, agent.resident_bytes()))
                descriptors.append(agent.descriptors())
                if now > disturbances.count * max(2.0, SECONDS / 100):
                    disturbances.next()
                    # What is asked of it costs nothing that stays, either.
                    assert agent.metric("kpx_operations_total") > 0
                time.sleep(SAMPLE_SECONDS)
        agent.eventually(churn.is_programmed, "all is as desired after it")

    third = [sample for sample in memory if sample[0] > SECONDS * 2 / 3]
    rise, error = slope(third)
    span = third[-1][0] - third[0][0]
    print(
        f"{SECONDS:.0f} s, {churn.changes} changes, {disturbances.count} disturbances:"
        f" {third[0][1] / 1e6:.1f} MB, {rise * span / 1e3:+.0f} kB"
        f" (+- {error * span / 1e3:.0f}) over the last third;"
        f" {min(descriptors)} to {max(descriptors)} descriptors"
    )
    assert rise * span < max(NOISE_BYTES, 3 * error * span)
    count = len(descriptors)
    assert max(descriptors[-count // 3 :]) <= max(descriptors[: count // 3]) + NOISE_DESCRIPTORS
