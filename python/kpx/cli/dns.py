"""`kpx dns`: the names of Services."""

import ipaddress
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kpx import report
from kpx._core import DnsServer, DnsStore, Rejection
from kpx.cli.options import DataOutput, expanded
from kpx.dns import write_zone_file, zone_text
from kpx.errors import ConfigurationInvalid
from kpx.logs import printable
from kpx.sources import Loaded, Manifests, Rejected

__all__ = ["app"]

app = typer.Typer(
    name="dns",
    help="Answer for the names of Services, or write them for another name server.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@dataclass(frozen=True)
class NameOptions:
    """What to read, and which names to make of it."""

    filename: Annotated[
        list[str],
        typer.Option(
            "--filename",
            "-f",
            metavar="PATH",
            help="Read a manifest: a file, a directory, or - for stdin. Repeatable.",
        ),
    ]
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

    def store(self) -> tuple[DnsStore, Loaded]:
        """The names of everything that is read.

        Raises:
            ConfigurationInvalid: The options do not make sense.
            ManifestUnreadable: A manifest cannot be read.
        """
        config = {
            "zone": self.zone,
            "reverse_zones": [_reverse_zone(text) for text in self.reverse_zone or ()],
            "ttl": self.ttl,
            "addresses": self.address or [],
        }
        store = DnsStore(json.dumps(config))
        loaded = Manifests(self.filename).load(store)
        store.complete()
        return store, loaded


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
) -> int:
    """Answer for the names of Services until interrupted."""
    store, loaded = options.store()
    code = _finish(store, loaded)
    # The signals are waited for, not handled: this thread has nothing else to do.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = DnsServer(store, listen, threads)
    report.notice(f"answering for `{options.zone}` on {server.address()}")
    sys.stderr.flush()
    signal.sigwait(signals)
    server.stop()
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
    store, loaded = options.store()
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
) -> int:
    """Write a zone file, whole or not at all; its serial only grows."""
    store, loaded = options.store()
    text = zone_text(store.records(of or options.zone))
    if output is None:
        sys.stdout.write(text)
    else:
        changed = write_zone_file(output, text)
        report.notice(f"{'wrote' if changed else 'nothing to change in'} `{output}`")
    return _finish(store, loaded)


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
