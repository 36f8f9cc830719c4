"""The native core: typed surface of the extension module `kpx._core`.

Private: import the names from `kpx`. Every method releases the GIL while it works.
"""

from typing import final

from typing_extensions import Self

__all__ = [
    "DnsServer",
    "DnsStore",
    "EventReport",
    "FeedReport",
    "HealthCheck",
    "ListPages",
    "Plan",
    "Pod",
    "PodOutcome",
    "PodStore",
    "Proxier",
    "Rejection",
    "StaleFlows",
    "SyncFailure",
    "SyncReport",
    "Tally",
    "TrafficMeter",
    "__version__",
    "chain_names",
    "claim_kube_proxy_ipvs",
    "cleanup",
    "probe_ipvs",
    "remove_kube_proxy_rules",
    "set_ipvs_timeouts",
    "table_names",
]

__version__: str
"""The version of the Rust core, equal to the version of the package."""

@final
class FeedReport:
    """What one frame held."""

    @property
    def accepted(self) -> dict[str, int]:
        """How many objects of each kind the core took in, such as `{"Service": 2}`."""

    @property
    def ignored(self) -> dict[str, int]:
        """How many objects of each kind the core has no use for (`Pod` among them)."""

    @property
    def rejected(self) -> dict[str, int]:
        """How many objects of each kind were left out as a whole, being invalid."""

    @property
    def resource_version(self) -> str | None:
        """The resource version of a list, from which a watch continues."""

    @property
    def continue_token(self) -> str | None:
        """The token with which the next page of a list is asked for; `None` on the last."""

@final
class EventReport:
    """What one line of a watch said."""

    @property
    def event(self) -> str:
        """`ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`."""

    @property
    def kind(self) -> str:
        """The kind of the object, such as `EndpointSlice`; `Status` for an error."""

    @property
    def resource_version(self) -> str | None:
        """The object's resource version, from which a watch can be resumed."""

    @property
    def rejected(self) -> bool:
        """Whether the object was left out as a whole, being invalid."""

    @property
    def initial_events_end(self) -> bool:
        """Whether this is the bookmark behind the initial events of a streaming list (KEP-3157)."""

    @property
    def code(self) -> int | None:
        """Of an `ERROR`, its HTTP status, 0 if it has none; 410 asks for a new list."""

    @property
    def reason(self) -> str | None:
        """Of an `ERROR`, its reason, such as `Expired`."""

    @property
    def message(self) -> str | None:
        """Of an `ERROR`, what a person is told."""

@final
class Rejection:
    """An object, or a part of one, that was left out because it is not valid."""

    @property
    def kind(self) -> str:
        """The kind of the object, such as `Service`."""

    @property
    def name(self) -> str:
        """`namespace/name`, or `name` for an object without a namespace."""

    @property
    def reason(self) -> str:
        """What is wrong, naming the field and the value."""

    @property
    def whole(self) -> bool:
        """Whether the object was left out as a whole, not only a part of it."""

@final
class ListPages:
    """Cuts a list into pages while its bytes come, so that it never is in memory as a whole.

    A page is a list of its own, to be fed like any other: what the list says of itself before its
    items, and some of the items. What is no list makes one page. Nothing is checked.
    """

    def __init__(self) -> None:
        """Starts at the beginning of a list."""

    def add(self, chunk: bytes) -> bytes | None:
        """Takes bytes in; gives a page once enough items are complete."""

    def finish(self) -> bytes:
        """The last page, once all bytes have come. It has what the list says behind its items."""

@final
class Plan:
    """What would change in the kernel. Empty, and so false, when the kernel is as desired."""

    def __len__(self) -> int:
        """The number of changes: frontends, shared elements, chains and sets together."""

    def __str__(self) -> str:
        """A diff a person can read: `+ ~ -` lines grouped by Service, and a closing count."""

    @property
    def added(self) -> int:
        """The number of things to add."""

    @property
    def changed(self) -> int:
        """The number of things to change in place."""

    @property
    def removed(self) -> int:
        """The number of things to remove."""

    def to_json(self) -> str:
        """The plan as a JSON object: `changes` (a list) and `summary` (counts)."""

    def to_batch(self) -> bytes:
        """The transaction, without the pruning, as the netlink bytes that a commit sends."""

    def to_nft(self) -> str:
        """The transaction as `nft` commands, one a line, which `nft -f` accepts."""

@final
class SyncReport:
    """What a committed plan did."""

    @property
    def services(self) -> int:
        """How many Services are programmed now."""

    @property
    def endpoints(self) -> int:
        """How many distinct endpoints (address and port per Service port) are programmed now."""

    @property
    def added(self) -> int:
        """How many things were added."""

    @property
    def changed(self) -> int:
        """How many things were changed in place."""

    @property
    def removed(self) -> int:
        """How many things were removed."""

    @property
    def operations(self) -> int:
        """How many kernel objects the transaction wrote or deleted; 0 when nothing changed."""

    @property
    def repairs(self) -> int:
        """How many of the changes made up for what somebody else did to the tables of kpx."""

    @property
    def prune_pending(self) -> bool:
        """Whether unused chains are still there, because the kernel had not let go of them.

        The next `sync` deletes them; `has_changes` does not tell of them.
        """

    @property
    def failures(self) -> list[SyncFailure]:
        """The Services that are not programmed as they should be; empty after `apply`."""

    @property
    def trigger_times(self) -> list[float]:
        """When the changes of endpoints happened that `sync` programmed, each once.

        Seconds since the epoch, from `endpoints.kubernetes.io/last-change-trigger-time`; only
        with the configuration's `started_at`, and only what is not older.
        """

@final
class SyncFailure:
    """A Service whose last change the kernel refused; it stays as it was programmed before."""

    @property
    def kind(self) -> str:
        """The kind of the object: `Service`."""

    @property
    def name(self) -> str:
        """`namespace/name`."""

    @property
    def reason(self) -> str:
        """What the kernel said."""

@final
class HealthCheck:
    """What a load balancer asks this node about one Service (`spec.healthCheckNodePort`)."""

    @property
    def namespace(self) -> str:
        """The Service's namespace."""

    @property
    def name(self) -> str:
        """The Service's name."""

    @property
    def port(self) -> int:
        """The port the load balancer asks on."""

    @property
    def local_endpoints(self) -> int:
        """How many distinct addresses of ready endpoints are on this node."""

@final
class StaleFlows:
    """UDP frontends to check tracked flows against, each with the endpoints that still answer.

    A flow to one of them whose answers come from none of its endpoints keeps a client at an
    endpoint that is gone for as long as it sends. No other flow is concerned.
    """

    def __len__(self) -> int:
        """How many frontends there are."""

    def merged(self, later: StaleFlows) -> StaleFlows:
        """The frontends of both; where both have one, as the later has it."""

    def flush(self) -> int:
        """Deletes the stale flows of this network namespace, and returns how many those were.

        Lists the flows of each family concerned, without holding any lock; without frontends it
        does nothing. Raises `kpx.errors.FlushFailed`.
        """

@final
class Tally:
    """What changed, what waits and what is not served on this node, in numbers."""

    @property
    def pending_services(self) -> int:
        """How many Services changed and are not planned yet."""

    @property
    def pending_slices(self) -> dict[str, int]:
        """How many EndpointSlices changed and are not planned yet, by `IPv4` and `IPv6`."""

    @property
    def service_changes(self) -> int:
        """How many changes of Services there were so far."""

    @property
    def slice_changes(self) -> dict[str, int]:
        """How many changes of EndpointSlices there were so far, by `IPv4` and `IPv6`."""

    @property
    def no_local_endpoints(self) -> dict[tuple[str, str], int]:
        """How many ports of Services drop connections because a policy is `Local`.

        There are endpoints, but none on this node. By family, `IPv4` or `IPv6`, and policy,
        `internal` or `external`.
        """

@final
class TrafficMeter:
    """Reads how many connections Services and endpoints got, from elements with counters."""

    def __new__(cls) -> Self:
        """Connects to nothing yet."""

    def read(self) -> str:
        """Reads the counters, and tells what they counted since the last reading, as JSON.

        `counting` and `silent`: how many elements count, and how many could but do not;
        `services`: by `namespace/name`, `connections`, `refused` (packets that found no endpoint)
        and `endpoints` (connections by `address:port`). All counts are 0 in the first reading.
        What an element counted that is replaced between two readings is lost in part. Raises
        `kpx.errors.ObserveFailed`.
        """

@final
class Proxier:
    """Keeps the desired state of one node, and makes the kernel equal to it."""

    def __new__(cls, config: str) -> Self:
        """Makes a proxier that knows of no Service yet. Touches nothing.

        `config` is a JSON object; unknown keys are refused. Keys, all optional but the first:
        `node_name` (string); `cluster_cidrs` (list of CIDR strings);
        `detect_local_mode` (`ClusterCIDR`, `NodeCIDR`, `BridgeInterface` or
        `InterfaceNamePrefix`); `detect_local_interface` (string, for the last two modes);
        `nodeport_addresses` (list of CIDR strings, or `["primary"]`);
        `masquerade_all` (bool); `masquerade_bit` (0 to 31); `counters` (bool: elements count
        connections); `started_at` (seconds since the
        epoch: `SyncReport.trigger_times` are collected, and older ones are left out).

        Raises `kpx.errors.ConfigurationInvalid`.
        """

    def reconfigure(self, config: str) -> None:
        """Takes another configuration, for the same node; `sync` carries it out.

        Raises `kpx.errors.ConfigurationInvalid`; the one in use stays.
        """

    def feed(self, frame: bytes) -> FeedReport:
        """Takes in one JSON document: an object, a `List`, or a page such as a `ServiceList`.

        Invalid objects are kept out and show in `rejections`; the rest of the frame counts.
        Raises `kpx.errors.DecodeFailed` where the frame is no JSON object at all; the state is
        then as before.
        """

    def feed_event(self, line: bytes) -> EventReport:
        """Takes in one line of a watch: `{"type": ..., "object": {...}}`.

        Raises `kpx.errors.DecodeFailed` where the line is no watch event; the state is then as
        before.
        """

    def begin_replace(self, kind: str) -> None:
        """Begins a new list of a kind, such as `Service`, which `end_replace` ends.

        What is known stays until then. Raises `ValueError` for a kind that a node does not read.
        """

    def end_replace(self, kind: str) -> None:
        """Ends a new list of a kind: objects that did not come since it began are gone.

        Does nothing if none was begun. Raises `ValueError` for a kind that a node does not read.
        """

    def services_without_slices(self) -> list[str]:
        """`namespace/name` of the Services that have a selector but no EndpointSlice."""

    def rejections(self) -> list[Rejection]:
        """Every object, or part of one, that is left out, conflicts between Services included."""

    def plan(self) -> Plan:
        """Reads the kernel and compares. Raises `kpx.errors.ObserveFailed`."""

    def plan_changes(self) -> Plan:
        """Plans what changed since the last commit, without reading the kernel if it need not.

        Chains that nothing uses any more stay until `plan` compares all. Raises
        `kpx.errors.ObserveFailed`.
        """

    def apply(self, plan: Plan) -> SyncReport:
        """Commits a plan as one transaction. Raises `kpx.errors.CommitFailed`: nothing changed."""

    def sync(self, *, full: bool = False) -> SyncReport:
        """Plans and commits in one call; with `full`, reads the kernel and compares all.

        A Service that the kernel refuses stays as it was programmed and is in
        `SyncReport.failures` until it changes or `retry` is called; all else is programmed.
        Somebody else's writes meanwhile are taken into account. Raises `kpx.errors.ObserveFailed`
        or `kpx.errors.CommitFailed` where nothing could be done.
        """

    def take_stale_flows(self) -> StaleFlows:
        """The UDP frontends that commits changed since this was last called, for `flush`.

        Those of Services that the kernel refused wait until they are programmed.
        """

    def has_changes(self) -> bool:
        """Whether there is anything to `sync`. Costs no plan."""

    def retry(self) -> int:
        """Lets the next `sync` try all failed Services again; returns how many there are."""

    def drifted(self) -> bool:
        """Whether anybody else has changed any nftables table since the last read or commit.

        Costs one message to the kernel. `sync(full=True)` then repairs by difference. Raises
        `kpx.errors.ObserveFailed`.
        """

    def draining(self) -> int:
        """How many endpoints of virtual servers wait for their connections to end."""

    def drain(self, now: float) -> int:
        """Looks at these; the next plan deletes those that are idle, or have had their time.

        `now` is in seconds, by a clock that only goes forward. Returns how many go. Costs nothing
        if none waits. Raises `kpx.errors.ObserveFailed`.
        """

    def health_checks(self) -> list[HealthCheck]:
        """The Services with a `healthCheckNodePort`, by namespace and name."""

    def tally(self) -> Tally:
        """What changed, what waits and what is not served here, in numbers."""

    def status(self) -> str:
        """Reads the kernel and tells what it holds in numbers, as a JSON object.

        Needs no Service to be known. Keys: `generation`, `services`, `frontends`, `endpoints`,
        `tables` (by family: `chains`, `rules`, `elements` by set), `strays` (elements kpx never
        writes), `inconsistent` (frontends that do not hold together) and `failures`. Raises
        `kpx.errors.ObserveFailed`.
        """

    def explain(self, target: str, source: str | None = None) -> str:
        """Says why packets to a target go where they go, as a JSON object.

        `target` is `VIP:port[/protocol]`, `[v6]:port[/protocol]`, `node:port[/protocol]` or
        `[namespace/]service[:port[/protocol]]`; `source` is an IP address, or `None` for every
        class of sources that the rules tell apart. The object has the keys `node`; `ports`, a
        list of the Service ports the target stands for, one for each IP family; `unserved`, what
        happens where there are none; and `kernel`, where the kernel differs from what is desired.
        A kernel that cannot be read is no error. Raises `kpx.errors.ExplainFailed`.
        """

    def dump(self) -> str:
        """The tables of kpx as the kernel holds them, as `nft` text."""

@final
class Pod:
    """A Pod, as far as EndpointSlices are made from it. Two are equal if all of that is."""

    @property
    def namespace(self) -> str:
        """The namespace."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def uid(self) -> str:
        """The UID; empty in a manifest."""

    @property
    def labels(self) -> dict[str, str]:
        """The labels."""

    @property
    def has_addresses(self) -> bool:
        """Whether it has an address of any family."""

    @property
    def is_terminal(self) -> bool:
        """Whether its phase is `Succeeded` or `Failed`."""

    @property
    def is_ready(self) -> bool:
        """Whether the condition `Ready` is `True`."""

    @property
    def is_deleted(self) -> bool:
        """Whether a deletion timestamp is set."""

    @property
    def node_name(self) -> str:
        """The Node it runs on; empty before it is scheduled."""

    @property
    def hostname(self) -> str:
        """`spec.hostname`."""

    @property
    def subdomain(self) -> str:
        """`spec.subdomain`."""

    @property
    def ready_since(self) -> str:
        """When the condition `Ready` last changed, RFC 3339; empty if it is not known."""

    def addresses(self, family: str) -> list[str]:
        """Its addresses of the family `IPv4` or `IPv6`, in canonical form.

        Leading zeros of IPv4 are read as decimal, as Go's `ParseIPSloppy` does.
        """

    def port(self, name: str, protocol: str) -> int | None:
        """The number of the first port of that name and protocol (`FindPort` upstream).

        Ports of containers come before those of sidecars (init containers that always restart).
        """

    def __eq__(self, other: object, /) -> bool: ...

@final
class PodOutcome:
    """What became of Pods that a `PodStore` took in."""

    @property
    def changes(self) -> list[tuple[Pod | None, Pod | None]]:
        """What Pods were, and what they are, in order; `None` where they were or are not."""

    @property
    def rejections(self) -> list[tuple[str, str]]:
        """The Pods that are left out: `namespace/name`, and the field and what is wrong with it."""

@final
class PodStore:
    """The Pods there are, as small records made from bytes, found by label and by Node."""

    def __new__(cls) -> Self:
        """Makes a store that knows nothing yet."""

    def __len__(self) -> int:
        """How many Pods there are."""

    def begin_replace(self) -> None:
        """Begins a new list; what is known stays until it ends."""

    def end_replace(self) -> list[tuple[Pod | None, Pod | None]]:
        """Ends a new list: what did not come since is gone, and is returned as changes."""

    def feed(self, frame: bytes) -> tuple[FeedReport, PodOutcome]:
        """Takes in the Pods of a page of a list or of a manifest; what else is in it is ignored.

        A Pod that is not valid is left out and named; its last good version stays. Raises
        `kpx.errors.DecodeFailed` where the frame is no JSON object; nothing is then taken in.
        """

    def feed_event(self, line: bytes) -> tuple[EventReport, PodOutcome]:
        """Takes in one line of a watch of Pods; raises as `feed` does."""

    def select(self, namespace: str, selector: dict[str, str] | None) -> list[Pod]:
        """The Pods of a namespace that have all labels of a selector, in the order they came.

        No selector matches nothing, an empty one everything.
        """

    def on_node(self, name: str) -> list[Pod]:
        """The Pods on a Node."""

@final
class DnsStore:
    """What the cluster says, and the DNS names it makes. A change counts when the call returns."""

    def __new__(cls, config: str) -> Self:
        """Makes a store that knows nothing yet.

        `config` is a JSON object: `zone` (string), `ttl` (seconds), `reverse_zones` (list of
        strings), `addresses` (the name server's own, a list of strings). Raises
        `kpx.errors.ConfigurationInvalid`.
        """

    def feed(self, frame: bytes) -> FeedReport:
        """Takes in one JSON document, as `Proxier.feed` does."""

    def feed_event(self, line: bytes) -> EventReport:
        """Takes in one line of a watch, as `Proxier.feed_event` does."""

    def begin_replace(self, kind: str) -> None:
        """Begins a new list of a kind; what is known stays until it ends."""

    def end_replace(self, kind: str) -> None:
        """Ends a new list of a kind: what did not come since is gone."""

    def complete(self) -> None:
        """Says that everything came. Until then, what is not known is answered with SERVFAIL."""

    def services_without_slices(self) -> list[str]:
        """`namespace/name` of the Services that have a selector but no EndpointSlice."""

    def rejections(self) -> list[Rejection]:
        """Every object, or part of one, that is left out."""

    def programming(self) -> list[tuple[str, list[tuple[float, int]], float]]:
        """How long changes of endpoints took to be answered with, by the kind of Service.

        Each as the kind, the bound and count of every bucket, and the sum, in seconds.
        """

    def query(self, name: str, record_type: str) -> str:
        """What a question would be answered with, as a JSON object.

        Keys: `rcode`; `answer`, `authority` and `additional`, lists of records with `name`, `ttl`,
        `type`, `data` and `endpoint` (an address, or null); `services`, a list of
        `namespace/name`; `outside`, where the last alias leads if that is in none of the zones, or
        null. Raises `kpx.errors.QuestionInvalid`.
        """

    def records(self, zone: str) -> list[tuple[str, int, str, list[str]]]:
        """Every record set of a zone as `(name, ttl, type, data)`, the SOA record first.

        Raises `kpx.errors.QuestionInvalid`.
        """

@final
class DnsServer:
    """Answers questions over UDP and TCP from a store, on threads of its own."""

    def __new__(
        cls,
        store: DnsStore,
        address: str,
        threads: int,
        transfer_to: list[str],
        upstream: list[str] = ...,
        log_queries: bool = False,
    ) -> Self:
        """Listens on `address:port`; on port 0, on a free one.

        Peers in the ranges of `transfer_to` may have whole zones. The servers `upstream`
        (`address:port`) are asked for names in none of the zones; without any, such names are
        refused. `log_queries` writes a line to stderr for every answer. Raises
        `kpx.errors.ListenFailed`, and `kpx.errors.QuestionInvalid` where an address or a range is
        none.
        """

    def address(self) -> str | None:
        """Where it listens, as `address:port`; `None` if it is stopped."""

    def answers(self) -> list[tuple[str, int]]:
        """How many answers there were of each outcome, such as `("NXDOMAIN", 3)`."""

    def dropped(self) -> int:
        """How many messages were not answered, because there was nothing to answer to."""

    def forwarded(self) -> tuple[int, int]:
        """How many questions went upstream, and how many of them were not replied to."""

    def stop(self) -> None:
        """Stops answering, and waits for it."""

def cleanup() -> list[str]:
    """Deletes every table, virtual server and device that kpx made and nothing else.

    Returns in words what was deleted, such as "table `ip kpx`". Raises
    `kpx.errors.ObserveFailed` or `kpx.errors.CommitFailed`.
    """

def probe_ipvs() -> int:
    """Looks whether the kernel has IPVS; where it can be loaded, it is.

    Returns the number of virtual servers, whoever made them. Raises `kpx.errors.ObserveFailed`.
    """

def set_ipvs_timeouts(tcp: int, tcp_fin: int, udp: int) -> None:
    """Sets for how many seconds IPVS remembers idle connections in this network namespace.

    0 leaves a timeout as it is. Raises `kpx.errors.ObserveFailed` or `kpx.errors.CommitFailed`.
    """

def table_names() -> list[str]:
    """The names of all nftables tables, of whatever family and whoever made them.

    Raises `kpx.errors.ObserveFailed`.
    """

def chain_names() -> list[tuple[str, str]]:
    """All nftables chains, as `(table, chain)`. Raises `kpx.errors.ObserveFailed`."""

def remove_kube_proxy_rules() -> list[str]:
    """Removes kube-proxy's tables, and its chains and what leads there from those of iptables.

    Chains that rules of others lead to stay. Returns what was done, a line each. Raises
    `kpx.errors.ObserveFailed` or `kpx.errors.TakeOverFailed`.
    """

def claim_kube_proxy_ipvs(excluded: list[str]) -> list[str]:
    """Makes the IPVS services that kube-proxy left ours, and deletes its device.

    A `Proxier` that reads the kernel then keeps what is wanted of them, and deletes the rest. Those
    in the CIDRs `excluded` are not kube-proxy's. Does nothing where there is no such device.
    Returns what was done, a line each. Raises `kpx.errors.TakeOverFailed`.
    """
