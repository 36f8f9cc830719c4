"""`kpx demo`, whole."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.netns

UNSHARE = ["unshare", "--net", "--mount"]
AS_USER = ["--user", "--map-root-user"]
DEMO = [sys.executable, "-m", "kpx", "demo"]


def can(*command: str) -> bool:
    return subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0


@pytest.fixture(autouse=True)
def _heeded_interrupts() -> Iterator[None]:
    """Lets what is started heed SIGINT: a shell has what it runs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    if not can(*UNSHARE) and not can(*UNSHARE, *AS_USER):
        pytest.skip("this machine does not allow network namespaces")


def test_every_expectation_holds() -> None:
    result = subprocess.run(DEMO, capture_output=True, text=True, check=False, timeout=40)
    assert (result.returncode, result.stderr) == (0, "")
    assert "every expectation held" in result.stdout
    for kind in ("ClusterIP", "NodePort", "external IP"):
        before, after = (line for line in result.stdout.splitlines() if kind in line)
        assert all(name in before for name in ("pod-a", "pod-b", "pod-c"))
        assert "pod-b" not in after


def test_no_power_over_the_machine_is_needed() -> None:
    lost = "-sys_admin,-net_admin"
    drop = ["setpriv", f"--bounding-set={lost}", f"--inh-caps={lost}"]
    powerless = drop if os.geteuid() == 0 else []
    if not can(*powerless, *UNSHARE, *AS_USER):
        pytest.skip("this machine does not allow user namespaces")
    result = subprocess.run(
        [*powerless, *DEMO], capture_output=True, text=True, check=False, timeout=40
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "every expectation held" in result.stdout


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        DEMO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "the client connects" in line:
                assert list(tmp_path.iterdir()) != []
                # What a terminal does on Ctrl-C: every process of the group gets the signal.
                os.killpg(demo.pid, signal.SIGINT)
                break
        else:
            pytest.fail("the demo ended before it could be interrupted")
        _, errors = demo.communicate(timeout=20)
    assert (demo.returncode, errors) == (130, "")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.pid, 0)


def test_the_part_inside_refuses_to_run_outside() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "kpx.demo"], capture_output=True, text=True, check=False, timeout=10
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: not in a network namespace of its own\n")
