"""`kpx top` on a terminal."""

import os
import pty
import subprocess
import sys

import pytest

from nodes import COMMAND_SECONDS, Node
from objects import endpoint_slice, service

pytestmark = pytest.mark.netns


def test_the_table_is_kept_up_to_date_on_a_terminal(node: Node) -> None:
    node.write("web.json", service(), endpoint_slice("web", "10.0.0.1", "10.0.0.2"))
    assert node.kpx("sync", "-f", "web.json", "--counters").returncode == 0
    outside, inside = pty.openpty()
    with subprocess.Popen(
        [*node.enter, sys.executable, "-m", "kpx", "top", "--interval=0.1", "--count=2"],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
    ) as process:
        os.close(inside)
        shown = b""
        while chunk := _read(outside):
            shown += chunk
        assert process.wait(COMMAND_SECONDS) == 0
    os.close(outside)

    text = shown.decode()
    assert text.count("SERVICE") == 2, "one table a reading"
    assert text.count("default/web") == 2
    assert "  10.0.0.1:8080" in text
    assert "\x1b[?1049h" in text, "on a screen of its own"
    assert text.endswith("\x1b[?25h\x1b[?1049l"), "cursor and screen are as before"


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        # The last process on it has ended.
        return b""
