"""Which ports of a Pod serve a Service.

The rules are those of `getEndpointPorts`, `FindPort` and `NewPortMapKey` upstream.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from kpx._core import Pod
from kpx.endpointslices.objects import Service, ServicePort

__all__ = ["EndpointPort", "PortMapKey", "endpoint_ports", "find_port", "port_map_key"]


@dataclass(frozen=True, order=True, slots=True)
class EndpointPort:
    """One port that every endpoint of a slice has."""

    name: str
    protocol: str
    number: int
    app_protocol: str = ""

    def to_object(self) -> dict[str, Any]:
        """The port as an EndpointSlice holds it; the name is there even if it is empty."""
        port: dict[str, Any] = {"name": self.name, "protocol": self.protocol, "port": self.number}
        if self.app_protocol:
            port["appProtocol"] = self.app_protocol
        return port


PortMapKey: TypeAlias = tuple[EndpointPort, ...]
"""What endpoints of one slice share: their ports, whatever the order."""


def port_map_key(ports: Iterable[EndpointPort]) -> PortMapKey:
    """The key that two Pods have in common if and only if they can share a slice."""
    return tuple(sorted(ports))


def find_port(pod: Pod, port: ServicePort) -> int | None:
    """The number a Service's port has in a Pod; `None` if no container names such a port."""
    if isinstance(port.target, int):
        return port.target
    return pod.port(port.target, port.protocol)


def endpoint_ports(service: Service, pod: Pod) -> list[EndpointPort]:
    """The ports through which a Pod serves a Service, without those that the Pod does not name."""
    return [
        EndpointPort(port.name, port.protocol, number, port.app_protocol or "")
        for port in service.ports
        if (number := find_port(pod, port)) is not None
    ]
