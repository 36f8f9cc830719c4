"""The flags of `kpx controller`, what runs it, and what it prints."""

import json
import signal
import sys
import threading
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

import typer
import yaml

from kpx.cli.options import ContextOption, parse_listen_address
from kpx.endpointslices import MANAGED_BY, MAX_ENDPOINTS_PER_SLICE, Policy
from kpx.logs import LogFormat, start_log
from kpx.publication import Publication

__all__ = ["ControllerOptions", "ObjectOutput", "PolicyOptions", "run", "write"]


class ObjectOutput(str, Enum):
    """How objects are written to stdout."""

    YAML = "yaml"
    JSON = "json"


@dataclass(frozen=True)
class PolicyOptions:
    """How slices are made."""

    managed_by: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Whose slices to keep: the value of endpointslice.kubernetes.io/managed-by.",
        ),
    ] = MANAGED_BY
    max_endpoints_per_slice: Annotated[
        int, typer.Option(min=1, max=1000, help="How many endpoints are added to one slice.")
    ] = MAX_ENDPOINTS_PER_SLICE

    def policy(self) -> Policy:
        """The policy that the flags make."""
        return Policy(self.managed_by, self.max_endpoints_per_slice)


@dataclass(frozen=True)
class ControllerOptions:
    """How the controller runs on a cluster."""

    kubeconfig: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", envvar="KUBECONFIG", help="Use the cluster of a kubeconfig file."
        ),
    ] = None
    context: ContextOption = None
    service_selector: Annotated[
        str,
        typer.Option(
            metavar="SELECTOR",
            help="Keep only Services with these labels, as kubectl's -l: app=shop,!legacy.",
        ),
    ] = ""
    concurrent_service_endpoint_syncs: Annotated[
        int, typer.Option(min=1, max=50, help="How many Services are worked on at once.")
    ] = 5
    endpointslice_updates_batch_period: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="How long changes of Pods are gathered."),
    ] = 0.0
    min_resync_period: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=1, help="After how long all is looked at again."),
    ] = 12 * 3600.0
    kube_api_qps: Annotated[
        float, typer.Option(min=0.1, help="How many writes a second the API server gets.")
    ] = 20.0
    kube_api_burst: Annotated[
        int, typer.Option(min=1, help="How many writes it gets at once after a pause.")
    ] = 30
    leader_elect_namespace: Annotated[
        str, typer.Option(metavar="NAME", help="Where the Lease is that one replica holds.")
    ] = "kube-system"
    leader_elect_name: Annotated[
        str, typer.Option(metavar="NAME", help="The name of that Lease.")
    ] = "kpx-controller"
    metrics_bind_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS:PORT",
            help="Where to serve /metrics, or `none`. Default: 127.0.0.1:10259.",
        ),
    ] = None
    log_format: Annotated[LogFormat, typer.Option(help="How to write the log to stderr.")] = (
        LogFormat.TEXT
    )


def run(policy: Policy, options: ControllerOptions, *, with_endpoints: bool) -> None:
    """Runs the controller on a cluster until SIGTERM or SIGINT.

    Args:
        policy: How slices are made.
        options: What is kept, and how.
        with_endpoints: Whether Services with a selector get Endpoints beside their slices.

    Raises:
        KpxError: There is no cluster to connect to, or an address is none or taken.
    """
    from kpx import kube
    from kpx.controller import ControllerSettings, Scope
    from kpx.controller import run as run_controller

    start_log(options.log_format)
    default = ControllerSettings()
    settings = ControllerSettings(
        scope=Scope(
            policy=policy,
            service_selector=options.service_selector,
            with_endpoints=with_endpoints,
            batch_period=options.endpointslice_updates_batch_period,
            resync_period=options.min_resync_period,
        ),
        workers=options.concurrent_service_endpoint_syncs,
        lease_namespace=options.leader_elect_namespace,
        lease_name=options.leader_elect_name,
        metrics_address=parse_listen_address(options.metrics_bind_address, default.metrics_address),
    )
    writes = kube.RateLimit(options.kube_api_qps, options.kube_api_burst)
    client = kube.Client(
        kube.load_configuration(options.kubeconfig, options.context), writes=writes
    )
    stop = threading.Event()

    def end(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    run_controller(client, settings, stop)


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
