"""Which Pods a Service selects."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from kpx.endpointslices.objects import Pod, Service

__all__ = ["PodIndex", "selects"]


def selects(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    """Whether a selector matches: none matches nothing, an empty one matches everything."""
    if selector is None:
        return False
    return all(labels.get(name) == value for name, value in selector.items())


class PodIndex:
    """Pods by namespace and label, so that a Service need not look at every Pod."""

    def __init__(self, pods: Iterable[Pod]) -> None:
        """Indexes the Pods; of two with one name the later one counts."""
        by_name = {(pod.namespace, pod.name): pod for pod in pods}
        self._by_namespace: dict[str, list[Pod]] = defaultdict(list)
        self._by_label: dict[tuple[str, str, str], list[Pod]] = defaultdict(list)
        for pod in by_name.values():
            self._by_namespace[pod.namespace].append(pod)
            for name, value in pod.labels.items():
                self._by_label[pod.namespace, name, value].append(pod)

    def select(self, service: Service) -> list[Pod]:
        """The Pods that a Service selects, in the order they came in."""
        if service.selector is None:
            return []
        candidates = min(
            (
                self._by_label.get((service.namespace, name, value), [])
                for name, value in service.selector.items()
            ),
            key=len,
            default=self._by_namespace.get(service.namespace, []),
        )
        return [pod for pod in candidates if selects(service.selector, pod.labels)]
