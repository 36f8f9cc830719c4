"""The client: `python -m kpx.demo.client ADDRESS PORT TIMES` prints who answered how often."""

import json
import sys
from collections import Counter
from http.client import HTTPConnection, HTTPException
from typing import Final

_TIMEOUT_SECONDS: Final = 2.0
_MOST_FAILURES: Final = 3
"""After so many failures the answer is clear, and the rest would only take time."""


def get(address: str, port: int) -> str:
    """Makes one new connection and returns the answer."""
    connection = HTTPConnection(address, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode().strip()
    finally:
        connection.close()


def count(address: str, port: int, times: int) -> dict[str, Counter[str]]:
    """Connects one time after another, and counts the `answers` and the `failures` by reason."""
    answers: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for _ in range(times):
        try:
            answers[get(address, port)] += 1
        except (OSError, HTTPException) as failure:
            failures[str(failure) or type(failure).__name__] += 1
        if failures.total() == _MOST_FAILURES:
            break
    return {"answers": answers, "failures": failures}


if __name__ == "__main__":
    print(json.dumps(count(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
