"""Endpoints that go while clients are connected to them, and that come back meanwhile.

kubernetes#57841, #71358, #71514, #71809, #84322 and #99162 are about this, too.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.apiserver import ENDPOINT_SLICES, api_server_process

from ..churn import by_path
from ..cluster import NODE_NAME, Cluster
from ..manifest import KINDS, SERVICES, VERSIONS, Service, manifest
from ..namespace import PATIENCE
from ..steady import SteadyClient, steady_client
from .core import Core, core
from .forks import ForkedAgent, forks
from .monitor import monitor
from .virtual_servers import weights

BOUND_SECONDS = 900
"""For how long an endpoint is drained at most."""
IDLE_SECONDS = 40 * PATIENCE
"""How long to wait for IPVS to forget a connection that was reset, which it does in ten seconds."""
ANSWER_SECONDS = 5 * PATIENCE


@pytest.fixture
def client(restored: Cluster) -> Iterator[SteadyClient]:
    """A client that keeps connections open."""
    with steady_client(restored.client) as started:
        yield started


def without(service: Service, *pods: str) -> Service:
    """Returns the Service without some of its endpoints."""
    return replace(service, pods=tuple(pod for pod in service.pods if pod not in pods))


def everything(cluster: Cluster, service: Service) -> list[dict[str, object]]:
    """Returns all objects there are, a Service beside the usual ones."""
    items: list[dict[str, object]] = json.loads(
        manifest(cluster, {**SERVICES, service.name: service})
    )["items"]
    return items


@pytest.mark.parametrize("version", VERSIONS)
def test_an_endpoint_that_goes_keeps_its_connections_until_they_end(
    restored: Cluster, told: Core, service: Service, client: SteadyClient, version: int
) -> None:
    told.put(service.objects(restored.pods))
    target = service.target("cluster", version, restored)
    (busy,) = client(hold=[target])
    idle = next(pod for pod in service.pods if pod != busy)
    left = without(service, busy, idle)

    told.put(left.objects(restored.pods))

    stay = dict.fromkeys(left.pods, 1)
    assert weights(restored, service, version) == {**stay, busy: 0, idle: 0}
    # Datagrams have no connection that could end.
    assert weights(restored, service, version, "udp") == stay
    (seen,) = client(**{"try": [target], "count": 20, "seconds": ANSWER_SECONDS})
    assert seen == sorted(left.pods)
    told("settle", 0)
    assert weights(restored, service, version) == {**stay, busy: 0}
    assert client(alive=None) == [True]
    client(keep=[])
    deadline = time.monotonic() + IDLE_SECONDS
    while busy in weights(restored, service, version):
        assert time.monotonic() < deadline, "it is not deleted though it is idle"
        time.sleep(0.5)
        told("settle", 1)
    assert weights(restored, service, version) == stay


def test_a_connection_that_does_not_end_is_cut_off_after_a_time(
    restored: Cluster, told: Core, service: Service, client: SteadyClient
) -> None:
    # The node of the endpoint may be dead, and then nobody ever ends it: kubernetes#89392.
    told.put(service.objects(restored.pods))
    (busy,) = client(hold=[service.target("cluster", 4, restored)])
    told.put(without(service, busy).objects(restored.pods))
    told("settle", 0)
    told("settle", BOUND_SECONDS - 1)
    assert weights(restored, service, 4)[busy] == 0
    assert client(alive=None) == [True]

    told("settle", BOUND_SECONDS)

    assert busy not in weights(restored, service, 4)
    assert client(alive=None) == [False]


def test_an_endpoint_that_comes_back_is_never_removed(
    restored: Cluster, told: Core, service: Service, client: SteadyClient
) -> None:
    # kube-proxy removes and adds it again, and its connections are lost: kubernetes#117205.
    service = replace(service, protocols=("tcp",))
    told.put(service.objects(restored.pods))
    (busy,) = client(hold=[service.target("cluster", 4, restored)])
    told.put(without(service, busy).objects(restored.pods))
    assert weights(restored, service, 4)[busy] == 0
    with monitor(restored.node) as sent:
        told.put(service.objects(restored.pods))
        assert sent.names() == ["SET_DEST"] * len(KINDS) * len(VERSIONS)
    everyone = dict.fromkeys(service.pods, 1)
    assert weights(restored, service, 4) == everyone
    told("settle", 0)
    told("settle", BOUND_SECONDS)
    assert weights(restored, service, 4) == everyone
    assert client(alive=None) == [True]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_client_that_uses_its_port_again_gets_another_endpoint_at_once(
    restored: Cluster, told: Core, service: Service, client: SteadyClient, end: str, version: int
) -> None:
    # With `conn_reuse_mode` 0, as kube-proxy has it on kernels before 5.9, it is sent to the pod
    # that is gone (kubernetes#81775); with 1 these dropped its first packet (#70747), and since
    # then nobody need touch the sysctl (#93297).
    restored.client.set_sysctls(net__ipv4__tcp_tw_reuse=1)
    told.put(service.objects(restored.pods))
    target = [*service.target("cluster", version, restored), 46000 + version]
    pod, _ = client(again=target, end=end)
    for _ in range(3):
        assert pod in service.pods, pod
        told.put(without(service, pod).objects(restored.pods))
        before, (pod, resent) = pod, client(again=target, end=end)
        assert pod != before
        assert resent == 0
    mode = restored.node.run("sysctl", "-n", "net.ipv4.vs.conn_reuse_mode").stdout
    assert mode.strip() == "1"


def test_a_restart_keeps_weights_right(
    restored: Cluster, service: Service, client: SteadyClient
) -> None:
    # kube-proxy leaves at 0 what came back while it did not run: kubernetes#92019, #108319.
    with core(restored.node, NODE_NAME) as told:
        told.put(everything(restored, service))
        gone, back = client(hold=[service.target("cluster", 4, restored)] * 2)
        assert gone != back
        told.put(without(service, gone, back).objects(restored.pods))
    found = weights(restored, service, 4)
    assert found[gone] == found[back] == 0
    left = without(service, gone)
    expected = {**dict.fromkeys(left.pods, 1), gone: 0}

    with core(restored.node, NODE_NAME) as told:
        told.put(everything(restored, left))

        assert weights(restored, service, 4) == expected
        assert client(alive=None) == [True, True]
        told("settle", 0)
        assert weights(restored, service, 4) == expected


@pytest.mark.timeout(240 * PATIENCE)
def test_the_agent_drains_by_itself(
    restored: Cluster, service: Service, client: SteadyClient, tmp_path: Path
) -> None:
    target = service.target("cluster", 4, restored)
    # A client of datagrams that keeps its port stays with a pod until that is gone.
    ask = [(*target, 45000 + number) for number in range(8)]
    with (
        api_server_process(
            restored.node.command(), by_path(everything(restored, service))
        ) as server,
        forks(restored.node) as kpx,
        ForkedAgent(kpx, restored.node, server.url, tmp_path) as agent,
    ):

        def holds(*pods: str, busy: int) -> bool:
            expected = {**dict.fromkeys(pods, 1), **({} if busy < 0 else {held: busy})}
            return weights(restored, service, 4) == expected

        def put(changed: Service) -> None:
            for item in changed.objects(restored.pods)[1:]:
                server.put(ENDPOINT_SLICES, item)

        agent.start()
        agent.eventually(lambda: "none" not in client(ask=ask), "the Service is restored")
        (held,) = client(hold=[target])
        idle = next(pod for pod in service.pods if pod != held)
        left = without(service, held, idle)
        put(left)
        agent.eventually(lambda: holds(*left.pods, busy=0), "the idle endpoint is deleted")
        assert client(alive=None) == [True]
        agent.eventually(lambda: set(client(ask=ask)) <= set(left.pods), "datagrams move")
        put(without(service, idle))
        agent.eventually(lambda: holds(*left.pods, busy=1), "the endpoint is back")
        put(left)
        agent.eventually(lambda: holds(*left.pods, busy=0), "the endpoint drains")
        assert client(alive=None) == [True]
        client(keep=[])
        agent.eventually(lambda: holds(*left.pods, busy=-1), "what is idle is deleted")
