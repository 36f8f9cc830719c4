"""What `kpx explain` prints: the JSON of the core, or the same as text."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kpx.cli.options import DataOutput
from kpx.logs import printable

__all__ = ["write"]

LEAST_WIDTH: Final = 80
ENDPOINTS_SHOWN: Final = 20
"""How many endpoints the text names; the JSON has all."""

_KINDS: Final = {
    "clusterIP": "cluster IP",
    "externalIP": "external IP",
    "loadBalancer": "load balancer",
    "nodePort": "node port",
}
_CLASSES: Final = {"pod": "pods", "node": "this node", "outside": "outside"}
_LISTS: Final = {
    "cluster": "cluster list",
    "local": "local list",
    "shortCircuit": "cluster list (short circuit)",
}
_OUTCOMES: Final = {
    "rejected": "rejected: port unreachable",
    "dropped": "dropped",
    "passed": "no rule of kpx applies",
    "kept": "kept",
}

Object = dict[str, Any]
Row = tuple[str, str]


def write(explanation: str, output: DataOutput) -> None:
    """Writes an explanation, which is given as the core's JSON."""
    parsed: Object = json.loads(explanation)
    if output is DataOutput.JSON:
        json.dump(parsed, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    # Nothing is coloured: what the text says, it says in words.
    console = Console(color_system=None, highlight=False, markup=False, emoji=False)
    console.width = max(console.width, LEAST_WIDTH)
    with console.capture() as capture:
        console.print(_text(parsed))
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _text(explanation: Object) -> Group:
    title = f"{explanation['target']} on node {explanation['node']}"
    parts: list[Any] = [Text(printable(title)), Text()]
    for port in explanation["ports"]:
        parts += _port(port)
    if unserved := explanation["unserved"]:
        parts += [_rows([(_OUTCOMES[unserved["outcome"]], unserved["reason"])]), Text()]
    parts.append(_rows([("kernel", line) for line in _kernel(explanation["kernel"])]))
    return Group(*parts)


def _port(port: Object) -> Iterator[Any]:
    number = f"{port['port']}/{port['protocol']}"
    name = f"{port['portName']} {number}" if port["portName"] else number
    yield Text(printable(f"{port['service']}, port {name}"))
    internal, external = port["internalTrafficPolicy"], port["externalTrafficPolicy"]
    rows = [("traffic policy", f"internal {internal}, external {external}")]
    if affinity := port["sessionAffinity"]:
        rows.append(("session affinity", f"ClientIP for {affinity['timeoutSeconds']} s"))
    rows.append(("hints", port["hints"]))
    if others := port["otherFrontends"]:
        rows.append(("also at", ", ".join(_frontend_name(other) for other in others)))
    yield _indented(_rows(rows))
    yield _indented(_endpoints(port["endpoints"], is_local_used="Local" in (internal, external)))
    for frontend in port["frontends"]:
        yield _indented(Text(_frontend_name(frontend)))
        yield Padding(_rows(_frontend(frontend)), (0, 0, 0, 4))
    yield Text()


def _frontend_name(frontend: Object) -> str:
    return f"{_KINDS[frontend['kind']]} {frontend['frontend']}"


def _endpoints(endpoints: list[Object], *, is_local_used: bool) -> Any:
    if not endpoints:
        return _rows([("endpoints", "none")])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=None)
    lists = ["cluster", "local"] if is_local_used else ["cluster"]
    for title in ("endpoint", "on", *(f"{name} list" for name in lists)):
        table.add_column(title, overflow="fold")
    for endpoint in endpoints[:ENDPOINTS_SHOWN]:
        verdicts = (endpoint[name] for name in lists)
        table.add_row(
            endpoint["endpoint"],
            "this node" if endpoint["isLocal"] else "another node",
            *(f"{'in' if verdict['used'] else 'out'}: {verdict['reason']}" for verdict in verdicts),
        )
    if (more := len(endpoints) - ENDPOINTS_SHOWN) > 0:
        table.add_row(f"and {more} more")
    return table


def _frontend(frontend: Object) -> Iterator[Row]:
    if lost_to := frontend["lostTo"]:
        yield "conflict", f"belongs to the older Service `{lost_to}`"
    for loser in frontend["refusedTo"]:
        yield "conflict", f"the younger Service `{loser}` wants it too and does not get it"
    if answers_on := frontend["answersOn"]:
        yield "answers on", answers_on
    for server in frontend["virtualServers"]:
        yield "ipvs", f"ipvsadm {server}"
    if ranges := frontend["sourceRanges"]:
        yield "source ranges", f"only {', '.join(ranges)}; packets from elsewhere are dropped"
    for path in frontend["paths"]:
        source = path["source"]
        label = source["address"] or _CLASSES[source["class"]]
        for line in _path(path):
            yield f"from {label}", line


def _path(path: Object) -> Iterator[str]:
    source = path["source"]
    if source["address"]:
        yield f"{source['class']}: {source['reason']}"
    else:
        yield source["reason"]
    if path["outcome"] != "balanced":
        yield f"{_OUTCOMES[path['outcome']]}: {path['reason']}"
        return
    count = len(path["endpoints"])
    endpoints = path["endpoints"][0] if count == 1 else f"one of {count} endpoints"
    yield f"to {endpoints}, {_LISTS[path['list']]}: {path['reason']}"
    masquerade = path["masquerade"]
    if masquerade["applies"]:
        yield f"masqueraded: {masquerade['reason']}"
        return
    yield f"source kept: {masquerade['reason']}"
    if path["hairpin"]:
        yield f"masqueraded where an endpoint reaches itself: {_named(path['hairpin'])}"


def _named(endpoints: list[str]) -> str:
    more = len(endpoints) - ENDPOINTS_SHOWN
    shown = ", ".join(endpoints[:ENDPOINTS_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def _kernel(kernel: Object) -> Iterator[str]:
    if kernel["state"] == "unreadable":
        yield f"cannot be read, so not compared: {kernel['error']}"
    elif not kernel["differences"]:
        yield "as described"
    else:
        yield "differs; `kpx sync` would change"
        for difference in kernel["differences"]:
            yield " ".join(difference["change"].split())


def _rows(rows: Iterable[Row]) -> Table:
    """Labels and texts side by side; a label that comes again is not repeated."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    previous = None
    for label, text in rows:
        table.add_row(Text("" if label == previous else label), Text(printable(text)))
        previous = label
    return table


def _indented(content: Any) -> Padding:
    return Padding(content, (0, 0, 0, 2))
