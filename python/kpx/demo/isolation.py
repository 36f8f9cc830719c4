"""Namespaces for the demo to run in, made without root where the kernel allows it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from kpx.errors import DemoFailed

__all__ = ["require_isolation", "run"]

_OUTER_NETWORK: Final = "KPX_DEMO_OUTER_NETWORK"
"""The variable that tells the process inside which network it must not be in."""

# The first process of a PID namespace takes all others with it when it ends, however it ends.
_NAMESPACES: Final = ("--net", "--mount", "--pid", "--fork", "--kill-child")
_AS_USER: Final = ("--user", "--map-root-user")


def run() -> int:
    """Runs the demo in namespaces of its own, and returns its exit code.

    Raises:
        DemoFailed: This machine does not let us make namespaces, or has no programs for it.
    """
    for program in ("ip", "unshare", "nsenter", "mount"):
        if shutil.which(program) is None:
            raise DemoFailed(
                f"the program `{program}` is not there",
                "install the packages `iproute2` and `util-linux`",
            )
    command = [*_unshare(), sys.executable, "-m", "kpx.demo"]
    environment = {**os.environ, _OUTER_NETWORK: _network()}
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # The terminal has sent it the signal as well: give it the time to clean up.
        return process.wait()


def require_isolation() -> None:
    """Makes sure that we are where `run` put us, before anything is changed.

    Raises:
        DemoFailed: We are in the machine's own network.
    """
    outer = os.environ.get(_OUTER_NETWORK)
    if outer is None or outer == _network():
        raise DemoFailed("not in a network namespace of its own", "start it as `kpx demo`")
    # `ip netns` keeps its namespaces under /run, which we can neither see nor write from here.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)


def _unshare() -> list[str]:
    """The command that starts another in new namespaces: as root, or as root of a user namespace.

    Raises:
        DemoFailed: Neither is allowed.
    """
    ways = [["unshare", *_AS_USER, *_NAMESPACES]]
    if os.geteuid() == 0:
        ways.insert(0, ["unshare", *_NAMESPACES])
    causes = []
    for way in ways:
        probe = subprocess.run([*way, "true"], capture_output=True, text=True, check=False)
        if probe.returncode == 0:
            return way
        causes.append(probe.stderr.strip())
    raise DemoFailed(f"cannot make network namespaces: {'; '.join(causes)}", _hint())


def _hint() -> str:
    """What most likely forbids namespaces here."""
    switches = {
        "kernel/unprivileged_userns_clone": "0",
        "kernel/apparmor_restrict_unprivileged_userns": "1",
        "user/max_user_namespaces": "0",
    }
    for switch, forbidding in switches.items():
        path = Path("/proc/sys", switch)
        if path.exists() and path.read_text().strip() == forbidding:
            return f"run it as root, or change `{switch.replace('/', '.')}`, which is {forbidding}"
    return "run it as root; in a container, give it the capabilities SYS_ADMIN and NET_ADMIN"


def _network() -> str:
    return os.readlink("/proc/self/ns/net")
