"""A Kubernetes node service proxy that programs nftables straight over netlink."""

from kpx._core import (
    EventReport,
    FeedReport,
    Plan,
    Proxier,
    Rejection,
    SyncReport,
    __version__,
    cleanup,
)

__all__ = [
    "EventReport",
    "FeedReport",
    "Plan",
    "Proxier",
    "Rejection",
    "SyncReport",
    "__version__",
    "cleanup",
]
