"""What can be read and written: kinds of objects, and which of them."""

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

__all__ = [
    "ENDPOINTS",
    "ENDPOINT_SLICES",
    "EVENTS",
    "LEASES",
    "NAMESPACES",
    "NODES",
    "PODS",
    "SERVICES",
    "SERVICE_CIDRS",
    "Resource",
    "resources",
]


@dataclass(frozen=True)
class Resource:
    """A kind of object, and which of them are meant."""

    name: str
    """What RBAC calls it."""
    path: str
    """The path of the list over all namespaces, such as `/api/v1/services`."""
    kind: str
    """What an object of it has as `kind`."""
    label_selector: str = ""
    field_selector: str = ""
    optional: bool = False
    """Whether the API server may not serve it at all, being older or configured without it."""

    def selected(self, *, labels: str = "", fields: str = "") -> "Resource":
        """The same kind, but only what the selectors let through."""
        return replace(self, label_selector=labels, field_selector=fields)

    @property
    def api_version(self) -> str:
        """What an object of it has as `apiVersion`."""
        # `/api/v1/services`, or `/apis/GROUP/VERSION/PLURAL`.
        return "/".join(self.path.split("/")[2:-1])

    @property
    def selectors(self) -> dict[str, str]:
        """The query parameters that select."""
        query = {"labelSelector": self.label_selector, "fieldSelector": self.field_selector}
        return {name: value for name, value in query.items() if value}

    def collection(self, namespace: str | None) -> str:
        """The path under which objects of a namespace (`None`: not namespaced) are made."""
        prefix, _, plural = self.path.rpartition("/")
        if namespace is None:
            return self.path
        return f"{prefix}/namespaces/{quote(namespace, safe='')}/{plural}"

    def item(self, namespace: str | None, name: str) -> str:
        """The path of one object."""
        return f"{self.collection(namespace)}/{quote(name, safe='')}"


SERVICES: Final = Resource("services", "/api/v1/services", "Service")
NODES: Final = Resource("nodes", "/api/v1/nodes", "Node")
PODS: Final = Resource("pods", "/api/v1/pods", "Pod")
NAMESPACES: Final = Resource("namespaces", "/api/v1/namespaces", "Namespace")
ENDPOINTS: Final = Resource("endpoints", "/api/v1/endpoints", "Endpoints")
ENDPOINT_SLICES: Final = Resource(
    "endpointslices", "/apis/discovery.k8s.io/v1/endpointslices", "EndpointSlice"
)
SERVICE_CIDRS: Final = Resource(
    "servicecidrs", "/apis/networking.k8s.io/v1/servicecidrs", "ServiceCIDR", optional=True
)
LEASES: Final = Resource("leases", "/apis/coordination.k8s.io/v1/leases", "Lease")
EVENTS: Final = Resource("events", "/apis/events.k8s.io/v1/events", "Event")

_NO_OTHER_PROXY: Final = "!service.kubernetes.io/service-proxy-name"
_NO_HEADLESS: Final = "!service.kubernetes.io/headless"


def resources(node_name: str) -> tuple[Resource, ...]:
    """What a node reads, selected as kube-proxy selects it (cmd/kube-proxy/app/server.go)."""
    return (
        NODES.selected(fields=f"metadata.name={node_name}"),
        SERVICES.selected(labels=_NO_OTHER_PROXY, fields="spec.clusterIP!=None"),
        ENDPOINT_SLICES.selected(labels=f"{_NO_OTHER_PROXY},{_NO_HEADLESS}"),
        SERVICE_CIDRS,
    )
