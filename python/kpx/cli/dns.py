"""`kpx dns`: the names of Services."""

import ipaddress
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from kpx import report
from kpx._core import DnsServer, DnsStore, Rejection
from kpx.agent.http import parse_address
from kpx.cli.options import (
    ContextOption,
    DataOutput,
    FilenameOption,
    KubeconfigOption,
    expanded,
)
from kpx.dns import ZoneFile, zone_text
from kpx.dns.follow import Changes
from kpx.dns.manifest_watch import ManifestWatcher
from kpx.dns.upstream import upstream_servers
from kpx.dns.watch import Omissions, Watcher
from kpx.errors import ConfigurationInvalid
from kpx.logs import LogFormat, printable, start_log
from kpx.sources import Loaded, Manifests, Rejected

__all__ = ["app"]

CLUSTER_SECONDS: Final = 60.0
"""How long a cluster may take to be read."""

WatchOption = Annotated[
    bool, typer.Option("--watch", help="Go on until interrupted, and follow what changes.")
]

app = typer.Typer(
    name="dns",
    help="Answer for the names of Services, or write them for another name server.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@dataclass(frozen=True)
class NameOptions:
    """What to read, and which names to make of it."""

    filename: FilenameOption = None
    kubeconfig: KubeconfigOption = None
    context: ContextOption = None
    zone: Annotated[str, typer.Option(metavar="NAME", help="The zone of the cluster.")] = (
        "cluster.local"
    )
    reverse_zone: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR|NAME",
            help="Be authoritative for reverse names: a range on an octet or a nibble, or a name.",
        ),
    ] = None
    ttl: Annotated[int, typer.Option(min=0, max=3600, help="How long records are kept, in s.")] = 5
    address: Annotated[
        list[str] | None,
        typer.Option(metavar="IP", help="The name server's own address, for ns.dns.ZONE."),
    ] = None

    def store(self, default_addresses: Sequence[str] = ()) -> DnsStore:
        """Names that nothing is known of yet.

        Raises:
            ConfigurationInvalid: The options do not make sense.
        """
        config = {
            "zone": self.zone,
            "reverse_zones": [_reverse_zone(text) for text in self.reverse_zone or ()],
            "ttl": self.ttl,
            "addresses": self.address or list(default_addresses),
        }
        return DnsStore(json.dumps(config))

    @contextmanager
    def opened(self, changes: Changes | None = None) -> Iterator[tuple[DnsStore, Loaded]]:
        """The names of everything there is; with `changes`, they follow what they come from.

        Raises:
            ConfigurationInvalid: The options do not make sense.
            ManifestUnreadable: A manifest cannot be read.
            ClusterUnreadable: The cluster cannot be read.
        """
        store = self.store()
        note = changes.note if changes else None
        if not self.filename:
            with Watcher.of(store, self.kubeconfig, self.context, note) as watcher:
                watcher.wait(CLUSTER_SECONDS)
                yield store, Loaded()
            return
        loaded = self.load(store)
        if changes is None:
            yield store, loaded
            return
        with ManifestWatcher(store, self.store, self.filename, changes.note):
            yield store, loaded

    def load(self, store: DnsStore) -> Loaded:
        """Feeds the manifests."""
        loaded = Manifests(self.filename or ()).load(store)
        store.complete()
        return loaded


@app.command()
@expanded
def serve(
    options: NameOptions,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS:PORT", help="Where to listen, UDP and TCP.")
    ] = "127.0.0.1:5353",
    threads: Annotated[
        int, typer.Option(min=1, help="How many threads answer over UDP. Default: one a CPU.")
    ] = os.cpu_count() or 1,
    allow_transfer: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="Let these peers transfer zones. Repeatable."),
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IP[:PORT]|FILE",
            help="Ask these servers for names in none of the zones, or those of a resolv.conf."
            " Repeatable. Default: such names are refused.",
        ),
    ] = None,
    log_queries: Annotated[
        bool, typer.Option("--log-queries", help="Write a line to stderr for every answer.")
    ] = False,
    lame_duck: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Answer for so long after SIGTERM, no longer ready, until clients go elsewhere.",
        ),
    ] = 0,
    http: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS:PORT", help="Where to serve /healthz, /readyz and /metrics, or `none`."
        ),
    ] = "127.0.0.1:9153",
) -> int:
    """Answer for the names of Services until interrupted; manifests are followed too.

    A line of --log-queries is in the format of CoreDNS: the client, the ID, the question with its
    size; the outcome, the flags, the size of the answer, and the time it took.
    """
    host, port = _address("--listen", listen)
    servers = upstream_servers(upstream or ())
    if any(_is_same_server(server, host, port) for server in servers):
        raise ConfigurationInvalid(
            f"`--upstream`: `{listen}` is where this server listens itself",
            "name the servers that it is to ask",
        )
    http_address = _address("--http", http) if http != "none" else None
    # The signals are waited for, not handled: this thread has nothing else to do.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    start_log(LogFormat.TEXT)
    own = [] if ipaddress.ip_address(host).is_unspecified else [host]
    store = options.store(own)
    code = 0
    watcher: Watcher | None = None
    leaving = threading.Event()
    with ExitStack() as stack:
        if options.filename:
            code = _finish(store, options.load(store))
        server = DnsServer(store, listen, threads, allow_transfer or [], servers, log_queries)
        stack.callback(server.stop)
        if options.filename:
            follower = ManifestWatcher(store, lambda: options.store(own), options.filename)
            stack.enter_context(follower)
        else:
            tell = Omissions(store).tell
            watcher = Watcher.of(store, options.kubeconfig, options.context, tell)
            stack.enter_context(watcher)
        if http_address:
            from kpx.dns.http import http_server

            def is_ready() -> bool:
                return not leaving.is_set() and (watcher is None or watcher.is_complete)

            pages = http_server(http_address, store, server, is_ready)
            stack.enter_context(pages)
        report.notice(f"answering for `{options.zone}` on {server.address()}")
        sys.stderr.flush()
        if signal.sigwait(signals) == signal.SIGTERM and lame_duck:
            leaving.set()
            signal.sigtimedwait(signals, lame_duck)
    return code


@app.command()
@expanded
def query(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A whole name.")],
    options: NameOptions,
    record_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="A record type, such as SRV.")
    ] = "A",
    output: Annotated[
        DataOutput, typer.Option("--output", "-o", help="How to write the answer to stdout.")
    ] = DataOutput.TEXT,
) -> int:
    """Show what would be answered, and from which Services and endpoints."""
    with options.opened() as (store, loaded):
        answer: dict[str, Any] = json.loads(store.query(name, record_type))
    if output is DataOutput.JSON:
        typer.echo(json.dumps(answer, indent=2))
        return _finish(store, loaded)
    typer.echo(answer["rcode"])
    for section in ("answer", "authority", "additional"):
        for record in answer[section]:
            origin = f"  ; endpoint {record['endpoint']}" if record["endpoint"] else ""
            typer.echo(
                printable(
                    f"{section:<11}{record['name']} {record['ttl']} {record['type']}"
                    f" {record['data']}{origin}"
                )
            )
    if answer["outside"]:
        typer.echo(printable(f"{'upstream':<11}{answer['outside']} {record_type}"))
    for service in answer["services"]:
        typer.echo(printable(f"{'service':<11}{service}"))
    return _finish(store, loaded)


@app.command()
@expanded
def zone(
    options: NameOptions,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Replace this file. Default: stdout."),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option("--of", metavar="NAME", help="The zone to write. Default: the cluster's."),
    ] = None,
    watch: WatchOption = False,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND...]",
            help="Run after the file has changed, without a shell: what tells the name server.",
        ),
    ] = None,
) -> int:
    """Write a zone file, whole or not at all; its serial only grows.

    For BIND: kpx dns zone --address 10.0.0.53 -o FILE --watch -- rndc reload cluster.local
    """
    if not options.address:
        raise ConfigurationInvalid(
            "a zone needs the address of its name server",
            "`--address IP` says where the name server is that will serve the file",
        )
    if output is None and (watch or command):
        raise ConfigurationInvalid("`--watch` and a command need a file", "`-o FILE` names it")
    changes = _followed(watch)
    with options.opened(changes) as (store, loaded):
        code = _finish(store, loaded)
        if output is None:
            sys.stdout.write(zone_text(store.records(of or options.zone)))
            return code
        target = ZoneFile(output, command or ())
        changed = target.update(store.records(of or options.zone))
        report.notice(f"{'wrote' if changed else 'nothing to change in'} `{output}`")
        if changes:
            changes.follow(lambda: target.update(store.records(of or options.zone)))
    return code


@app.command()
@expanded
def publish(
    options: NameOptions,
    server: Annotated[
        str, typer.Option(metavar="HOST[:PORT]", help="The primary name server to update.")
    ],
    tsig_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Sign with this key, as `tsig-keygen` writes it."),
    ] = None,
    owner: Annotated[
        str, typer.Option(metavar="ID", help="Mark names with this; change only names so marked.")
    ] = "kpx",
    watch: WatchOption = False,
) -> int:
    """Bring the zones of another name server up to date with RFC 2136 updates.

    Only what differs is written. A name bears its owner in a TXT record at `_kpx.NAME`; names of
    others are left alone and named on stderr. The server must allow transfers and updates.
    """
    import dns.name

    from kpx.dns.publish import READ_AGAIN_SECONDS, Publisher, Target, read_key, resolve

    host, port = resolve(server)
    key = read_key(tsig_key_file) if tsig_key_file else None
    zones = (options.zone, *map(_reverse_zone, options.reverse_zone or ()))
    publishers = {
        zone: Publisher(Target(host, port, dns.name.from_text(zone), key, owner)) for zone in zones
    }
    told: set[str] = set()
    changes = _followed(watch)
    with options.opened(changes) as (store, loaded):
        code = _finish(store, loaded)

        def send(*, is_first: bool = False) -> None:
            for zone, publisher in publishers.items():
                done = publisher.publish(store.records(zone))
                if is_first or done.total:
                    counts = (
                        f"{done.added} names added, {done.changed} changed, {done.removed} removed"
                    )
                    typer.echo(f"{zone}: {counts}")
                for name in set(done.foreign) - told:
                    report.notice(f"`{name}` belongs to somebody else and stays as it is")
                told.update(done.foreign)

        send(is_first=True)
        if changes:
            changes.follow(send, recheck=READ_AGAIN_SECONDS)
    return code or (3 if told else 0)


def _address(flag: str, text: str) -> tuple[str, int]:
    try:
        host, port = parse_address(text)
        ipaddress.ip_address(host)
    except ValueError as failure:
        raise ConfigurationInvalid(f"`{flag}`: {failure}") from failure
    return host, port


def _followed(watch: bool) -> Changes | None:
    if not watch:
        return None
    start_log(LogFormat.TEXT)
    return Changes()


def _is_same_server(server: str, host: str, port: int) -> bool:
    upstream_host, upstream_port = parse_address(server)
    asked, own = ipaddress.ip_address(upstream_host), ipaddress.ip_address(host)
    return upstream_port == port and (asked == own or (own.is_unspecified and asked.is_loopback))


def _reverse_zone(text: str) -> str:
    """The zone of a range; a name stays as it is."""
    if "/" not in text:
        return text
    try:
        network = ipaddress.ip_network(text)
    except ValueError as failure:
        raise ConfigurationInvalid(f"`--reverse-zone`: {failure}") from failure
    bits = 8 if network.version == 4 else 4
    labels, rest = divmod(network.prefixlen, bits)
    if rest or not labels:
        raise ConfigurationInvalid(
            f"`--reverse-zone`: the length of `{text}` is not a multiple of {bits}",
            "name the ranges that it is made of",
        )
    return ".".join(network.network_address.reverse_pointer.split(".")[-labels - 2 :])


def _finish(store: DnsStore, loaded: Loaded) -> int:
    rejected: list[Rejection | Rejected] = [*store.rejections(), *loaded.rejected]
    report.rejections(rejected)
    return 3 if rejected else 0
