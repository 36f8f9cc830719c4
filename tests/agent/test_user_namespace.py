"""`kpx run` where the socket's buffers are limited, as for users without privileges."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_process import PATIENCE
from objects import endpoint_slice, service

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120 * PATIENCE)]

SERVICES, ENDPOINTS = 2_000, 10
"""Ten times as many elements as fit into a transaction there."""
WAIT_SECONDS = 90 * PATIENCE
RUN = """
"$@" &
while :; do
  nft list map ip kpx endpoints 2>/dev/null | grep -o ' : 10\\.' | wc -l
  sleep 0.2
done
"""
"""Runs the agent, and says again and again how many endpoints the kernel holds."""


def test_what_is_too_large_for_one_transaction_is_split(tmp_path: Path) -> None:
    items = []
    for number in range(SERVICES):
        address = f"10.96.{number // 250}.{number % 250 + 1}"
        hosts = [f"10.{n}.{number // 250}.{number % 250 + 1}" for n in range(ENDPOINTS)]
        items += [
            service(f"service-{number}", clusterIP=address, clusterIPs=[address]),
            endpoint_slice(f"service-{number}", *hosts),
        ]
    (tmp_path / "list.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    )
    agent = (sys.executable, "-m", "kpx", "run", "-f", "list.json", "--node-name", "node")
    # Root's capabilities over this namespace do not reach the limits of the host.
    command = [
        "unshare",
        "--map-root-user",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "bash",
        "-c",
        RUN,
        "bash",
        *agent,
    ]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=tmp_path
        ) as process,
    ):
        assert process.stdout is not None
        deadline = time.monotonic() + WAIT_SECONDS
        counts = [0]
        try:
            while counts[-1] < SERVICES * ENDPOINTS:
                said = process.stdout.readline()
                assert said, (tmp_path / "log").read_text()
                counts.append(int(said))
                assert time.monotonic() < deadline, (counts, (tmp_path / "log").read_text())
        finally:
            process.terminate()
    assert "error" not in (tmp_path / "log").read_text()
