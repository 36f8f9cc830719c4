"""Asks the agent of this node what it knows, over the address it serves its metrics at."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

__all__ = ["PATH", "Inquiry", "ask"]

PATH: Final = "/statusz"
_TIMEOUT_SECONDS: Final = 2.0
_LONGEST_BODY: Final = 1 << 20


@dataclass(frozen=True)
class Inquiry:
    """What came of asking."""

    address: str
    """`host:port`."""
    answer: dict[str, Any] | None
    """What the agent knows; `kpx.agent.status` says what that is."""
    problem: str | None = None
    """Why there is no answer."""


def ask(address: tuple[str, int]) -> Inquiry:
    """Asks the agent at an address. That there is none is no error."""
    host, port = address
    named = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    connection = HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", PATH)
        response = connection.getresponse()
        body = response.read(_LONGEST_BODY)
    except (OSError, HTTPException):
        return Inquiry(named, None, "no agent answers")
    finally:
        connection.close()
    # kube-proxy may serve a page of this name at this address too.
    if response.status == 200 and (response.getheader("Server") or "").split() == ["kpx"]:
        try:
            answer: Any = json.loads(body)
        except (RecursionError, ValueError):
            answer = None
        if isinstance(answer, dict):
            return Inquiry(named, answer)
    return Inquiry(named, None, "something else answers")
