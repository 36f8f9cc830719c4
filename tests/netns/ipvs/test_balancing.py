"""IPVS chooses as its schedulers do: strictly in turn, or by weight."""

from dataclasses import replace

from ..cluster import Cluster
from ..manifest import Service
from ..probe import connect
from .core import Core
from .virtual_servers import SCHEDULER, weights

WEIGHT = "kpx.dev/weight"


def test_each_endpoint_has_its_turn(restored: Cluster, told: Core, service: Service) -> None:
    # Each node begins anew, so that few clients of many nodes may meet at one endpoint
    # (kubernetes#79213, #126378); on one node nothing is left to chance.
    told.put(service.objects(restored.pods))
    attempts = connect(restored.client, "tcp", *service.target("cluster", 4, restored), count=40)
    assert attempts.pods == dict.fromkeys(service.pods, 10)


def test_weights_of_endpoints_are_those_of_the_service(
    restored: Cluster, told: Core, service: Service
) -> None:
    # kube-proxy knows no weights: kubernetes#94191, #96902.
    address = restored.pods["pod-1"].addresses[4]
    annotations = {SCHEDULER: "wrr", WEIGHT: f"{address}=3, 10.244.2.0/24=2"}
    service = replace(service, annotations=annotations)
    told.put(service.objects(restored.pods))

    wanted = {"pod-1": 3, "pod-2": 1, "pod-3": 1, "pod-4": 2}
    assert weights(restored, service, 4) == wanted
    attempts = connect(restored.client, "tcp", *service.target("cluster", 4, restored), count=70)
    assert attempts.pods == {pod: 10 * weight for pod, weight in wanted.items()}
