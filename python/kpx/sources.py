"""Where objects come from: manifests or a cluster, fed whole to the core.

Nothing is planned before everything is read, so that a source that cannot be read programs nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from kpx import kube, manifests
from kpx._core import FeedReport, Pod, PodStore, Rejection
from kpx.endpointslices import (
    Endpoints,
    EndpointSlice,
    Node,
    ObjectInvalid,
    Reconciliation,
    Service,
    ZoneShares,
    named,
    reconcile,
    zone_shares,
)
from kpx.errors import DecodeFailed, ManifestUnreadable
from kpx.manifests import Frame

__all__ = [
    "Cluster",
    "Fed",
    "Loaded",
    "Manifests",
    "Rejected",
    "Source",
    "Workload",
    "without_node",
]


@dataclass(frozen=True)
class Rejected:
    """An object, or a part of one, that was left out."""

    kind: str
    name: str
    """`namespace/name`, or `name` for an object without a namespace."""
    reason: str
    whole: bool = True


@dataclass
class Loaded:
    """What a source held, beyond what the core keeps itself."""

    ignored: Counter[str] = field(default_factory=Counter)
    """How many objects of each kind had no use."""
    rejected: list[Rejected] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """What the reader should know though nothing is wrong with any object."""


class Fed(Protocol):
    """What takes in objects: the `Proxier` of a node, or the `DnsStore` of a name server."""

    def feed(self, frame: bytes, /) -> FeedReport:
        """Takes in one JSON document."""
        ...

    def services_without_slices(self) -> list[str]:
        """The Services that have a selector but no EndpointSlice."""
        ...

    def rejections(self) -> list[Rejection]:
        """Every object, or part of one, that is left out."""
        ...


class Source(Protocol):
    """Something that holds Services and their endpoints."""

    def load(self, proxier: Fed) -> Loaded:
        """Feeds everything it holds.

        Raises:
            KpxError: Something of it cannot be read. The proxier may then know a part of it.
        """
        ...


@dataclass(frozen=True)
class Manifests:
    """Manifest files."""

    paths: Sequence[str]

    def load(self, proxier: Fed) -> Loaded:
        """Feeds the files, and the slices of Services that come with Pods instead of slices."""
        loaded = Loaded()
        accepted = 0
        frames: list[Frame] = []
        for frame in manifests.read(self.paths):
            try:
                report = proxier.feed(frame.content)
            except DecodeFailed as failure:
                raise ManifestUnreadable(
                    f"{frame.origin}: {failure.message}", failure.hint
                ) from failure
            accepted += sum(report.accepted.values())
            loaded.ignored.update(report.ignored)
            frames.append(frame)
        if not accepted:
            _require_kinds(proxier, loaded)
        if loaded.ignored["Pod"]:
            without_slices = set(proxier.services_without_slices())
            if without_slices:
                _feed_slices(proxier, frames, without_slices, loaded)
                del loaded.ignored["Pod"]
        return loaded


@dataclass(frozen=True)
class Cluster:
    """A cluster, through its API server."""

    node_name: str
    kubeconfig: str | None = None
    context: str | None = None

    def load(self, proxier: Fed) -> Loaded:
        """Feeds the lists that a node needs."""
        loaded = Loaded()
        client = kube.Client(kube.load_configuration(self.kubeconfig, self.context))
        for resource in kube.resources(self.node_name):
            accepted = 0
            for page in kube.list_pages(client, resource):
                report = proxier.feed(page)
                accepted += sum(report.accepted.values())
                loaded.ignored.update(report.ignored)
            if resource.name == "nodes" and not accepted:
                loaded.notices.append(
                    f"the cluster has no Node `{self.node_name}`; `--node-name` names another"
                )
        return loaded


def _require_kinds(proxier: Fed, loaded: Loaded) -> None:
    """Refuses manifests that hold objects but none that kpx knows, such as an error message.

    They would otherwise mean that there are no Services, and unprogram the node.
    """
    rejections = proxier.rejections()
    objects = len(rejections) + loaded.ignored.total()
    if objects and not any(rejection.kind for rejection in rejections):
        raise ManifestUnreadable(
            f"none of the objects in the manifests ({objects}) is of a kind that kpx reads",
            "these are Service, EndpointSlice, Endpoints, Pod, Node and ServiceCIDR;"
            " an empty `List` says that there are none",
        )


def _feed_slices(proxier: Fed, frames: Sequence[Frame], names: set[str], loaded: Loaded) -> None:
    """Feeds the slices that the EndpointSlice controller would have made for some Services."""
    workload = Workload.of(frames)
    # The core itself rejects Services and Nodes, and names them.
    loaded.rejected += [rejected for rejected in workload.rejected if rejected.kind == "Pod"]
    slices: list[dict[str, Any]] = []
    for service in workload.services:
        if f"{service.namespace}/{service.name}" not in names:
            continue
        reconciliation = reconcile(
            service, workload.pods_of(service), workload.nodes, shares=workload.shares
        )
        slices += [one.to_object() for one in named(reconciliation.slices)]
        loaded.rejected += without_node(reconciliation)
    body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "items": slices}
    proxier.feed(json.dumps(body).encode())


@dataclass(frozen=True)
class Workload:
    """What EndpointSlices are made from, and those that are there."""

    services: list[Service]
    pods: PodStore
    nodes: dict[str, Node] | None
    """By name; `None` if nothing is known of Nodes."""
    slices: list[EndpointSlice]
    endpoints: list[Endpoints]
    rejected: list[Rejected]

    def pods_of(self, service: Service) -> list[Pod]:
        """The Pods that a Service selects."""
        return self.pods.select(service.namespace, service.selector)

    @property
    def shares(self) -> ZoneShares | None:
        """What part of the cluster's CPUs each zone has; `None` if that is not known."""
        return zone_shares((self.nodes or {}).values())

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> "Workload":
        """Converts what frames hold; an object that is not valid is left out and named.

        Raises:
            ManifestUnreadable: A frame is no JSON object.
        """
        objects: dict[str, list[dict[str, Any]]] = {
            kind: [] for kind in ("Service", "Node", "EndpointSlice", "Endpoints")
        }
        pods = PodStore()
        rejected: list[Rejected] = []
        for frame in frames:
            for item in _items(_document(frame)):
                kind = item.get("kind")
                if isinstance(kind, str) and kind in objects:
                    objects[kind].append(item)
            _, outcome = pods.feed(frame.content)
            rejected += [Rejected("Pod", name, reason) for name, reason in outcome.rejections]
        nodes = _converted(objects["Node"], Node.from_object, rejected)
        return cls(
            services=_converted(objects["Service"], Service.from_object, rejected),
            pods=pods,
            nodes={node.name: node for node in nodes} or None,
            slices=_converted(objects["EndpointSlice"], EndpointSlice.from_object, rejected),
            endpoints=_converted(objects["Endpoints"], Endpoints.from_object, rejected),
            rejected=rejected,
        )


def without_node(reconciliation: Reconciliation) -> list[Rejected]:
    """The Pods that are left out because their Node is not among the manifests."""
    return [
        Rejected(
            "Pod",
            f"{pod.namespace}/{pod.name}",
            f"spec.nodeName: there is no Node `{pod.node_name}` among the manifests",
        )
        for pod in reconciliation.without_node
    ]


def _document(frame: Frame) -> dict[str, Any]:
    try:
        document = json.loads(frame.content)
    except ValueError as failure:
        raise ManifestUnreadable(f"{frame.origin}: no JSON: {failure}") from failure
    if not isinstance(document, dict):
        raise ManifestUnreadable(f"{frame.origin}: the document is not an object")
    return document


def _items(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects of a document: itself, or those of the list it is."""
    kind = document.get("kind")
    items = document.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)):
        yield document
        return
    for item in items:
        if isinstance(item, dict):
            # The items of a typed list need not repeat their kind.
            yield item if "kind" in item else {**item, "kind": kind.removesuffix("List")}


_T = TypeVar("_T")


def _converted(
    objects: Sequence[dict[str, Any]],
    convert: Callable[[dict[str, Any]], _T],
    rejected: list[Rejected],
) -> list[_T]:
    """Converts objects; one that is not valid is left out and named, as the core does."""
    converted = []
    for item in objects:
        try:
            converted.append(convert(item))
        except ObjectInvalid as failure:
            rejected.append(Rejected(item["kind"], _name(item), failure.message))
    return converted


def _name(item: dict[str, Any]) -> str:
    metadata = item.get("metadata")
    if not isinstance(metadata, dict):
        return "?"
    return f"{metadata.get('namespace', 'default')}/{metadata.get('name', '?')}"
