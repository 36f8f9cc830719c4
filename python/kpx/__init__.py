"""A Kubernetes node service proxy that programs nftables and IPVS straight over netlink."""

from kpx._core import (
    EventReport,
    FeedReport,
    HealthCheck,
    Plan,
    Proxier,
    Rejection,
    StaleFlows,
    SyncFailure,
    SyncReport,
    __version__,
    cleanup,
)

__all__ = [
    "EventReport",
    "FeedReport",
    "HealthCheck",
    "Plan",
    "Proxier",
    "Rejection",
    "StaleFlows",
    "SyncFailure",
    "SyncReport",
    "__version__",
    "cleanup",
]
