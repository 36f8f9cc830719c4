"""What a session sends to the kernel: bytes and netlink messages, as strace sees them.

In a session of its own, since tracing takes time.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .session import Spec

_STRACE = (
    *("strace", "-f", "--seccomp-bpf", "-qq", "-s", "10000000", "-e", "signal=none"),
    *("-e", "trace=sendmsg,sendto,setsockopt,write"),
)
_BEGIN = re.compile(r'write\(1, "\{\\"begin\\": \\"([a-z]*)\\"\}')
_END = re.compile(r'write\(1, "\{\\"case\\": ')
_TABLE = re.compile(r"setsockopt\(\d+, SOL_IP, IPT_SO_SET_\w+, .*, (\d+)\) = 0$")
"""The legacy interface of iptables: the whole table is one socket option."""
_LENGTH = re.compile(r", (\d+), \w+, NULL, 0 <unfinished \.\.\.>$")
"""Of a `sendto` that another thread interrupts: the step may end before it returns."""
_RETURNED = re.compile(r" = (\d+)$")


@dataclass
class Sent:
    """What the steps of one case sent, a step on average."""

    sent_bytes: float
    messages: float


def trace(spec: Spec, seconds: float) -> dict[str, Sent]:
    """Runs a session under strace and returns what each case sent."""
    with tempfile.TemporaryDirectory(prefix="kpx-bench-") as directory:
        path = Path(directory) / "strace"
        command = ["unshare", "--net", *_STRACE, "-o", str(path), *spec.command()]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=seconds)
        with path.open(errors="replace") as lines:
            return read(lines)


def read(lines: Iterable[str]) -> dict[str, Sent]:
    """Returns what was sent in each case between its beginning and its end."""
    totals: dict[str, Sent] = {}
    steps: dict[str, int] = {}
    unfinished: set[str] = set()
    case = None
    for raw in lines:
        line = raw.rstrip()
        process = line.split(maxsplit=1)[0] if line else ""
        if begin := _BEGIN.search(line):
            case = begin[1]
            steps[case] = steps.get(case, 0) + 1
            totals.setdefault(case, Sent(0, 0))
        elif _END.search(line):
            case = None
        elif case is not None:
            total = totals[case]
            if table := _TABLE.search(line):
                total.sent_bytes += int(table[1])
                continue
            messages = line.count("{nlmsg_len=") if " send" in line else 0
            total.messages += messages
            if messages and (length := _LENGTH.search(line)):
                total.sent_bytes += int(length[1])
            elif messages and line.endswith("<unfinished ...>"):
                unfinished.add(process)
            resumed = "<... send" in line and process in unfinished
            if (messages or resumed) and (returned := _RETURNED.search(line)):
                total.sent_bytes += int(returned[1])
                unfinished.discard(process)
    return {
        case: Sent(total.sent_bytes / steps[case], total.messages / steps[case])
        for case, total in totals.items()
        if case
    }
