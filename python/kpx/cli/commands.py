"""The commands."""

from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum
from typing import Annotated

import typer

from kpx import kube_proxy, report
from kpx._core import Proxier, Rejection, __version__
from kpx._core import cleanup as delete_all
from kpx.cli import dns
from kpx.cli.controller import ControllerOptions, ObjectOutput, PolicyOptions
from kpx.cli.controller import run as run_controller
from kpx.cli.controller import write as write_slices
from kpx.cli.options import (
    AgentOptions,
    ConntrackOptions,
    DataOutput,
    FilenameOption,
    NodeOptions,
    OutputOption,
    TakeOverOption,
    expanded,
    parse_listen_address,
)
from kpx.config import Backend, Settings
from kpx.errors import ConfigurationInvalid, FlushFailed, KpxError
from kpx.oneshot import prepare
from kpx.proxy_configuration import ProxyConfiguration
from kpx.publication import publish_once
from kpx.report import Output
from kpx.sources import Loaded, Rejected, Source
from kpx.traffic import Order

__all__ = ["ExitCode", "app", "execute"]


class ExitCode(IntEnum):
    """What the exit code of the process says."""

    DONE = 0
    FAILED = 1
    """Failed, with nothing written by halves. Wrong usage is a failure too."""
    CHANGES = 2
    """There is something to change, rejected objects or not; only `plan --detailed-exitcode`."""
    REJECTED = 3
    """Done, but objects were rejected; each is named on stderr."""


app = typer.Typer(
    name="kpx",
    help="A Kubernetes node service proxy that programs nftables and IPVS straight over netlink.",
    epilog="Exit codes: 0 done; 1 failed, nothing half-written; 3 done, but objects were rejected.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(dns.app)


def execute(arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code; errors of kpx are shown, not raised."""
    command = typer.main.get_command(app)
    try:
        code = command.main(list(arguments) or ["--help"], prog_name="kpx", standalone_mode=False)
        return int(code or 0)
    except KpxError as failure:
        report.error(failure)
    except typer.TyperException as failure:
        report.error(ConfigurationInvalid(failure.format_message(), "see `kpx --help`"))
    return ExitCode.FAILED


def _examples(*lines: str) -> str:
    """Examples under the help of a command; a backspace keeps Typer from joining the lines."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


@app.callback()
def kpx(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    if version:
        typer.echo(f"kpx {__version__}")
        raise typer.Exit


@app.command(
    epilog=_examples(
        "kpx sync -f services.yaml -f endpoints.json",
        "kubectl get svc,endpointslices,nodes -A -o json | kpx sync -f -",
        "kpx sync --kubeconfig ~/.kube/config --cluster-cidr 10.244.0.0/16",
        "kpx sync -f services.yaml --take-over",
        "kpx sync --config /var/lib/kube-proxy/config.conf -o json",
    )
)
@expanded
def sync(
    options: NodeOptions, take_over: TakeOverOption = False, output: OutputOption = Output.TEXT
) -> int:
    """Read Services and endpoints, program this node, print what changed, and exit.

    Without -f, --kubeconfig or --context, the cluster is the one this Pod runs in.
    """
    if take_over:
        kube_proxy.refuse_beside()
    prepared = prepare(*_resolve(options))
    commit = prepared.commit()
    report.sync(prepared, commit, output)
    try:
        prepared.flush()
    except FlushFailed as failure:
        # What was asked for is done.
        report.notice(f"UDP clients may stay with endpoints that are gone: {failure}")
    if take_over:
        lines = kube_proxy.take_over(prepared.settings.ipvs_exclude_cidrs)
        for line in lines:
            report.notice(line)
        if lines:
            # What was in our way is ours now, such as a virtual server of the same address.
            prepared.proxier.sync(full=True)
    return _finish(prepared.proxier, prepared.loaded)


@app.command(
    epilog=_examples(
        "kpx plan -f manifests/",
        "kpx plan -f services.yaml -o nft",
        "kpx plan --kubeconfig ~/.kube/config --detailed-exitcode",
    )
)
@expanded
def plan(
    options: NodeOptions,
    output: OutputOption = Output.TEXT,
    detailed_exitcode: Annotated[
        bool,
        typer.Option("--detailed-exitcode", help="Exit with 2 if there is something to change."),
    ] = False,
) -> int:
    """Show what `kpx sync` would change, and change nothing."""
    prepared = prepare(*_resolve(options))
    report.plan(prepared, output)
    code = _finish(prepared.proxier, prepared.loaded)
    return ExitCode.CHANGES if detailed_exitcode and prepared.plan else code


@app.command(
    epilog=_examples(
        "kpx run --cluster-cidr 10.244.0.0/16",
        "kpx run --kubeconfig ~/.kube/config --config /var/lib/kube-proxy/config.conf",
        "kpx run -f services.yaml --healthz-bind-address 127.0.0.1:10256",
    )
)
@expanded
def run(
    options: NodeOptions,
    agent: AgentOptions,
    conntrack: ConntrackOptions,
    take_over: TakeOverOption = False,
) -> int:
    """Keep this node programmed until stopped: follow changes, and mend what others change.

    Without -f, --kubeconfig or --context, the cluster is the one this Pod runs in. SIGTERM
    leaves the rules in place; SIGHUP reads manifests again. One agent runs per node.
    """
    from kpx.agent import Configuration
    from kpx.agent import run as run_agent

    agent.start_log()
    settings, configuration = _settings(options)
    if "-" in (options.filename or ()):
        raise ConfigurationInvalid(
            "standard input cannot be followed", "pass files or directories with `-f`"
        )
    source = options.source(configuration, settings.node_name)

    def read(configuration: ProxyConfiguration) -> Configuration:
        made = agent.settings(configuration, conntrack, take_over=take_over)
        return options.settings(configuration), made

    run_agent(
        *read(configuration),
        source,
        file=options.config,
        read_file=lambda: read(options.proxy_configuration()),
    )
    return ExitCode.DONE


@app.command(
    epilog=_examples(
        "kpx explain 10.96.0.10:53/udp -f manifests/",
        "kpx explain web:http --from 10.244.1.7 --kubeconfig ~/.kube/config",
        "kpx explain node:30080 --from 198.51.100.7 -f services.yaml -o json",
        "kpx explain '[fd00:96::a]:80' -f services.yaml",
    )
)
@expanded
def explain(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="VIP:port[/protocol], [v6]:port[/protocol], node:port[/protocol]"
            " or [namespace/]service[:port[/protocol]].",
        ),
    ],
    options: NodeOptions,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="IP",
            help="Where packets come from. Default: every class of sources that rules tell apart.",
        ),
    ] = None,
    output: Annotated[
        DataOutput,
        typer.Option("--output", "-o", help="How to write the explanation to stdout."),
    ] = DataOutput.TEXT,
) -> int:
    """Say why packets to an address or a Service go where they go on this node.

    Compares with what the kernel holds, where it may be read; changes nothing.
    """
    from kpx.cli.explain import write

    settings, origin = _resolve(options)
    proxier = Proxier(settings.to_core())
    loaded = origin.load(proxier)
    write(proxier.explain(target, source), output)
    return _finish(proxier, loaded)


@app.command(
    epilog=_examples(
        "kpx controller --once -f manifests/ -o yaml",
        "kubectl get svc,pods,nodes -A -o json | kpx controller --once -f -",
        "kpx controller --kubeconfig ~/.kube/config",
        "kpx controller --managed-by endpointslice-controller.k8s.io --endpoints",
        "kpx controller --service-selector team=shop",
    )
)
@expanded
def controller(
    policy: PolicyOptions,
    options: ControllerOptions,
    filename: FilenameOption = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="Make one pass over manifests, print the slices, and exit."),
    ] = False,
    with_endpoints: Annotated[
        bool, typer.Option("--endpoints", help="Keep Endpoints, too, for Services with a selector.")
    ] = False,
    output: Annotated[
        ObjectOutput, typer.Option("--output", "-o", help="With --once, how to print the slices.")
    ] = ObjectOutput.YAML,
) -> int:
    """Keep the EndpointSlices of Services with a selector as their Pods are.

    Hand-made Endpoints of Services without one are mirrored. One of several replicas writes, by a
    Lease. With --once, nothing is written to a cluster: slices
    among the manifests are taken for those that exist, and what would be published is printed.
    """
    if once != bool(filename):
        raise ConfigurationInvalid(
            "`--once` and `--filename` go together",
            "name manifests for one pass, or neither to run on a cluster",
        )
    if not filename:
        run_controller(policy.policy(), options, with_endpoints=with_endpoints)
        return ExitCode.DONE
    publication = publish_once(filename, policy.policy(), with_endpoints=with_endpoints)
    write_slices(publication, output)
    report.rejections(publication.rejected)
    return ExitCode.REJECTED if publication.rejected else ExitCode.DONE


@app.command(
    epilog=_examples("kpx status", "kpx status -o json", "kpx status --verify"),
)
def status(
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Compare each element with what libnftables lists; needs `kpx[nftables]`."
            " Exits with 1 if they differ.",
        ),
    ] = False,
    metrics_bind_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS:PORT",
            help="Where the agent serves its metrics, or `none` not to ask it."
            " Default: 127.0.0.1:10249.",
        ),
    ] = None,
    output: Annotated[
        DataOutput, typer.Option("--output", "-o", help="How to write it to stdout.")
    ] = DataOutput.TEXT,
) -> int:
    """Say what the kernel holds of kpx, whether it holds together, and what the agent knows.

    Changes nothing.
    """
    from kpx import libnftables
    from kpx.agent import AgentSettings
    from kpx.cli.status import write
    from kpx.inquiry import ask

    proxier = Proxier('{"node_name": "any"}')
    verification = libnftables.verify(proxier.dump, libnftables.listing) if verify else None
    address = parse_listen_address(metrics_bind_address, AgentSettings().metrics_address)
    write(proxier.status(), verification, ask(address) if address else None, output)
    return ExitCode.FAILED if verification and verification.differences else ExitCode.DONE


@app.command(
    epilog=_examples(
        "kpx top", "kpx top --sort refused --no-endpoints", "kpx top -o json --count 0"
    ),
)
def top(
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="The time between two readings.")
    ] = 1.0,
    count: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Stop after so many readings; 0 for never."
            " Default: never in a table on a terminal, else 1.",
        ),
    ] = None,
    sort: Annotated[Order, typer.Option(help="What Services are sorted by.")] = Order.CONNECTIONS,
    endpoints: Annotated[bool, typer.Option(help="Show each endpoint below its Service.")] = True,
    output: Annotated[
        DataOutput,
        typer.Option("--output", "-o", help="A table, or one JSON object a line and reading."),
    ] = DataOutput.TEXT,
) -> int:
    """Show how many connections Services and endpoints get, from the kernel's counters.

    The node must be programmed with --counters. Needs no agent; ends with Ctrl-C.
    """
    from kpx._core import TrafficMeter
    from kpx.cli.top import write
    from kpx.traffic import rates

    with suppress(KeyboardInterrupt):
        readings = rates(TrafficMeter(), interval)
        write(readings, output, sort, with_endpoints=endpoints, count=count)
    return ExitCode.DONE


@app.command(epilog=_examples("kpx check", "kpx check -o json", "kpx check --backend ipvs"))
def check(
    backend: Annotated[
        Backend, typer.Option(help="Which backend is to be used: IPVS needs more of the kernel.")
    ] = Backend.NFTABLES,
    output: Annotated[
        DataOutput, typer.Option("--output", "-o", help="How to write it to stdout.")
    ] = DataOutput.TEXT,
) -> int:
    """Say whether this node has what kpx needs, and what stands in its way; changes nothing.

    Exits with 1 if something is missing or in conflict.
    """
    from kpx.check import State
    from kpx.check import check as find
    from kpx.cli.check import write

    findings = find(backend)
    write(findings, output)
    is_bad = any(one.state in (State.MISSING, State.CONFLICT) for one in findings)
    return ExitCode.FAILED if is_bad else ExitCode.DONE


@app.command(epilog=_examples("kpx cleanup"))
def cleanup() -> int:
    """Delete every table, virtual server and device that kpx made, and nothing else."""
    deleted = delete_all()
    for thing in deleted:
        typer.echo(f"deleted {thing}")
    if not deleted:
        typer.echo("nothing to delete")
    return ExitCode.DONE


@app.command(epilog=_examples("kpx demo"))
def demo() -> int:
    """Show Services at work in a small cluster of network namespaces; root is not needed."""
    from kpx.demo import run as run_demo

    return run_demo()


@app.command(epilog=_examples("kpx version"))
def version() -> int:
    """Print the version."""
    typer.echo(f"kpx {__version__}")
    return ExitCode.DONE


def _resolve(options: NodeOptions) -> tuple[Settings, Source]:
    """The settings and the source that flags stand for."""
    settings, configuration = _settings(options)
    return settings, options.source(configuration, settings.node_name)


def _settings(options: NodeOptions) -> tuple[Settings, ProxyConfiguration]:
    """The settings and the configuration file; says what of the file is ignored."""
    configuration = options.proxy_configuration()
    if configuration.honoured:
        report.notice(f"{options.config}: honoured: {', '.join(configuration.honoured)}")
    if configuration.ignored:
        report.notice(f"{options.config}: ignored: {', '.join(configuration.ignored)}")
    return options.settings(configuration), configuration


def _finish(proxier: Proxier, loaded: Loaded) -> ExitCode:
    """Says what was left out of what was read."""
    for text in loaded.notices:
        report.notice(text)
    rejected: list[Rejection | Rejected] = [*proxier.rejections(), *loaded.rejected]
    report.rejections(rejected)
    return ExitCode.REJECTED if rejected else ExitCode.DONE
