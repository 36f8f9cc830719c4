"""What the API server has shown of the cluster, and which Services a change touches."""

import threading
from collections.abc import Callable, Iterable
from enum import Enum, auto

from kpx._core import Pod
from kpx.controller.cache import Cache, Key
from kpx.controller.kept_endpoints import KeptEndpoints
from kpx.controller.pod_cache import PodCache
from kpx.endpointslices import (
    Node,
    Service,
    ServiceIndex,
    ZoneShares,
    zone_shares,
)

__all__ = ["ClusterState", "Touch"]


class Touch(Enum):
    """What of a Service has changed."""

    SERVICE = auto()
    """The Service itself."""
    PODS = auto()
    """A Pod that it selects, or that it has selected."""
    NODES = auto()
    """What is known of the Nodes its endpoints are on, or of the zones they share."""
    ENDPOINTS = auto()
    """The Endpoints of its name."""


class ClusterState:
    """Objects by kind, and the indexes that find what belongs together.

    Whoever reads holds `lock`.
    """

    def __init__(self, touched: Callable[[Touch, Iterable[Key]], None]) -> None:
        """Knows nothing yet.

        Args:
            touched: Told what changed, and of which Services; called with the lock held.
        """
        self._touched = touched
        self.lock = threading.RLock()
        self.services = Cache(Service.from_object, self._service_changed, self.lock)
        self.pods = PodCache(self._pod_changed, self.lock)
        self.nodes = Cache(Node.from_object, self._node_changed, self.lock)
        self.endpoints = Cache(KeptEndpoints.from_object, self._endpoints_changed, self.lock)
        self._service_index = ServiceIndex()
        self._topology_aware: set[Key] = set()
        self._shares: ZoneShares | None = None
        self._are_shares_known = False

    def pods_of(self, service: Service) -> list[Pod]:
        """The Pods that a Service selects."""
        return self.pods.store.select(service.namespace, service.selector)

    def nodes_of(self, pods: Iterable[Pod]) -> dict[str, Node]:
        """Those Nodes of some Pods that are known, by name."""
        found = {pod.node_name: self.nodes.objects.get(("", pod.node_name)) for pod in pods}
        return {name: node for name, node in found.items() if node is not None}

    @property
    def shares(self) -> ZoneShares | None:
        """What part of the cluster's CPUs each zone has; `None` if that is not known."""
        if not self._are_shares_known:
            self._shares = zone_shares(self.nodes.objects.values())
            self._are_shares_known = True
        return self._shares

    def _service_changed(self, key: Key, old: Service | None, new: Service | None) -> None:
        self._topology_aware.discard(key)
        if old is not None:
            self._service_index.remove(old)
        if new is not None:
            self._service_index.put(new)
            if new.is_topology_aware:
                self._topology_aware.add(key)
        self._touched(Touch.SERVICE, (key,))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        services = set()
        for pod in (old, new):
            if pod is not None:
                services |= self._service_index.select(pod)
        self._touched(Touch.PODS, services)

    def _node_changed(self, key: Key, old: Node | None, new: Node | None) -> None:
        services: set[Key] = set()
        # Upstream lets a zone that comes late wait for the next change of each Service.
        if (old.zone if old else None) != (new.zone if new else None):
            for pod in self.pods.store.on_node(key[1]):
                services |= self._service_index.select(pod)
        if self._topology_aware:
            before, self._are_shares_known = self._shares, False
            if self.shares != before:
                services |= self._topology_aware
        else:
            self._are_shares_known = False
        self._touched(Touch.NODES, services)

    def _endpoints_changed(
        self, key: Key, old: KeptEndpoints | None, new: KeptEndpoints | None
    ) -> None:
        self._touched(Touch.ENDPOINTS, (key,))
