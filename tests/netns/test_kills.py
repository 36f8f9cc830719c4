"""`kpx run` killed at random points while endpoints come and go: no client may notice.

`KPX_KILLS` says how many times; `make test-long` kills it a hundred times.
"""

import json
import os
import random
import time
from pathlib import Path

import pytest

from agent_process import AgentProcess
from fakes.apiserver import api_server_process
from kernel_state import left_to_change

from .churn import Churn, Target
from .cluster import NODE_NAME, Cluster, sync_options
from .conftest import Reprogram
from .manifest import VERSIONS
from .namespace import PATIENCE
from .steady import SteadyClient, steady_client

ROUNDS = int(os.environ.get("KPX_KILLS", "5"))
TRIES = 25
"""Connections to each address: one endpoint of five that is wrong is missed once in 250 times."""
ANSWER_SECONDS = 20 * PATIENCE
ABSENT_SECONDS = 0.5
"""How long to wait for an answer that is not to come."""
CLIENT_PORTS = 42000


class Traffic:
    """What clients of the Services see."""

    def __init__(self, churn: Churn, client: SteadyClient) -> None:
        self.churn = churn
        self.client = client
        self.lasting = self.hold()
        """Whom the connections reached that are never closed."""
        self.passing = self.hold()
        """Whom those reached that were opened after the last kill."""
        client(watch=[target for _, target in self.targets()])

    def targets(self) -> list[tuple[str, Target]]:
        """Each Service with an address of it: by turns its cluster IP, node port and so on."""
        kinds = ("cluster", "node-port", "external", "load-balancer")
        return [
            (name, service.target(kinds[number % 4], version, self.churn.cluster))  # type: ignore[arg-type]
            for number, (name, service) in enumerate(self.churn.services.items())
            for version in VERSIONS
        ]

    def hold(self) -> list[tuple[str, str]]:
        """Opens connections; gives the Service and the pod of each."""
        targets = [*self.targets() * 2]
        pods = self.client(hold=[target for _, target in targets])
        return [(name, pod) for (name, _), pod in zip(targets, pods, strict=True)]

    def check(self) -> None:
        """Holds what clients see, after a kill, against what is desired."""
        self._check_held()
        self._check_new()
        self._check_flows()
        _, failures = self.client(watched=None)
        assert failures == []

    def _check_held(self) -> None:
        """Connections to endpoints that stayed are alive."""
        left = self.churn.left
        held = [*self.lasting, *self.passing]
        lives = self.client(alive=None)
        cut = [one for one, is_alive in zip(held, lives, strict=True) if not is_alive]
        assert [one for one in cut if one not in left] == []
        kept = [number for number, one in enumerate(self.lasting) if one not in left]
        assert kept
        self.client(keep=kept)
        self.lasting = [self.lasting[number] for number in kept]
        left.clear()
        self.passing = self.hold()

    def _check_new(self) -> None:
        """New connections reach every endpoint that is there, and none that is gone."""
        targets = self.targets()
        seen = self.reached([target for _, target in targets], TRIES, ANSWER_SECONDS)
        for (name, target), pods in zip(targets, seen, strict=True):
            assert set(pods) <= set(self.churn.services[name].pods), f"{name} at {target}"
        brief, is_there = self.churn.brief, self.churn.is_brief_there
        addresses = [brief.target("cluster", version, self.churn.cluster) for version in VERSIONS]
        for pods in self.reached(addresses, 4, ANSWER_SECONDS if is_there else ABSENT_SECONDS):
            assert (pods == ["none"]) != is_there, pods

    def reached(self, targets: list[Target], count: int, seconds: float) -> list[list[str]]:
        """Who answers connections to each of the targets."""
        seen: list[list[str]] = self.client(**{"try": targets, "count": count, "seconds": seconds})
        return seen

    def _check_flows(self) -> None:
        """A client of UDP that keeps its port is soon answered by an endpoint that is there."""
        targets = self.targets()
        asked = [(*target, CLIENT_PORTS + number) for number, (_, target) in enumerate(targets)]
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            pods = self.client(ask=asked)
            wrong = [
                f"{name} at {target}: {pod}"
                for (name, target), pod in zip(targets, pods, strict=True)
                if pod not in self.churn.services[name].pods
            ]
            if not wrong:
                return
            assert time.monotonic() < deadline, wrong


def assert_nothing_to_change(cluster: Cluster, churn: Churn) -> None:
    """Kpx itself would change nothing of what the kernel holds."""
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": churn.items()})
    plan = cluster.kpx("plan", "-f", "-", "-o", "json", *sync_options(), stdin=manifest).stdout
    assert left_to_change(plan) == []


@pytest.mark.timeout((120 + 30 * ROUNDS) * PATIENCE)
def test_kills_go_unnoticed(programmed: Cluster, reprogram: Reprogram, tmp_path: Path) -> None:
    del reprogram  # restores the Services behind the test
    chance = random.Random(11)
    churn = Churn(programmed)
    with (
        api_server_process(programmed.node.command(), churn.objects()) as server,
        AgentProcess(
            programmed.node.command(),
            server.url,
            tmp_path,
            *sync_options(),
            node_name=NODE_NAME,
        ) as agent,
        steady_client(programmed.client) as client,
    ):
        began = time.monotonic()
        agent.start()
        agent.eventually(churn.is_programmed, "the first start programs everything")
        start_seconds = time.monotonic() - began
        traffic = Traffic(churn, client)
        for number in range(ROUNDS):
            with churn.running(server):
                time.sleep(chance.uniform(0, 0.4))
                agent.kill()
                agent.start()
                if number % 2:
                    # While it starts: before its first commit, in it, or just behind.
                    time.sleep(chance.uniform(0, 1.3 * start_seconds))
                    agent.kill()
                    agent.start()
                time.sleep(chance.uniform(0, start_seconds))
            agent.eventually(churn.is_programmed, f"all is as desired after kill {number}")
            traffic.check()
            assert_nothing_to_change(programmed, churn)
        attempts, _ = client(watched=None)
        print(f"{ROUNDS} rounds, {churn.changes} changes, {attempts} connections beside")
        assert attempts > ROUNDS
