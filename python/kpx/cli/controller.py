"""What `kpx controller` prints."""

import json
import sys
from enum import Enum

import yaml

from kpx.publication import Publication

__all__ = ["ObjectOutput", "write"]


class ObjectOutput(str, Enum):
    """How objects are written to stdout."""

    YAML = "yaml"
    JSON = "json"


def write(publication: Publication, output: ObjectOutput) -> None:
    """Writes objects as manifests that kpx and kubectl read: YAML documents, or one list."""
    objects = publication.objects
    if output is ObjectOutput.YAML and objects:
        yaml.safe_dump_all(objects, sys.stdout, sort_keys=False, explicit_start=True)
        return
    # Without any object the list says so; no document at all would be a file cut short.
    body = {"apiVersion": "v1", "kind": "List", "items": objects}
    json.dump(body, sys.stdout, indent=2)
    sys.stdout.write("\n")
