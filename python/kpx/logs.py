"""The log of a long-running command: lines on stderr, as text or as JSON."""

import json
import logging
import sys
import time
from enum import Enum

__all__ = ["LogFormat", "printable", "start_log"]


class LogFormat(str, Enum):
    """How the log is written."""

    TEXT = "text"
    JSON = "json"


def start_log(form: LogFormat) -> None:
    """Writes what kpx logs, from `INFO` on, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text() if form is LogFormat.TEXT else _Json())
    logger = logging.getLogger("kpx")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def printable(text: str) -> str:
    """Text that may come from anywhere, unable to move the cursor or to start a new line."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{_time(record)} {record.levelname.lower()}: {printable(record.getMessage())}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(line)


def _time(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03}Z"
