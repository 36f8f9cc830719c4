"""Follows the configuration file: what may change while the agent runs does, at once."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from kpx.agent.manifests import POLL_SECONDS, signature
from kpx.agent.settings import AgentSettings
from kpx.config import Settings
from kpx.errors import KpxError

__all__ = ["LIVE", "Configuration", "ConfigurationFile"]

_log = logging.getLogger(__name__)

Configuration = tuple[Settings, AgentSettings]
"""What flags and the file make together."""

LIVE: Final[Mapping[str, str]] = {
    "cluster_cidrs": "clusterCIDR",
    "detect_local_mode": "detectLocalMode",
    "detect_local_interface": "detectLocal",
    "nodeport_addresses": "nodePortAddresses",
    "masquerade_all": "nftables.masqueradeAll",
    "masquerade_bit": "nftables.masqueradeBit",
    "min_sync_period": "nftables.minSyncPeriod",
    "sync_period": "nftables.syncPeriod",
    "conntrack": "conntrack",
}
"""The settings that may change while the agent runs, and the fields of the file that say them."""

_RESTART: Final[Mapping[str, str]] = {
    "node_name": "hostnameOverride",
    "backend": "mode",
    "healthz_address": "healthzBindAddress",
    "metrics_address": "metricsBindAddress",
    "kubeconfig": "clientConnection.kubeconfig",
}
"""The settings that need a restart, and the fields of the file that say them."""


class ConfigurationFile:
    """Reads a file again when it changes, and hands on what changed in it.

    A file that cannot be read, or makes no sense, changes nothing.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[], Configuration],
        apply: Callable[[Configuration], None],
        current: Configuration,
    ) -> None:
        """Reads nothing yet.

        Args:
            path: The file.
            read: Reads it, and makes settings of it and the flags.
            apply: Puts settings into effect, which differ in nothing but `LIVE`; may refuse them.
            current: The settings in effect.
        """
        self._path = path
        self._read = read
        self._apply = apply
        self._told = current
        self._effective = current
        self._seen = signature([str(path)])

    def run(self, stop: threading.Event) -> None:
        """Looks for changes once a second until `stop` is set."""
        while not stop.wait(POLL_SECONDS):
            self.look()

    def look(self) -> None:
        """Reads the file if it is not as it was."""
        found = signature([str(self._path)])
        if found == self._seen:
            return
        self._seen = found
        try:
            wanted = self._read()
            changed = _changes(self._told, wanted)
            live = sorted(LIVE[name] for name in changed if name in LIVE)
            if live:
                effective = _with_live(self._effective, wanted)
                self._apply(effective)
                self._effective = effective
        except KpxError as failure:
            hint = f" ({failure.hint})" if failure.hint else ""
            _log.error("%s%s; the configuration in use stays", failure, hint)
            return
        self._told = wanted
        if live:
            _log.info("%s: in effect now: %s", self._path, ", ".join(live))
        others = sorted(_RESTART.get(name, name) for name in changed if name not in LIVE)
        if others:
            _log.warning("%s: needs a restart: %s", self._path, ", ".join(others))


def _with_live(effective: Configuration, wanted: Configuration) -> Configuration:
    """What is in effect, with what of another configuration may be."""

    def live(settings: Settings | AgentSettings) -> dict[str, Any]:
        names = (member.name for member in fields(settings))
        return {name: getattr(settings, name) for name in names if name in LIVE}

    settings, agent = effective
    return replace(settings, **live(wanted[0])), replace(agent, **live(wanted[1]))


def _changes(before: Configuration, after: Configuration) -> list[str]:
    """The names of the settings that differ."""

    def values(one: Configuration) -> dict[str, Any]:
        return {
            member.name: getattr(settings, member.name)
            for settings in one
            for member in fields(settings)
        }

    old, new = values(before), values(after)
    return [name for name in new if old[name] != new[name]]
