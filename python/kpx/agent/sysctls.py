"""The settings of connection tracking that kube-proxy makes (`pkg/proxy/conntrack/sysctls.go`)."""

import errno
import logging
import os
from pathlib import Path
from typing import Final

from kpx.config import ConntrackSettings

__all__ = ["apply", "most_flows", "sysctls"]

_log = logging.getLogger(__name__)

_MOST_SCALED: Final = 1 << 20
"""More flows than this are not asked for because there are many cores."""
_SYSCTLS: Final = Path("/proc/sys/net/netfilter")
_HASH_SIZE: Final = Path("/sys/module/nf_conntrack/parameters/hashsize")
_FLOWS_PER_BUCKET: Final = 4

_READ_ONLY: Final = (
    "set it on the node with `sysctl`, or let the Pod write /proc/sys;"
    " 0 in the configuration leaves it alone"
)
_NOT_LOADED: Final = "connection tracking is not loaded: `modprobe nf_conntrack`"


def most_flows(settings: ConntrackSettings, cores: int) -> int:
    """The size of the table of flows on a machine of so many cores; 0 to leave it alone."""
    if settings.max_per_core <= 0:
        return 0
    return max(min(settings.max_per_core * cores, _MOST_SCALED), settings.min)


def sysctls(settings: ConntrackSettings, cores: int) -> dict[str, int]:
    """What to set, by the names below `net.netfilter`."""
    values = {
        "nf_conntrack_max": most_flows(settings, cores),
        "nf_conntrack_tcp_timeout_established": int(settings.tcp_established_timeout),
        "nf_conntrack_tcp_timeout_close_wait": int(settings.tcp_close_wait_timeout),
        "nf_conntrack_tcp_be_liberal": int(settings.tcp_be_liberal),
        "nf_conntrack_udp_timeout": int(settings.udp_timeout),
        "nf_conntrack_udp_timeout_stream": int(settings.udp_stream_timeout),
    }
    return {name: value for name, value in values.items() if value > 0}


def apply(
    settings: ConntrackSettings,
    *,
    directory: Path = _SYSCTLS,
    hash_size: Path = _HASH_SIZE,
    cores: int | None = None,
) -> int:
    """Makes the kernel's settings those given, where they differ; says in the log what it changed.

    What cannot be set is a warning: everything else works without. Returns how many those were.
    """
    failures = 0
    for name, value in sysctls(settings, cores or os.cpu_count() or 1).items():
        is_set = _set(directory / name, f"net.netfilter.{name}", value)
        failures += not is_set
        if is_set and name == "nf_conntrack_max":
            failures += not _grow(hash_size, value // _FLOWS_PER_BUCKET)
    return failures


def _set(path: Path, name: str, value: int) -> bool:
    try:
        before = path.read_text().strip()
        if before == str(value):
            return True
        path.write_text(str(value))
    except OSError as failure:
        hint = _NOT_LOADED if failure.errno == errno.ENOENT else _READ_ONLY
        _log.warning("cannot set `%s` to %d: %s (%s)", name, value, failure.strerror, hint)
        return False
    _log.info("set `%s` to %d, which was %s", name, value, before)
    return True


def _grow(path: Path, buckets: int) -> bool:
    """Makes the hash table of flows large enough; it is never made smaller."""
    try:
        if int(path.read_text()) >= buckets:
            return True
    except (OSError, ValueError):
        # Where it cannot be read it is built in, or out of sight: the kernel's size will do.
        return True
    return _set(path, "nf_conntrack.hashsize", buckets)
