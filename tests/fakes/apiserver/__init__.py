"""A small API server on loopback that behaves like the real one, and misbehaves when told to.

It keeps objects with resource versions and a bounded history, and serves lists (in pages, with
continue tokens), watches (bookmarks, streamed lists, chunk by chunk) and writes (optimistic
concurrency, generations). For a test in the same process:

    with ApiServer() as server:
        server.preload(SERVICES, [service("web")])     # many objects at once, without events
        server.put(SERVICES, service("web", ...))      # ADDED or MODIFIED, to every watch
        server.remove(SERVICES, "default", "web")      # DELETED
        server.compact(SERVICES)                       # all versions up to now are gone: 410
        server.refusals[SERVICES].append(Refusal(503, verb="watch"))   # the next watch only
        server.inject(SERVICES, Fault("cut in line"))  # to the watches that are open
        server.hold(SERVICES)                          # watches are late, until server.release

Faults of an open watch are `end` (as a timeout does), `cut` (no last chunk), `cut in line` and
`cut in chunk` (half an event, before), `silence` (no bytes and no end), `error` (an ERROR with a
`code`), `raw` (any `text`) and `replay` (the events of the last `code` versions once more).
`Refusal(hang=True)` accepts a request and never answers. `leave()` refuses connections until
`come_back()`, and `store.restore(...)` goes back in time as from a backup.

As a process of its own, `python -m fakes.apiserver`, for other network namespaces: the first line
of stdin is a JSON object with `objects` and `refusals` by path and, optionally, `host`, `port` and
`streaming_lists`; the URL comes back as a line. Each further line is a command, a JSON list such as
`["put", PATH, OBJECT]`, `["remove", PATH, NAMESPACE, NAME]`, `["compact", PATH]`,
`["inject", PATH, {"what": "cut"}]`, `["refuse", PATH, {"status": 503}]`, `["emit", PATH, OBJECT,
RATE, COUNT]` (stamped changes, for measuring) or `["get", PATH]`, and is answered by a line of JSON
once it is done. It ends with stdin. `api_server_process` runs such a process and speaks to it.
"""

from fakes.apiserver.process import ApiServerProcess, api_server_process
from fakes.apiserver.server import (
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    SERVICE_CIDRS,
    SERVICES,
    ApiServer,
    Refusal,
    Request,
    write_kubeconfig,
)
from fakes.apiserver.watch import Fault

__all__ = [
    "ENDPOINTS",
    "ENDPOINT_SLICES",
    "EVENTS",
    "LEASES",
    "NAMESPACES",
    "NODES",
    "PODS",
    "SERVICES",
    "SERVICE_CIDRS",
    "ApiServer",
    "ApiServerProcess",
    "Fault",
    "Refusal",
    "Request",
    "api_server_process",
    "write_kubeconfig",
]
