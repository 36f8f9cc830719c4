"""Where objects come from: manifests or a cluster, fed whole to a `Proxier`.

Nothing is planned before everything is read, so that a source that cannot be read programs nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from kpx import kube, manifests
from kpx._core import Proxier
from kpx.endpointslices import Node, ObjectInvalid, Pod, PodIndex, Service, desired_slices
from kpx.errors import DecodeFailed, ManifestUnreadable
from kpx.manifests import Frame

__all__ = ["Cluster", "Loaded", "Manifests", "Rejected", "Source"]


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


class Source(Protocol):
    """Something that holds Services and their endpoints."""

    def load(self, proxier: Proxier) -> Loaded:
        """Feeds everything it holds to a proxier.

        Raises:
            KpxError: Something of it cannot be read. The proxier may then know a part of it.
        """
        ...


@dataclass(frozen=True)
class Manifests:
    """Manifest files."""

    paths: Sequence[str]

    def load(self, proxier: Proxier) -> Loaded:
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

    def load(self, proxier: Proxier) -> Loaded:
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


def _require_kinds(proxier: Proxier, loaded: Loaded) -> None:
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


def _feed_slices(
    proxier: Proxier, frames: Sequence[Frame], names: set[str], loaded: Loaded
) -> None:
    """Feeds the slices that the EndpointSlice controller would have made for some Services."""
    objects: dict[str, list[dict[str, Any]]] = {"Service": [], "Pod": [], "Node": []}
    for frame in frames:
        for item in _items(json.loads(frame.content)):
            kind = item.get("kind")
            if isinstance(kind, str) and kind in objects:
                objects[kind].append(item)
    services = _converted(objects["Service"], Service.from_object, loaded)
    pods = PodIndex(_converted(objects["Pod"], Pod.from_object, loaded))
    nodes = {node.name: node for node in _converted(objects["Node"], Node.from_object, loaded)}
    slices: list[dict[str, Any]] = []
    for service in services:
        if f"{service.namespace}/{service.name}" not in names:
            continue
        desired = desired_slices(service, pods.select(service), nodes or None)
        slices += desired.slices
        loaded.rejected += [
            Rejected(
                "Pod",
                f"{pod.namespace}/{pod.name}",
                f"spec.nodeName: there is no Node `{pod.node_name}` among the manifests",
            )
            for pod in desired.without_node
        ]
    body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "items": slices}
    proxier.feed(json.dumps(body).encode())


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
    objects: Sequence[dict[str, Any]], convert: Callable[[dict[str, Any]], _T], loaded: Loaded
) -> list[_T]:
    """Converts objects; one that is not valid is left out and named, as the core does."""
    converted = []
    for item in objects:
        try:
            converted.append(convert(item))
        except ObjectInvalid as failure:
            # The core itself rejects Services and Nodes, and names them.
            if item["kind"] == "Pod":
                loaded.rejected.append(Rejected("Pod", _name(item), failure.message))
    return converted


def _name(item: dict[str, Any]) -> str:
    metadata = item.get("metadata")
    if not isinstance(metadata, dict):
        return "?"
    return f"{metadata.get('namespace', 'default')}/{metadata.get('name', '?')}"
