"""What `kpx top` shows: a table that is kept up to date, or a JSON object a reading."""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from itertools import islice
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kpx.cli.options import DataOutput
from kpx.logs import printable
from kpx.traffic import Order, Rates, ServiceRate

__all__ = ["write"]

_HEADER_LINES: Final = 3
"""The summary, the heads of the columns, and the line the cursor is on."""


def write(
    readings: Iterable[Rates],
    output: DataOutput,
    order: Order,
    *,
    with_endpoints: bool,
    count: int | None,
) -> None:
    """Writes one reading after the other.

    Args:
        readings: What to write.
        output: As a table, or as one JSON object a line.
        order: What Services are sorted by.
        with_endpoints: Whether the table has a line for each endpoint.
        count: After how many readings to stop, 0 for never; `None` for never on a terminal, and
            after the first elsewhere.
    """
    is_live = output is DataOutput.TEXT and sys.stdout.isatty()
    if count is None:
        count = 0 if is_live else 1
    chosen = islice(readings, count or None)
    if output is DataOutput.JSON:
        for reading in chosen:
            json.dump(_json(reading, order), sys.stdout)
            sys.stdout.write("\n")
            sys.stdout.flush()
        return
    console = Console()
    if not is_live:
        for reading in chosen:
            console.print(_table(reading, order, with_endpoints, None))
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        live.update(Text("kpx top: reading"), refresh=True)
        for reading in chosen:
            room = console.size.height - _HEADER_LINES
            live.update(_table(reading, order, with_endpoints, room), refresh=True)


def _table(reading: Rates, order: Order, with_endpoints: bool, room: int | None) -> Group:
    """A reading as text, of `room` lines below the heads of the columns if that is limited."""
    total = sum(one.per_second for one in reading.services)
    summary = (
        f"{len(reading.services)} Services, {total:.1f} connections/s"
        f" over {reading.seconds:.1f} s, by {order.value}"
    )
    if reading.silent:
        summary += f"; {reading.silent} elements do not count"
    table = Table(box=None, pad_edge=False, expand=True, header_style="bold")
    table.add_column("SERVICE", no_wrap=True, overflow="ellipsis", ratio=1)
    for name in ("CONN/S", "REFUSED/S", "ENDPOINTS"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in islice(_rows(reading.sorted(order), with_endpoints), room):
        table.add_row(*row)
    return Group(Text(summary, no_wrap=True, overflow="ellipsis"), table)


def _rows(services: Iterable[ServiceRate], with_endpoints: bool) -> Iterator[tuple[Text, ...]]:
    for one in services:
        yield (
            Text(printable(one.service), "bold" if one.connections else ""),
            Text(f"{one.per_second:.1f}"),
            Text(f"{one.refused_per_second:.1f}", "red" if one.refused_per_second else ""),
            Text(str(len(one.endpoints))),
        )
        for endpoint in one.endpoints if with_endpoints else ():
            yield Text(f"  {endpoint.endpoint}"), Text(f"{endpoint.per_second:.1f}"), Text(), Text()


def _json(reading: Rates, order: Order) -> dict[str, Any]:
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "seconds": round(reading.seconds, 6),
        "services": [
            {
                "service": one.service,
                "connections": one.connections,
                "connectionsPerSecond": round(one.per_second, 3),
                "refusedPerSecond": round(one.refused_per_second, 3),
                "endpoints": [
                    {
                        "endpoint": endpoint.endpoint,
                        "connections": endpoint.connections,
                        "connectionsPerSecond": round(endpoint.per_second, 3),
                    }
                    for endpoint in one.endpoints
                ],
            }
            for one in reading.sorted(order)
        ],
    }
