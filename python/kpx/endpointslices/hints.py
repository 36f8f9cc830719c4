"""For which zones and nodes an endpoint is meant, by the Service's `trafficDistribution`.

As upstream's `trafficdist` (KEP-4444, KEP-3015): endpoints that are not ready have no hints.
"""

from typing import Final

__all__ = ["hints", "is_distributed"]

_SAME_ZONE: Final = ("PreferClose", "PreferSameZone", "PreferSameNode")
_SAME_NODE: Final = "PreferSameNode"


def is_distributed(traffic_distribution: str) -> bool:
    """Whether a value of `trafficDistribution` is one that is known."""
    return traffic_distribution in _SAME_ZONE


def hints(
    traffic_distribution: str, zone: str, node_name: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The zones and the nodes for which a ready endpoint is meant."""
    if not is_distributed(traffic_distribution):
        return (), ()
    zones = (zone,) if zone else ()
    nodes = (node_name,) if node_name and traffic_distribution == _SAME_NODE else ()
    return zones, nodes
