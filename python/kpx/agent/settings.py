"""How the agent runs."""

from dataclasses import dataclass, field

from kpx.config import ConntrackSettings

__all__ = ["AgentSettings"]


@dataclass(frozen=True)
class AgentSettings:
    """How the agent runs; the defaults are kube-proxy's where it has such a setting."""

    healthz_address: tuple[str, int] | None = ("0.0.0.0", 10256)
    """Where /healthz and /livez are served; `None` for nowhere."""
    metrics_address: tuple[str, int] | None = ("127.0.0.1", 10249)
    """Where /metrics, /proxyMode and /statusz are served; `None` for nowhere."""
    min_sync_period: float = 0.0
    """The least seconds between two commits."""
    sync_period: float = 30.0
    """The most seconds between two attempts; a change may wait for twice that to be healthy."""
    kubeconfig: str | None = None
    """The kubeconfig that the configuration file names."""
    cleanup_on_exit: bool = False
    """Whether to delete what is programmed when the agent is stopped."""
    conntrack: ConntrackSettings = field(default_factory=ConntrackSettings)
    take_over: bool = False
    """Whether to remove what kube-proxy left, once the node is programmed."""
