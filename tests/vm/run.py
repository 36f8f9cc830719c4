"""Runs the kernel tests on other kernels, booted under QEMU.

Run as `run.py [--suite SUITE]... [--kernel PACKAGE]... [PYTEST_ARGUMENT...]`: SUITE is one of
`SUITES`, PACKAGE a Debian package of a kernel, one of `KERNELS`; without them, all. With arguments
for pytest a guest runs those tests alone, once for each suite; with `--command LINE` it runs that
line of a shell and no test. The guests run side by side, and a line of theirs is printed behind the
kernel's name. A guest needs no hardware virtualisation, has a copy-on-write view of this machine's
file system, of which what it writes to `target/guest` stays, and takes the programs and the Python
environment from it. What is missing on the machine is installed through apt, as root or through
sudo, and through pip.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).with_name("guest")
KEPT = ROOT / "target/guest"
"""Where a guest writes what is to be there when it has ended."""
REQUIREMENTS = Path(__file__).with_name("requirements.txt")

KERNELS = ("linux-image-amd64", "linux-image-6.12-amd64")
"""Linux 6.1 and 6.12 on Debian 12."""
TOOLS = ("qemu-system-x86", "busybox-static", "kmod")


@dataclass(frozen=True)
class Suite:
    """What runs on a kernel."""

    rust: dict[str, str]
    """The Rust tests that talk to the kernel: the name of a crate, and of its test program."""
    pytest: tuple[str, ...]
    """The arguments of pytest."""
    backend: str
    """The backend that kpx is told to use."""


# What kernels may do differently.
PACKETS = (
    "matrix",
    "ruleset",
    "cleanup",
    "change",
    "oracle",
    "affinity",
    "source_ranges",
    "sctp",
)
SUITES = {
    "nftables": Suite(
        rust={"kpx-netlink": "socket", "kpx-nftables": "kernel"},
        pytest=tuple(f"tests/netns/test_{name}.py" for name in PACKETS),
        backend="nftables",
    ),
    "ipvs": Suite(
        rust={"kpx-ipvs": "kernel", "kpx-link": "kernel"},
        pytest=("tests/netns/ipvs", "tests/netns/test_matrix.py"),
        backend="ipvs",
    ),
}
HOST_TAG, KEPT_TAG = "host", "kept"
"""What the guest knows this machine's file system by, for the mount that it may cache, and the
directory that it writes to."""
SECONDS_PER_KERNEL = 3600
"""A kernel that takes longer hangs."""
BENCH_SCALE = "0.05"
"""The scale of benchmarks, unless the environment says it."""
PASSED_ON = ("KPX_KILLS",)
"""What tests are told in a guest too, if the environment says it."""
PATIENCE = 6
"""How many times longer than usual tests wait: an emulated processor is so much slower."""

# Drivers of devices that QEMU has and no test needs: loading them takes longer than all the rest
# of the boot.
UNUSED_MODULES = (
    "ahci",
    "aesni_intel",
    "bochs",
    "button",
    "cdrom",
    "drm",
    "evdev",
    "ghash_clmulni_intel",
    "i2c_i801",
    "i6300esb",
    "iTCO_wdt",
    "joydev",
    "libata",
    "lpc_ich",
    "parport_pc",
    "pcspkr",
    "ppdev",
    "psmouse",
    "sha512_ssse3",
    "sr_mod",
    "virtio_balloon",
)


class SetupError(Exception):
    """Something needed is missing and cannot be installed."""


def install(packages: tuple[str, ...]) -> None:
    """Installs what is not there yet of some Debian packages, and virtme-ng."""
    missing = [package for package in packages if not is_installed(package)]
    if missing:
        as_root = () if os.geteuid() == 0 else ("sudo", "-n")
        apt = (*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq")
        step(*apt, "update")
        step(*apt, "install", "-y", "--no-install-recommends", *missing)
    if not vng().exists():
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes")
        step(*pip, "-r", str(REQUIREMENTS))


def step(*command: str) -> None:
    """Runs a command that prepares the tests."""
    try:
        subprocess.run(command, check=True, timeout=900)
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"`{shlex.join(command)}` failed: {error}") from error


def is_installed(package: str) -> bool:
    """Says whether a Debian package is installed."""
    return dpkg_field(package, "db:Status-Status") == "installed"


def dpkg_field(package: str, field: str) -> str:
    """Returns what dpkg knows of a package, or nothing."""
    query = ("dpkg-query", "--show", f"--showformat=${{{field}}}", package)
    try:
        return subprocess.run(query, capture_output=True, text=True, check=False).stdout
    except OSError as error:
        raise SetupError("the kernels are Debian packages, and there is no dpkg here") from error


def kernel_image(package: str) -> Path:
    """Returns the image of the kernel that a package such as `linux-image-amd64` depends on."""
    release = dpkg_field(package, "Depends").split(" ")[0].removeprefix("linux-image-")
    image = Path(f"/boot/vmlinuz-{release}")
    if not image.exists():
        raise SetupError(f"the package `{package}` brought no `{image}`")
    return image


def vng() -> Path:
    """Returns the command that virtme-ng installs."""
    return Path(sys.executable).with_name("vng")


def rust_tests(tests: dict[str, str]) -> list[str]:
    """Builds Rust tests, the test of each crate, and returns the paths of their programs."""
    build = ["cargo", "test", "--locked", "--all-features", "--no-run"]
    build += [word for crate in tests for word in ("--package", crate)]
    build += [word for test in sorted(set(tests.values())) for word in ("--test", test)]
    built = subprocess.run(
        [*build, "--message-format=json"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if built.returncode != 0:
        raise SetupError(f"`{shlex.join(build)}` failed")
    messages = map(json.loads, built.stdout.splitlines())
    return [message["executable"] for message in messages if message.get("executable")]


def commands(suites: Sequence[Suite], of_pytest: Sequence[str]) -> list[str]:
    """Returns what a guest runs, each a line for its shell."""
    lines = []
    if not of_pytest:
        programs = rust_tests(
            {crate: test for suite in suites for crate, test in suite.rust.items()}
        )
        # Tests that this machine's kernel cannot run are ignored here, and run there.
        lines += [f"{program} --include-ignored" for program in programs]
    pytest = (sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    for suite in suites:
        run = shlex.join((*pytest, "--timeout=900", *(of_pytest or suite.pytest)))
        environment = {
            "KPX_TEST_BACKEND": suite.backend,
            "KPX_TEST_PATIENCE": str(PATIENCE),
            "KPX_BENCH_SCALE": os.environ.get("KPX_BENCH_SCALE", BENCH_SCALE),
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        }
        assignments = " ".join(f"{name}={value}" for name, value in environment.items())
        lines.append(f"{assignments} {run}")
    return lines


def boot(package: str, lines: Sequence[str], processors: int) -> int:
    """Runs the commands on one kernel and returns the exit status; 124 if they took too long."""
    image = kernel_image(package)
    KEPT.mkdir(parents=True, exist_ok=True)
    shared = (f"path=/,mount_tag={HOST_TAG},readonly=on", f"path={KEPT},mount_tag={KEPT_TAG}")
    command = [
        *(str(vng()), "--disable-kvm", "--force-9p", "--user", "root", "--memory", "2G"),
        *("--cpus", str(processors), "--run", str(image)),
        *("--append", f"modprobe.blacklist={','.join(UNUSED_MODULES)}"),
        *(f"--qemu-opts=-virtfs local,security_model=none,multidevs=remap,{one}" for one in shared),
        *("--", str(GUEST), HOST_TAG, KEPT_TAG, str(KEPT), str(ROOT), *lines),
    ]
    # virtme-ng finds its own programs on the PATH, and shows what its guest prints on a terminal
    # only.
    path = f"{vng().parent}:{os.environ['PATH']}"
    bounded = ("timeout", "--kill-after=30", str(SECONDS_PER_KERNEL))
    on_a_terminal = ("script", "--quiet", "--return", "--command", shlex.join(command), "/dev/null")
    started = time.monotonic()
    with subprocess.Popen(
        [*bounded, *on_a_terminal],
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as guest:
        assert guest.stdout is not None
        for line in guest.stdout:
            print(f"{package}: {line.rstrip()}", flush=True)
    took = time.monotonic() - started
    print(f"== {package}: exit status {guest.returncode} after {took:.0f} s", flush=True)
    return guest.returncode


def main() -> int:
    """Runs the tests on every kernel; 1 if they failed on one."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--kernel", action="append", dest="kernels", metavar="PACKAGE")
    parser.add_argument("--suite", action="append", dest="suites", choices=SUITES)
    parser.add_argument("--command", metavar="LINE")
    options, of_pytest = parser.parse_known_args()
    kernels = tuple(options.kernels or KERNELS)
    install((*TOOLS, *kernels))
    if options.command:
        lines = [options.command]
    else:
        lines = commands([SUITES[name] for name in options.suites or SUITES], of_pytest)
    processors = max(1, min((os.cpu_count() or 1) // len(kernels), 4))
    with ThreadPoolExecutor(len(kernels)) as pool:
        booted = pool.map(lambda kernel: boot(kernel, lines, processors), kernels)
        failed = [kernel for kernel, status in zip(kernels, booted, strict=True) if status != 0]
    if failed:
        print(f"error: failed on {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        sys.exit(f"error: {error}")
