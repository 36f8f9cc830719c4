"""`kpx run` killed at random points: the next one makes IPVS what it should be.

`KPX_KILLS` says how many times; `make test-long` kills it two hundred times.
"""

import json
import os
import time
from pathlib import Path
from random import Random

import pytest

from fakes.apiserver import api_server_process
from kernel_state import left_to_change

from ..churn import Churn
from ..cluster import Cluster, sync_options
from ..namespace import PATIENCE
from .forks import ForkedAgent, forks
from .virtual_servers import desired, device_addresses, listed, virtual_addresses

KILLS = int(os.environ.get("KPX_KILLS", "4"))
CHURN_SECONDS = 0.05 * PATIENCE
"""For how long at most the agent programs what changes before it is killed."""

FOREIGN = "-t 192.0.2.1:9000 -s wlc"
FOREIGN_ENDPOINT = "10.244.9.9:443"


@pytest.mark.timeout((60 + 10 * KILLS) * PATIENCE)
def test_ipvs_is_as_desired_after_every_kill(fleet: Cluster, tmp_path: Path) -> None:
    node = fleet.node
    node.run("ipvsadm", "-A", *FOREIGN.split())
    node.run("ipvsadm", "-a", *FOREIGN.split()[:2], "-r", FOREIGN_ENDPOINT, "-m", "-w", "7")
    chance = Random(23)
    churn = Churn(fleet)

    def is_programmed() -> bool:
        there = churn.there()
        wanted = desired(fleet, there) | {FOREIGN: {FOREIGN_ENDPOINT: 7}}
        return listed(node) == wanted and device_addresses(node) == virtual_addresses(there)

    with (
        forks(node) as kpx,
        api_server_process(node.command(), churn.objects()) as server,
        ForkedAgent(kpx, node, server.url, tmp_path) as agent,
    ):
        began = time.monotonic()
        agent.start()
        agent.eventually(is_programmed, "the first start programs everything")
        start_seconds = time.monotonic() - began
        kills = unfinished = 0
        while kills < KILLS:
            with churn.running(server):
                time.sleep(chance.uniform(0, CHURN_SECONDS))
                agent.kill()
                kills += 1
                if chance.random() < 0.6:
                    agent.start()
                    # While it starts: before its first commit, in it, or just behind.
                    time.sleep(chance.uniform(0, 1.3 * start_seconds))
                    agent.kill()
                    kills += 1
            unfinished += not is_programmed()
            agent.start()
            agent.eventually(is_programmed, f"IPVS is as desired after kill {kills}")
            (tmp_path / "desired.json").write_text(
                json.dumps({"apiVersion": "v1", "kind": "List", "items": churn.items()})
            )
            plan = ("plan", "-f", str(tmp_path / "desired.json"), "-o", "json", *sync_options())
            assert left_to_change(kpx.run(tmp_path, *plan)) == []
            print(f"{kills} kills in {time.monotonic() - began:.0f} s", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{kills} kills, {unfinished} times they left something to do,"
        f" {churn.changes} changes, {seconds:.0f} s, {start_seconds:.1f} s for a start"
    )
    assert unfinished
