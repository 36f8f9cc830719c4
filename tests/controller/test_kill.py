"""`kpx controller` as a process that is killed in the middle of its writes."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.harness import eventually, published, put_pods, writes
from fakes.apiserver import (
    ENDPOINT_SLICES,
    LEASES,
    PODS,
    SERVICES,
    ApiServer,
    Refusal,
    write_kubeconfig,
)
from objects import service


@contextmanager
def process(server: ApiServer, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A controller; one that is still there at the end is told to stop."""
    # What a killed one holds would only run out after 15 s.
    server.remove(LEASES, "kube-system", "kpx-controller")
    flags = ["--max-endpoints-per-slice", "4", "--metrics-bind-address", "none"]
    command = [sys.executable, "-m", "kpx", "controller", *flags]
    environment = {**os.environ, "KUBECONFIG": write_kubeconfig(server.url, directory)}
    with (directory / "log").open("ab") as log:
        started = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.terminate()
        started.wait(20)


def slices_of(server: ApiServer, name: str) -> list[Any]:
    label = "kubernetes.io/service-name"
    slices = server.get(ENDPOINT_SLICES)
    return [one for one in slices if one["metadata"]["labels"][label] == name]


def has_written(server: ApiServer, before: int) -> bool:
    return writes(server) > before


@pytest.mark.timeout(180)
def test_no_endpoint_is_lost_or_doubled_by_kills(server: ApiServer, tmp_path: Path) -> None:
    chance = random.Random(1)
    alive: set[int] = set()
    for _ in range(4):
        # Its writes take a while, so that it is killed while one is under way. The server carries
        # that one out all the same.
        server.refusals[ENDPOINT_SLICES].extend(Refusal(0, delay=0.2) for _ in range(8))
        before = writes(server)
        with process(server, tmp_path) as controller:
            for _ in range(8):
                number = chance.randrange(1, 25)
                if number in alive:
                    server.remove(PODS, "default", f"p{number}")
                else:
                    put_pods(server, number)
                alive ^= {number}
            eventually(partial(has_written, server, before))
            controller.kill()
            assert controller.wait(20) == -9
        server.refusals.clear()
        # Nobody hears of what happens now.
        put_pods(server, 30)
        server.remove(PODS, "default", "p30")
    expected = sorted(f"p{number}" for number in alive)
    server.put(SERVICES, service("marker", selector={"app": "marker"}))
    with process(server, tmp_path) as controller:
        eventually(lambda: published(server) == expected)
        # A marker, written in a sync of its own, shows that everything was looked at.
        eventually(lambda: len(slices_of(server, "marker")) == 1)
        assert published(server) == expected
        controller.terminate()
        assert controller.wait(20) == 0, (tmp_path / "log").read_text()
