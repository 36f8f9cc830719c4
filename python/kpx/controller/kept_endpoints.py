"""Endpoints as they are kept: most are never looked at, and they can be large."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kpx.endpointslices import Endpoints
from kpx.endpointslices.fields import Object, mapping, mappings, text, texts

__all__ = ["KeptEndpoints"]


@dataclass(frozen=True)
class KeptEndpoints:
    """Endpoints, their addresses compressed: a tenth of their JSON, and that is a tenth of records.

    Two are equal if they are the same version.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    content: bytes

    @classmethod
    def from_object(cls, endpoints: Object) -> "KeptEndpoints":
        """Keeps decoded Endpoints.

        Raises:
            ObjectInvalid: A field that is used has the wrong type.
        """
        # What is wrong is to be named now, not when a Service is looked at.
        known = Endpoints.from_object(endpoints)
        metadata = mapping(endpoints, "metadata")
        subsets = json.dumps(mappings(endpoints, "subsets"))
        return cls(
            namespace=known.namespace,
            name=known.name,
            uid=known.uid,
            resource_version=text(metadata, "resourceVersion"),
            labels=texts(metadata, "labels"),
            annotations=texts(metadata, "annotations"),
            content=zlib.compress(subsets.encode(), 1),
        )

    def to_object(self) -> dict[str, Any]:
        """The Endpoints as they were, as far as they matter."""
        metadata = {
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "resourceVersion": self.resource_version,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
        }
        return {"metadata": metadata, "subsets": json.loads(zlib.decompress(self.content))}
