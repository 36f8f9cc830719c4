"""Fixtures that run the real command in a network namespace of its own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from nodes import Node

# A busy machine makes single examples slow, which says nothing about the code.
settings.register_profile("kpx", deadline=None)
settings.load_profile("kpx")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite what the scenario files expect")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node of its own for one test."""
    as_root = os.geteuid() == 0
    unshare = ["unshare", "--net"] if as_root else ["unshare", "--map-root-user", "--net"]
    with subprocess.Popen(
        [*unshare, "sh", "-c", "ip link set lo up && echo made && exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != "made\n":
            pytest.skip("this machine does not allow network namespaces")
        user = [] if as_root else ["--user", "--preserve-credentials"]
        yield Node(("nsenter", f"--target={holder.pid}", *user, "--net"), tmp_path)
        holder.kill()
