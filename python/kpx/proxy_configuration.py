"""kube-proxy's configuration file, as far as it means something to kpx."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from kpx.config import Backend, ConntrackSettings, IpvsTimeouts, LocalMode
from kpx.errors import ConfigurationInvalid, YamlInvalid

__all__ = ["ProxyConfiguration", "parse_duration"]

_API_VERSION: Final = "kubeproxy.config.k8s.io/v1alpha1"
_KIND: Final = "KubeProxyConfiguration"

_HONOURED: Final = (
    "clientConnection.kubeconfig",
    "clusterCIDR",
    "conntrack.maxPerCore",
    "conntrack.min",
    "conntrack.tcpBeLiberal",
    "conntrack.tcpCloseWaitTimeout",
    "conntrack.tcpEstablishedTimeout",
    "conntrack.udpStreamTimeout",
    "conntrack.udpTimeout",
    "detectLocal.bridgeInterface",
    "detectLocal.interfaceNamePrefix",
    "detectLocalMode",
    "healthzBindAddress",
    "hostnameOverride",
    "metricsBindAddress",
    "ipvs.excludeCIDRs",
    "ipvs.scheduler",
    "ipvs.strictARP",
    "ipvs.tcpFinTimeout",
    "ipvs.tcpTimeout",
    "ipvs.udpTimeout",
    "mode",
    "nodePortAddresses",
)
"""The fields of `KubeProxyConfiguration` that mean something to kpx.

What `ipvs.excludeCIDRs` asks for is so anyhow, as virtual servers of others are never touched; it
matters where those that kube-proxy left are taken over."""
_OF_MODE: Final = {
    Backend.NFTABLES.value: ("nftables", "nftables"),
    Backend.IPVS.value: ("ipvs", "iptables"),
}
"""In which part of the file a mode has its periods, and in which what it masquerades."""

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s|us|µs|ns)")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")

_ZEROS: Final = (0, False, "0s")
"""What generated files write for a field that nobody set."""


@dataclass(frozen=True)
class ProxyConfiguration:
    """What a `KubeProxyConfiguration` file says, as far as kpx honours it.

    The fields are those of upstream's `staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go`.
    """

    kubeconfig: str | None = None
    cluster_cidrs: tuple[str, ...] = ()
    detect_local_mode: LocalMode | None = None
    detect_local_interface: str | None = None
    node_name: str | None = None
    mode: str = ""
    masquerade_all: bool | None = None
    masquerade_bit: int | None = None
    nodeport_addresses: tuple[str, ...] = ()
    healthz_bind_address: str | None = None
    metrics_bind_address: str | None = None
    min_sync_period: float | None = None
    """Seconds."""
    sync_period: float | None = None
    """Seconds."""
    conntrack: ConntrackSettings = field(default_factory=ConntrackSettings)
    ipvs_scheduler: str | None = None
    ipvs_strict_arp: bool | None = None
    ipvs_timeouts: IpvsTimeouts = field(default_factory=IpvsTimeouts)
    ipvs_exclude_cidrs: tuple[str, ...] = ()
    honoured: tuple[str, ...] = field(default=(), compare=False)
    """The fields that the file sets and kpx honours."""
    ignored: tuple[str, ...] = field(default=(), compare=False)
    """The fields that the file sets and kpx has no use for."""

    @classmethod
    def read(cls, path: Path) -> "ProxyConfiguration":
        """Reads a configuration file, in YAML or JSON.

        Raises:
            ConfigurationInvalid: The file cannot be read, or is not a `KubeProxyConfiguration` of
                version v1alpha1, or a field has a value it cannot have.
        """
        configuration = _Fields(str(path), _load(path))
        mode = configuration.text("detectLocalMode")
        if mode and mode not in {known.value for known in LocalMode}:
            known = ", ".join(f"`{known.value}`" for known in LocalMode)
            raise configuration.invalid("detectLocalMode", f"`{mode}` is none of {known}")
        interface_field = {
            LocalMode.BRIDGE_INTERFACE.value: "detectLocal.bridgeInterface",
            LocalMode.INTERFACE_NAME_PREFIX.value: "detectLocal.interfaceNamePrefix",
        }.get(mode or "")
        given = dict(_given(configuration.values))
        backend = configuration.text("mode") or ""
        periods, masquerade = _OF_MODE.get(backend, _OF_MODE[Backend.NFTABLES.value])
        used = (
            *_HONOURED,
            *(f"{periods}.{name}" for name in ("minSyncPeriod", "syncPeriod")),
            *(f"{masquerade}.{name}" for name in ("masqueradeAll", "masqueradeBit")),
        )
        return cls(
            kubeconfig=configuration.text("clientConnection.kubeconfig"),
            cluster_cidrs=_split(configuration.text("clusterCIDR")),
            detect_local_mode=LocalMode(mode) if mode else None,
            detect_local_interface=configuration.text(interface_field) if interface_field else None,
            node_name=(configuration.text("hostnameOverride") or "").strip().lower() or None,
            mode=backend,
            masquerade_all=configuration.value(f"{masquerade}.masqueradeAll", bool),
            masquerade_bit=configuration.value(f"{masquerade}.masqueradeBit", int),
            nodeport_addresses=configuration.texts("nodePortAddresses"),
            healthz_bind_address=configuration.text("healthzBindAddress") or None,
            metrics_bind_address=configuration.text("metricsBindAddress") or None,
            min_sync_period=configuration.seconds(f"{periods}.minSyncPeriod"),
            sync_period=configuration.seconds(f"{periods}.syncPeriod") or None,
            ipvs_scheduler=configuration.text("ipvs.scheduler") or None,
            ipvs_strict_arp=configuration.value("ipvs.strictARP", bool),
            ipvs_timeouts=IpvsTimeouts(
                configuration.whole_seconds("ipvs.tcpTimeout"),
                configuration.whole_seconds("ipvs.tcpFinTimeout"),
                configuration.whole_seconds("ipvs.udpTimeout"),
            ),
            ipvs_exclude_cidrs=configuration.networks("ipvs.excludeCIDRs"),
            conntrack=_conntrack(configuration),
            honoured=tuple(sorted(name for name in given if name in used)),
            ignored=tuple(
                sorted(name for name in given if name not in used and given[name] not in _ZEROS)
            ),
        )

    def backend(self) -> Backend:
        """The backend that `mode` asks for.

        Raises:
            ConfigurationInvalid: It asks for one that kpx does not have.
        """
        if self.mode in {known.value for known in Backend}:
            return Backend(self.mode)
        if not self.mode:
            return Backend.NFTABLES
        raise ConfigurationInvalid(
            f"the configuration file asks for mode `{self.mode}`, which kpx does not have",
            "pass `--backend nftables` to program nftables all the same",
        )


@dataclass(frozen=True)
class _Fields:
    """The fields of a file, read by their dotted names."""

    path: str
    values: Mapping[str, Any]

    def value(self, name: str, kind: type[Any]) -> Any:
        found: Any = self.values
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        # A boolean is an int to Python, but not to the file's schema.
        wrong = not isinstance(found, kind) or (kind is int and isinstance(found, bool))
        if found is not None and wrong:
            raise self.invalid(name, f"`{found}` is not of type {kind.__name__}")
        return found

    def text(self, name: str) -> str | None:
        found = self.value(name, str)
        assert found is None or isinstance(found, str)
        return found

    def seconds(self, name: str) -> float | None:
        """Reads a duration as Go writes it, such as `1m30s`."""
        text = self.text(name)
        if not text:
            return None
        try:
            return parse_duration(text)
        except ValueError as failure:
            raise self.invalid(name, str(failure)) from failure

    def whole_seconds(self, name: str) -> int:
        """Reads a duration as the kernel counts it; 0 where none is given."""
        return math.ceil(self.seconds(name) or 0)

    def texts(self, name: str) -> tuple[str, ...]:
        found = self.value(name, list) or []
        if not all(isinstance(item, str) for item in found):
            raise self.invalid(name, "an item is not of type str")
        return tuple(found)

    def networks(self, name: str) -> tuple[str, ...]:
        found = self.texts(name)
        for item in found:
            try:
                ip_network(item, strict=False)
            except ValueError as failure:
                raise self.invalid(name, str(failure)) from failure
        return found

    def invalid(self, name: str, cause: str) -> ConfigurationInvalid:
        return ConfigurationInvalid(f"{self.path}: {name}: {cause}")


def parse_duration(text: str) -> float:
    """Reads a duration as Go writes it, such as `1m30s`, in seconds.

    Raises:
        ValueError: It is none.
    """
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(f"`{text}` is no duration such as `30s`")
    return sum(float(part[1]) * _UNITS[part[2]] for part in _PART.finditer(text))


def _conntrack(configuration: _Fields) -> ConntrackSettings:
    """What is not said, or null, is upstream's default."""
    values = {
        "max_per_core": configuration.value("conntrack.maxPerCore", int),
        "min": configuration.value("conntrack.min", int),
        "tcp_established_timeout": configuration.seconds("conntrack.tcpEstablishedTimeout"),
        "tcp_close_wait_timeout": configuration.seconds("conntrack.tcpCloseWaitTimeout"),
        "tcp_be_liberal": configuration.value("conntrack.tcpBeLiberal", bool),
        "udp_timeout": configuration.seconds("conntrack.udpTimeout"),
        "udp_stream_timeout": configuration.seconds("conntrack.udpStreamTimeout"),
    }
    return ConntrackSettings(**{name: value for name, value in values.items() if value is not None})


def _load(path: Path) -> Mapping[str, Any]:
    from kpx.yaml_documents import read_documents

    try:
        documents = list(read_documents(path.read_bytes()))
    except OSError as failure:
        raise ConfigurationInvalid(f"cannot read `{path}`: {failure.strerror}") from failure
    except YamlInvalid as failure:
        raise ConfigurationInvalid(f"{path}: {failure.message}") from failure
    value = documents[0].value if len(documents) == 1 else None
    if not isinstance(value, dict):
        raise ConfigurationInvalid(f"{path}: not one object but {len(documents)} documents")
    if (value.get("apiVersion"), value.get("kind")) != (_API_VERSION, _KIND):
        raise ConfigurationInvalid(
            f"{path}: not a `{_KIND}` of `{_API_VERSION}`",
            "`kubectl -n kube-system get configmap kube-proxy -o yaml` shows the one in use",
        )
    return value


def _given(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields that are not empty, by their dotted names."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _given(value, f"{prefix}{name}.")
        elif value not in (None, "", []) and prefix + name not in ("apiVersion", "kind"):
            yield prefix + name, value


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
