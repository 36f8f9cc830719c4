"""What the API server answers when it does not do what was asked."""

import json
from collections.abc import Mapping
from typing import Any, Final

from kpx.errors import ClusterUnreadable

__all__ = [
    "AlreadyExists",
    "Conflict",
    "Forbidden",
    "ListExpired",
    "NotFound",
    "RequestRefused",
    "Unauthorized",
    "refusal",
]

LONGEST_RETRY_AFTER_SECONDS: Final = 120.0
"""What is believed of a `Retry-After`."""


class RequestRefused(ClusterUnreadable):
    """The API server answered with an error.

    Attributes:
        status: The HTTP status code.
        reason: `reason` of the `Status`, such as `Invalid`; empty if there is none.
        retry_after: After how many seconds the server wants to be asked again, if it says so.
    """

    def __init__(
        self,
        message: str,
        hint: str | None,
        status: int,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Keeps the parts beside the message."""
        super().__init__(message, hint)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class Unauthorized(RequestRefused):
    """The API server does not know who asks (401)."""


class Forbidden(RequestRefused):
    """RBAC, or an admission plug-in, does not allow it (403).

    Attributes:
        is_namespace_terminating: Whether nothing can be made in the namespace any more, because it
            is being deleted (the cause `NamespaceTerminating`).
    """

    is_namespace_terminating = False


class NotFound(RequestRefused):
    """There is no such object, or no such kind of object (404)."""


class Conflict(RequestRefused):
    """The object has changed since it was read (409): it must be read again."""


class AlreadyExists(RequestRefused):
    """There is an object of that name already (409)."""


class ListExpired(RequestRefused):
    """The version of the objects that was asked for is gone (410): a list must start over."""


class VersionTooLarge(RequestRefused):
    """The server has not got to the version of the objects that was asked for."""


def refusal(
    verb: str, resource: str, status: int, headers: Mapping[str, str], body: bytes
) -> RequestRefused:
    """The error that an answer stands for.

    Args:
        verb: What was asked, in the words of RBAC: `list`.
        resource: Of what, in the words of RBAC: `services`.
        status: The HTTP status code.
        headers: The headers of the answer.
        body: What came with it, most often a `Status` object.
    """
    document = _status(body)
    reason = document.get("reason")
    reason = reason if isinstance(reason, str) else ""
    said = _message(document, body)
    act = f"cannot {verb} {resource}"
    match status:
        case 401:
            return Unauthorized(
                f"{act}: the API server does not accept the credentials (401): {said}",
                "check that the token or certificate has not expired",
                status,
                reason,
            )
        case 403:
            example = ", as the ClusterRole `system:node-proxier` does" if verb == "list" else ""
            forbidden = Forbidden(
                f"{act}: not allowed (403): {said}",
                f"grant the verb `{verb}` on `{resource}`{example}",
                status,
                reason,
            )
            forbidden.is_namespace_terminating = "NamespaceTerminating" in _causes(document)
            return forbidden
        case 404:
            return NotFound(f"{act}: the API server says 404: {said}", None, status, reason)
        case 409 if reason == "AlreadyExists":
            return AlreadyExists(f"{act}: it exists already (409): {said}", None, status, reason)
        case 409:
            return Conflict(f"{act}: it changed meanwhile (409): {said}", None, status, reason)
        case 410:
            return ListExpired(f"{act}: the list has expired (410): {said}", None, status, reason)
    kind = VersionTooLarge if _is_too_large(document, said) else RequestRefused
    asked = retry_after(headers.get("Retry-After"))
    return kind(f"{act}: the API server says {status}: {said}", None, status, reason, asked)


def is_too_large(message: str | None) -> bool:
    """Whether a message is about a version the server has not got to (apiserver's cacher)."""
    return bool(message) and "Too large resource version" in str(message)


def retry_after(header: str | None) -> float | None:
    """The seconds a `Retry-After` asks for, within bounds."""
    if not header or not header.isdecimal():
        return None
    return min(float(header[:9]), LONGEST_RETRY_AFTER_SECONDS)


def _is_too_large(document: Mapping[str, Any], said: str) -> bool:
    return "ResourceVersionTooLarge" in _causes(document) or is_too_large(said)


def _causes(document: Mapping[str, Any]) -> list[Any]:
    """The machine-readable causes in the details of a `Status`."""
    details = document.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return [
        cause.get("reason")
        for cause in (causes if isinstance(causes, list) else ())
        if isinstance(cause, dict)
    ]


def _status(body: bytes) -> dict[str, Any]:
    try:
        status = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return status if isinstance(status, dict) else {}


def _message(status: Mapping[str, Any], body: bytes) -> str:
    """The message of the `Status` object that comes with an error, or the start of the body."""
    message = status.get("message")
    if isinstance(message, str):
        return message
    return body[:200].decode(errors="replace").strip() or "no reason given"
