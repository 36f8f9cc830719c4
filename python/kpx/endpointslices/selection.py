"""Which Services select a Pod: by label, without looking at all.

Upstream looks at every Service of the namespace for every change of a Pod. Which Pods a Service
selects, the core's `PodStore` knows.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeVar

from kpx._core import Pod
from kpx.endpointslices.objects import Service

__all__ = ["ServiceIndex", "selects"]

_K = TypeVar("_K")
_V = TypeVar("_V")

_Label = tuple[str, str, str]
"""Namespace, name and value."""


def selects(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    """Whether a selector matches: none matches nothing, an empty one matches everything."""
    if selector is None:
        return False
    return all(labels.get(name) == value for name, value in selector.items())


class ServiceIndex:
    """Services by one label of their selector, and those that select everything."""

    def __init__(self) -> None:
        """Starts empty."""
        self._by_label: dict[_Label, dict[str, Service]] = defaultdict(dict)
        self._of_everything: dict[str, dict[str, Service]] = defaultdict(dict)

    def put(self, service: Service) -> None:
        """Adds a Service; one of that name must have been removed."""
        if service.selector:
            self._by_label[_label(service)][service.name] = service
        elif service.selector is not None:
            self._of_everything[service.namespace][service.name] = service

    def remove(self, service: Service) -> None:
        """Removes a Service as it was added."""
        if service.selector:
            _discard(self._by_label, _label(service), service.name)
        else:
            _discard(self._of_everything, service.namespace, service.name)

    def select(self, pod: Pod) -> set[tuple[str, str]]:
        """The namespaces and names of the Services that select a Pod."""
        namespace, labels = pod.namespace, pod.labels
        found = set(self._of_everything.get(namespace, {}))
        for name, value in labels.items():
            for service in self._by_label.get((namespace, name, value), {}).values():
                if selects(service.selector, labels):
                    found.add(service.name)
        return {(namespace, name) for name in found}


def _label(service: Service) -> _Label:
    """The label under which a Service is found; the longest value is likely to be the rarest."""
    name, value = max((service.selector or {}).items(), key=lambda label: (len(label[1]), label))
    return service.namespace, name, value


def _discard(index: dict[_K, dict[str, _V]], key: _K, name: str) -> None:
    members = index.get(key)
    if members is not None:
        members.pop(name, None)
        if not members:
            del index[key]
