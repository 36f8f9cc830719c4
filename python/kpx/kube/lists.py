"""The lists a node needs, page by page."""

import json
from typing import Any, Final

from kpx.errors import ClusterUnreadable
from kpx.kube.client import Client
from kpx.kube.reflector import PAGE_SIZE
from kpx.kube.refusal import ListExpired, RequestRefused
from kpx.kube.resources import Resource

__all__ = ["PAGE_SIZE", "list_pages"]

_RESTARTS: Final = 3
_METADATA_KEY: Final = b'"metadata":'
_ITEMS_KEY: Final = b'"items":'


def list_pages(client: Client, resource: Resource) -> list[bytes]:
    """Reads a whole list; empty if the resource is optional and not served.

    A list whose continue token expires is read again from its start, and the last time in one
    piece, which cannot expire. What was read until then is dropped, for objects of it may be gone.

    Raises:
        ClusterUnreadable: The list cannot be read.
    """
    for restart in range(_RESTARTS + 1):
        page_size = PAGE_SIZE if restart < _RESTARTS else 0
        try:
            return _pages(client, resource, page_size)
        except ListExpired:
            if page_size == 0:
                raise
        except RequestRefused as refusal:
            if refusal.status == 404 and resource.optional:
                return []
            raise
    raise AssertionError("the last restart returns or raises")


def _pages(client: Client, resource: Resource, page_size: int) -> list[bytes]:
    query = {
        "limit": str(page_size) if page_size else "",
        "labelSelector": resource.label_selector,
        "fieldSelector": resource.field_selector,
    }
    pages: list[bytes] = []
    token = ""
    while True:
        asked = {name: value for name, value in {**query, "continue": token}.items() if value}
        page = client.list(resource.name, resource.path, asked)
        next_token = _continue_token(resource, page)
        if next_token and next_token == token:
            raise ClusterUnreadable(f"cannot list {resource.name}: the same page came twice")
        pages.append(page)
        token = next_token
        if not token:
            return pages


def _continue_token(resource: Resource, page: bytes) -> str:
    """The token of the next page; empty on the last.

    The API server writes a list's metadata before its items, so that the items, which are for the
    core alone, need not be decoded here. Where another server writes it elsewhere, they are.
    """
    try:
        start = page.find(_METADATA_KEY)
        if 0 <= start < page.find(_ITEMS_KEY):
            window = page[start + len(_METADATA_KEY) : page.find(_ITEMS_KEY)].decode().lstrip()
            metadata, _ = json.JSONDecoder().raw_decode(window)
        else:
            document = json.loads(page)
            metadata, _ = document["metadata"], document["items"]
        return _token(metadata)
    except (ValueError, LookupError, TypeError) as failure:
        raise ClusterUnreadable(
            f"cannot list {resource.name}: the API server's answer is no list: {failure}",
            "check that the address is that of a Kubernetes API server",
        ) from failure


def _token(metadata: Any) -> str:
    token = metadata.get("continue", "") if isinstance(metadata, dict) else None
    if not isinstance(token, str):
        raise ValueError("`metadata` has no `continue` that is a string")
    return token
