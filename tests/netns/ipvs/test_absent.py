"""A kernel without IPVS: every command says exactly that, and what to load."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..cluster import KPX, sync_options
from ..namespace import PATIENCE, Namespace

UNLOADING_SECONDS = 30 * PATIENCE
BARRIERS = [
    directory / "absent.conf"
    for directory in (Path("/etc/modprobe.d"), Path("/proc/1/root/etc/modprobe.d"))
]
"""Where `modprobe` is told that there is no IPVS: for us, and for the kernel, whose root directory
is that of the first process."""


@pytest.fixture
def without_ipvs() -> Iterator[None]:
    """Unloads IPVS, and keeps the kernel from loading it again."""
    for barrier in BARRIERS:
        barrier.write_text("install ip_vs /bin/false\n")
    try:
        # What an earlier test's namespace holds goes a little later than the namespace.
        deadline = time.monotonic() + UNLOADING_SECONDS
        while not is_unloaded():
            assert time.monotonic() < deadline, "IPVS is not unloaded"
            time.sleep(0.1)
        yield
    finally:
        for barrier in BARRIERS:
            barrier.unlink(missing_ok=True)
        subprocess.run(["modprobe", "ip_vs"], check=True)


def is_unloaded() -> bool:
    """Unloads IPVS and its schedulers, and says whether they are gone."""
    loaded = [line.split()[0] for line in Path("/proc/modules").read_text().splitlines()]
    # Those that need `ip_vs` come first.
    ours = sorted((name for name in loaded if name.startswith("ip_vs")), key=len, reverse=True)
    for name in ours:
        subprocess.run(["modprobe", "-r", name], capture_output=True, check=False)
    return not ours


@pytest.mark.usefixtures("without_ipvs")
@pytest.mark.parametrize("command", ["sync", "plan", "run"])
def test_what_would_program_ipvs_says_that_there_is_none(
    node: Namespace, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "services.json"
    path.write_text('{"kind": "List", "apiVersion": "v1", "items": []}')
    done = node.run(KPX, command, "-f", str(path), *sync_options(), check=False)
    assert done.returncode == 1
    assert "the kernel has no IPVS" in done.stderr
    assert "modprobe -a ip_vs" in done.stderr
    assert node.run("nft", "list", "tables").stdout == ""


@pytest.mark.usefixtures("without_ipvs")
def test_check_says_what_ipvs_lacks(node: Namespace) -> None:
    done = node.run(KPX, "check", "--backend", "ipvs", check=False)
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if " ipvs " in line)
    assert line.startswith("missing")
    assert "modprobe -a ip_vs" in done.stdout


@pytest.mark.usefixtures("without_ipvs")
def test_what_needs_no_ipvs_works_without(node: Namespace, tmp_path: Path) -> None:
    assert node.run(KPX, "cleanup").returncode == 0
    assert node.run(KPX, "status").returncode == 0
