"""Tells of what is not programmed by Events on the objects."""

from collections.abc import Sequence
from typing import Final

from kpx.agent.omission import Omission
from kpx.kube import EventRecorder, ObjectReference, resources

__all__ = ["record"]

_API_VERSIONS: Final = {one.kind: one.api_version for one in resources("any")}


def record(recorder: EventRecorder, omissions: Sequence[Omission]) -> None:
    """Records an Event for each object that the kernel refused or that is left out as a whole.

    Objects that are programmed in part get none: it is in the log, and they work.
    """
    for one in omissions:
        api_version = _API_VERSIONS.get(one.kind)
        # What was rejected may be so broken that nobody knows what it is.
        if not (one.is_whole and one.name and api_version):
            continue
        namespace, _, name = one.name.rpartition("/")
        recorder.record(
            ObjectReference(api_version, one.kind, name, namespace),
            "Warning",
            "RefusedByKernel" if one.is_refused else "Rejected",
            "Program",
            one.reason,
            # What is wrong with an object, every node finds.
            is_shared=not one.is_refused,
        )
