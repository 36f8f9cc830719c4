"""The flags that several commands share."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpx.config import Backend, ConntrackSettings, LocalMode, Settings, default_node_name
from kpx.errors import ConfigurationInvalid
from kpx.logs import LogFormat, start_log
from kpx.proxy_configuration import ProxyConfiguration, parse_duration
from kpx.report import Output
from kpx.sources import Cluster, Manifests, Source

if TYPE_CHECKING:
    from kpx.agent import AgentSettings

__all__ = [
    "AgentOptions",
    "ConntrackOptions",
    "ContextOption",
    "DataOutput",
    "FilenameOption",
    "KubeconfigOption",
    "NodeOptions",
    "OutputOption",
    "TakeOverOption",
    "expanded",
    "parse_listen_address",
]


class DataOutput(str, Enum):
    """How data that no `nft` command stands for is written to stdout."""

    TEXT = "text"
    JSON = "json"


FilenameOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filename",
        "-f",
        metavar="PATH",
        help="Read a manifest: a file, a directory, or - for stdin. Repeatable.",
    ),
]
KubeconfigOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", envvar="KUBECONFIG", help="Read the cluster of a kubeconfig file."
    ),
]
ContextOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Use this context of the kubeconfig file.")
]
OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="How to write what changes to stdout.")
]


TakeOverOption = Annotated[
    bool,
    typer.Option(
        "--take-over", help="Once the node is programmed, remove what kube-proxy left on it."
    ),
]


@dataclass(frozen=True)
class NodeOptions:
    """What to read, and how to program this node."""

    filename: FilenameOption = None
    kubeconfig: KubeconfigOption = None
    context: ContextOption = None
    node_name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The Node this is. Default: $NODE_NAME, then the host name."
        ),
    ] = None
    backend: Annotated[
        Backend | None,
        typer.Option(help="What chooses endpoints: maps of nftables, or virtual servers of IPVS."),
    ] = None
    cluster_cidr: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR[,CIDR]",
            help="The addresses of Pods; others are masqueraded when they use a ClusterIP.",
        ),
    ] = None
    detect_local_mode: Annotated[
        LocalMode | None, typer.Option(help="How to tell that a connection is from a local Pod.")
    ] = None
    pod_bridge_interface: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The bridge that connects local Pods, for the mode BridgeInterface.",
        ),
    ] = None
    pod_interface_name_prefix: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX",
            help="How names of local Pods' interfaces start, for the mode InterfaceNamePrefix.",
        ),
    ] = None
    nodeport_addresses: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR[,CIDR]",
            help="Where NodePorts answer, or `primary`: the Node's own primary addresses.",
        ),
    ] = None
    masquerade_all: Annotated[
        bool | None, typer.Option(help="Masquerade everything that uses a ClusterIP.")
    ] = None
    counters: Annotated[
        bool, typer.Option("--counters", help="Count connections in the kernel, for `kpx top`.")
    ] = False
    ipvs_scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How IPVS chooses for Services without `kpx.dev/ipvs-scheduler`. Default: rr.",
        ),
    ] = None
    ipvs_strict_arp: Annotated[
        bool | None,
        typer.Option(help="Answer ARP only on the device that has the address, as MetalLB needs."),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read kube-proxy's configuration file. Flags override it."
        ),
    ] = None

    def proxy_configuration(self) -> ProxyConfiguration:
        """The configuration file that is named, or an empty one.

        Raises:
            ConfigurationInvalid: It cannot be used.
        """
        return ProxyConfiguration.read(self.config) if self.config else ProxyConfiguration()

    def settings(self, configuration: ProxyConfiguration) -> Settings:
        """The settings that flags and the configuration file make together.

        Raises:
            ConfigurationInvalid: They do not make sense, or ask for what kpx cannot do.
        """
        backend = self.backend or configuration.backend()
        strict_arp = self.ipvs_strict_arp
        if strict_arp is None:
            strict_arp = bool(configuration.ipvs_strict_arp)
        masquerade_all = self.masquerade_all
        if masquerade_all is None:
            masquerade_all = configuration.masquerade_all
        return Settings(
            node_name=self.node_name or configuration.node_name or default_node_name(),
            backend=backend,
            ipvs_scheduler=self.ipvs_scheduler or configuration.ipvs_scheduler,
            ipvs_strict_arp=strict_arp,
            ipvs_timeouts=configuration.ipvs_timeouts,
            ipvs_exclude_cidrs=configuration.ipvs_exclude_cidrs,
            cluster_cidrs=_split(self.cluster_cidr) or configuration.cluster_cidrs,
            detect_local_mode=self.detect_local_mode or configuration.detect_local_mode,
            detect_local_interface=self._detect_local_interface(configuration),
            nodeport_addresses=_split(self.nodeport_addresses) or configuration.nodeport_addresses,
            masquerade_all=masquerade_all,
            masquerade_bit=configuration.masquerade_bit,
            counters=self.counters,
        )

    def _detect_local_interface(self, configuration: ProxyConfiguration) -> str | None:
        mode = self.detect_local_mode or configuration.detect_local_mode
        flag = {
            LocalMode.BRIDGE_INTERFACE: self.pod_bridge_interface,
            LocalMode.INTERFACE_NAME_PREFIX: self.pod_interface_name_prefix,
        }.get(mode or LocalMode.CLUSTER_CIDR)
        # What the file names is meant for the mode of the file.
        of_file = mode == configuration.detect_local_mode
        return flag or (configuration.detect_local_interface if of_file else None)

    def source(self, configuration: ProxyConfiguration, node_name: str) -> Source:
        """Where to read from: manifests, a kubeconfig's cluster, or the cluster we run in.

        Raises:
            ConfigurationInvalid: Both manifests and a context of a cluster are named.
        """
        if self.filename:
            if self.context:
                raise ConfigurationInvalid(
                    "`--filename` and `--context` exclude each other",
                    "name either manifests or a cluster",
                )
            return Manifests(self.filename)
        return Cluster(node_name, self.kubeconfig or configuration.kubeconfig, self.context)


@dataclass(frozen=True)
class ConntrackOptions:
    """How `kpx run` has the kernel track connections. What is 0 is left as it is."""

    conntrack_max_per_core: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Flows tracked at most per core. Default: 32768."),
    ] = None
    conntrack_min: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="The least of what that makes. Default: 131072."),
    ] = None
    conntrack_tcp_timeout_established: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="When a silent connection ends. Default: 24h."),
    ] = None
    conntrack_tcp_timeout_close_wait: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="The same when it is half closed. Default: 1h."),
    ] = None
    conntrack_tcp_be_liberal: Annotated[
        bool | None, typer.Option(help="Track packets outside the window too.")
    ] = None
    conntrack_udp_timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="When a silent UDP flow ends.")
    ] = None
    conntrack_udp_timeout_stream: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="The same where both sides have spoken."),
    ] = None

    def settings(self, configuration: ProxyConfiguration) -> ConntrackSettings:
        """The settings that flags and the configuration file make together.

        Raises:
            ConfigurationInvalid: A duration is none.
        """
        flags = {
            "max_per_core": self.conntrack_max_per_core,
            "min": self.conntrack_min,
            "tcp_established_timeout": _seconds(self.conntrack_tcp_timeout_established),
            "tcp_close_wait_timeout": _seconds(self.conntrack_tcp_timeout_close_wait),
            "tcp_be_liberal": self.conntrack_tcp_be_liberal,
            "udp_timeout": _seconds(self.conntrack_udp_timeout),
            "udp_stream_timeout": _seconds(self.conntrack_udp_timeout_stream),
        }
        given: dict[str, Any] = {name: flag for name, flag in flags.items() if flag is not None}
        return replace(configuration.conntrack, **given)


@dataclass(frozen=True)
class AgentOptions:
    """How `kpx run` runs."""

    healthz_bind_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS:PORT",
            help="Where to serve /healthz and /livez, or `none`. Default: 0.0.0.0:10256.",
        ),
    ] = None
    metrics_bind_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS:PORT",
            help="Where to serve /metrics and /proxyMode, or `none`. Default: 127.0.0.1:10249.",
        ),
    ] = None
    min_sync_period: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="The least time between two changes."),
    ] = None
    sync_period: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=1,
            help="The most time between two attempts at what fails. Default: 30.",
        ),
    ] = None
    cleanup_on_exit: Annotated[
        bool, typer.Option("--cleanup-on-exit", help="Delete what is programmed when stopped.")
    ] = False
    log_format: Annotated[LogFormat, typer.Option(help="How to write the log to stderr.")] = (
        LogFormat.TEXT
    )

    def start_log(self) -> None:
        """Writes what the agent says to stderr from now on."""
        start_log(self.log_format)

    def settings(
        self,
        configuration: ProxyConfiguration,
        conntrack: ConntrackOptions,
        *,
        take_over: bool = False,
    ) -> "AgentSettings":
        """The settings that flags and the configuration file make together.

        Raises:
            ConfigurationInvalid: An address is none.
        """
        from kpx.agent import AgentSettings

        default = AgentSettings()
        return AgentSettings(
            healthz_address=parse_listen_address(
                self.healthz_bind_address or configuration.healthz_bind_address,
                default.healthz_address,
            ),
            metrics_address=parse_listen_address(
                self.metrics_bind_address or configuration.metrics_bind_address,
                default.metrics_address,
            ),
            min_sync_period=_first(
                self.min_sync_period, configuration.min_sync_period, default.min_sync_period
            ),
            sync_period=_first(self.sync_period, configuration.sync_period, default.sync_period),
            cleanup_on_exit=self.cleanup_on_exit,
            kubeconfig=configuration.kubeconfig,
            take_over=take_over,
            conntrack=conntrack.settings(configuration),
        )


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as failure:
        raise ConfigurationInvalid(str(failure)) from failure


def _first(flag: float | None, configured: float | None, default: float) -> float:
    return next(value for value in (flag, configured, default) if value is not None)


def parse_listen_address(
    text: str | None, default: tuple[str, int] | None
) -> tuple[str, int] | None:
    """The address and port to listen on; `none` for nowhere, the default where nothing is said.

    Raises:
        ConfigurationInvalid: It is no address.
    """
    if text is None:
        return default
    if text == "none":
        return None
    from kpx.agent.http import parse_address

    try:
        return parse_address(text)
    except ValueError as failure:
        raise ConfigurationInvalid(str(failure), "such as `127.0.0.1:10249`") from failure


def expanded(command: Callable[..., int]) -> Callable[..., int]:
    """Lets a command take dataclasses of flags: each of their fields becomes a flag.

    Typer reads a command's flags off its signature; this writes the signature.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        parameter.name: parameter.annotation
        for parameter in signature.parameters.values()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def call(**flags: Any) -> int:
        for name, group in groups.items():
            own = {member.name: flags.pop(member.name) for member in fields(group)}
            flags[name] = group(**own)
        return command(**flags)

    parameters = [
        flag for parameter in signature.parameters.values() for flag in _flags(parameter, groups)
    ]
    call.__annotations__ = {flag.name: flag.annotation for flag in parameters}
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return call


def _flags(parameter: inspect.Parameter, groups: dict[str, Any]) -> Iterator[inspect.Parameter]:
    if parameter.name not in groups:
        yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        return
    for member in fields(groups[parameter.name]):
        yield inspect.Parameter(
            member.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=member.default,
            annotation=member.type,
        )


def _split(values: list[str] | None) -> tuple[str, ...]:
    """Flags that kube-proxy takes once, with commas, may also be repeated."""
    return tuple(
        part.strip() for value in values or () for part in value.split(",") if part.strip()
    )
