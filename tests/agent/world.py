"""A node with an API server and an agent, for tests of what goes wrong between them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agent_process import AgentProcess
from fakes.apiserver import (
    ENDPOINT_SLICES,
    NODES,
    SERVICES,
    ApiServerProcess,
    api_server_process,
)
from kernel_state import endpoints, left_to_change
from nodes import Node
from objects import Object, endpoint_slice, service
from objects import node as node_object

NODE_NAME = "node"
ADDRESSES = 200
"""How many addresses endpoints have."""


def service_of(number: int, **spec: Any) -> Object:
    """A Service of its own address."""
    address = f"10.96.{number // 250}.{number % 250 + 1}"
    return service(f"service-{number}", clusterIP=address, clusterIPs=[address], **spec)


def slice_of(number: int, *hosts: int) -> Object:
    """The slice of such a Service, its endpoints by number."""
    addresses = [f"10.244.{host // 250}.{host % 250 + 1}" for host in hosts]
    return endpoint_slice(f"service-{number}", *addresses)


class World:
    """What is desired is what the server keeps; the kernel is the node's."""

    def __init__(self, node: Node, server: ApiServerProcess, agent: AgentProcess) -> None:
        self.node = node
        self.server = server
        self.agent = agent
        self.changes = 0
        self.hostile: set[str] = set()
        """The Services that are not to be programmed, whatever the server keeps."""

    def change(self, count: int) -> None:
        """Changes slices; each tenth time, a Service comes or goes."""
        for _ in range(count):
            self.changes += 1
            number = self.changes * 7 % 20
            first = self.changes * 13 % ADDRESSES
            self.server.put(
                ENDPOINT_SLICES, slice_of(number, *range(first, first + 1 + self.changes % 4))
            )
            if self.changes % 20 == 0:
                self.server.remove(SERVICES, "default", "service-3")
            elif self.changes % 10 == 0:
                self.server.put(SERVICES, service_of(3))

    def contents(self) -> dict[str, list[Object]]:
        """What the server keeps, by path."""
        return {path: self.server.get(path) for path in (SERVICES, ENDPOINT_SLICES, NODES)}

    def programmed(self) -> Callable[[], bool]:
        """Tells whether `nft` lists for each Service the endpoints that the server keeps now."""
        contents = self.contents()
        addresses = {
            one["metadata"]["labels"]["kubernetes.io/service-name"]: [
                endpoint["addresses"][0] for endpoint in one["endpoints"]
            ]
            for one in contents[ENDPOINT_SLICES]
        }
        wanted = {
            (one["spec"]["clusterIP"], "tcp", "80"): {
                (address, "8080") for address in addresses[one["metadata"]["name"]]
            }
            for one in contents[SERVICES]
            if one["metadata"]["name"] not in self.hostile
            and addresses.get(one["metadata"]["name"])
        }
        return lambda: endpoints(self.node.run, "ip") == wanted

    def assert_equal(self, what: str) -> None:
        """Waits until the kernel is as the server has it, by `nft` and by `kpx plan`."""
        self.agent.eventually(self.programmed(), what)
        items = [item for items in self.contents().values() for item in items]
        path = self.node.write("desired.json", *items)
        planned = self.node.kpx("plan", "-f", path, f"--node-name={NODE_NAME}", "-o", "json")
        assert planned.returncode == 0, planned.stderr
        assert left_to_change(planned.stdout) == []

    def lists(self, resource: str) -> float:
        """How many lists of a resource the agent has taken in."""
        return self.agent.metric(f'kpx_watch_lists{{resource="{resource}"}}')


@contextmanager
def world(node: Node, **settings: Any) -> Iterator[World]:
    """A node whose agent has programmed twenty Services."""
    objects = {
        SERVICES: [service_of(number) for number in range(20)],
        ENDPOINT_SLICES: [slice_of(number, number, number + 1) for number in range(20)],
        NODES: [node_object(NODE_NAME)],
    }
    with (
        api_server_process(node.enter, objects, **settings) as server,
        AgentProcess(node.enter, server.url, node.directory, node_name=NODE_NAME) as agent,
    ):
        made = World(node, server, agent)
        agent.start()
        agent.eventually(made.programmed(), "the cluster is programmed")
        yield made
