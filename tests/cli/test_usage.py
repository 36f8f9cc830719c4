"""The command line itself: help, versions, wrong usage, and what is imported for it."""

import subprocess
import sys
import time
from importlib.metadata import version as installed_version

import pytest

from kpx.cli.commands import app

COMMANDS = [command.callback.__name__ for command in app.registered_commands if command.callback]


def kpx(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kpx", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    "arguments", [["version"], ["--version"], ["--version", "sync"]], ids=" ".join
)
def test_version(arguments: list[str]) -> None:
    result = kpx(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"kpx {installed_version('kpx')}\n"


def test_version_takes_less_than_five_bare_interpreters() -> None:
    def fastest(*command: str) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            times.append(time.perf_counter() - started)
        return min(times)

    assert fastest("-m", "kpx", "version") < 5 * fastest("-c", "pass")


def test_what_version_imports() -> None:
    program = (
        "import sys; sys.argv = ['kpx', 'version']; from kpx.cli import main; main();"
        "print([name for name in ('typer', 'rich', 'yaml', 'kubernetes') if name in sys.modules])"
    )
    output = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert output.splitlines()[1] == "[]"


def test_help_names_every_command_and_the_exit_codes() -> None:
    for result in (kpx(), kpx("--help")):
        assert result.returncode == 0
        for command in COMMANDS:
            assert f"\n  {command} " in result.stdout
        assert "Exit codes: 0 done; 1 failed" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example(command: str) -> None:
    result = kpx(command, "--help")
    assert result.returncode == 0
    assert "  Examples:\n    " in result.stdout
    assert f"kpx {command}" in result.stdout.partition("Examples:")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["plan", "--frobnicate"], "No such option: --frobnicate"),
        (["plan", "-o", "xml"], "'xml' is not one of 'text', 'json', 'nft'"),
        (["plan", "--backend", "iptables"], "'iptables' is not one of 'nftables', 'ipvs'"),
        (["plan", "-f"], "requires an argument"),
        (["plan", "surplus"], "unexpected extra argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_fails_and_never_looks_like_changes(arguments: list[str], message: str) -> None:
    result = kpx(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert hint == "hint: see `kpx --help`"
