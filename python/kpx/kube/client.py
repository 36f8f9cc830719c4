"""One GET at a time, as raw bytes, with errors that name what was asked."""

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from kpx.errors import ClusterUnreadable

if TYPE_CHECKING:
    from kubernetes.client import Configuration

__all__ = ["Client", "ListExpired", "RequestRefused"]

CONNECT_TIMEOUT_SECONDS: Final = 5.0
READ_TIMEOUT_SECONDS: Final = 60.0
"""How long the server may stay silent; a page of a list takes well under a second."""

_ATTEMPTS: Final = 4
_BUSY_STATUSES: Final = (429, 500, 502, 503, 504)
_LONGEST_PAUSE_SECONDS: Final = 5.0


class RequestRefused(ClusterUnreadable):
    """The API server answered with an error.

    Attributes:
        status: The HTTP status code.
    """

    def __init__(self, message: str, hint: str | None, status: int) -> None:
        """Keeps the status beside the message."""
        super().__init__(message, hint)
        self.status = status


class ListExpired(RequestRefused):
    """The version of the objects that a list was reading is gone (410): it must start over."""


class Client:
    """A connection to one API server."""

    def __init__(self, configuration: "Configuration") -> None:
        """Connects nowhere yet."""
        from kubernetes.client.rest import RESTClientObject

        self._configuration = configuration
        self._pool = RESTClientObject(configuration).pool_manager

    @property
    def host(self) -> str:
        """The address of the API server, such as `https://10.0.0.1:6443`."""
        return str(self._configuration.host)

    def list(self, resource: str, path: str, query: Mapping[str, str]) -> bytes:
        """Reads a page of a list.

        Args:
            resource: What is listed, in the words of RBAC: `services`.
            path: The path of the list, such as `/api/v1/services`.
            query: The query parameters.

        Raises:
            ListExpired: The continue token has expired.
            RequestRefused: The server refused for another reason.
            ClusterUnreadable: The server cannot be reached.
        """
        url = f"{self.host}{path}?{urlencode(query)}"
        for attempt in range(1, _ATTEMPTS + 1):
            response = self._get(url, resource)
            if response.status not in _BUSY_STATUSES or attempt == _ATTEMPTS:
                break
            time.sleep(_pause(attempt, response.headers.get("Retry-After")))
        if response.status == 200:
            body: bytes = response.data
            return body
        raise self._refused(resource, response.status, response.data)

    def _get(self, url: str, resource: str) -> Any:
        from urllib3.exceptions import HTTPError
        from urllib3.util import Timeout

        timeout = Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS)
        try:
            return self._pool.request(
                "GET", url, headers=self._headers(), timeout=timeout, retries=False
            )
        except HTTPError as failure:
            raise self._unreachable(resource, failure) from failure

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "kpx"}
        for setting in self._configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        return headers

    def _unreachable(self, resource: str, failure: Exception) -> ClusterUnreadable:
        from urllib3 import exceptions

        act = f"cannot list {resource}: the API server `{self.host}`"
        if isinstance(failure, exceptions.NameResolutionError):
            return ClusterUnreadable(f"{act} has a name that does not resolve")
        # urllib3 derives this from the error of a connection that timed out, so it comes first.
        if isinstance(failure, exceptions.NewConnectionError):
            cause = failure.__cause__ or failure.__context__ or failure
            return ClusterUnreadable(
                f"{act} cannot be reached: {getattr(cause, 'strerror', None) or cause}",
                "check the address in the kubeconfig and that the API server is up",
            )
        if isinstance(failure, exceptions.ConnectTimeoutError):
            return ClusterUnreadable(
                f"{act} did not take the connection within {CONNECT_TIMEOUT_SECONDS:g} s",
                "check the address and what filters traffic on the way",
            )
        if isinstance(failure, exceptions.ReadTimeoutError):
            return ClusterUnreadable(f"{act} was silent for {READ_TIMEOUT_SECONDS:g} s")
        if isinstance(failure, exceptions.SSLError):
            return ClusterUnreadable(
                f"{act} has a certificate that cannot be trusted: {failure}",
                "check `certificate-authority` in the kubeconfig",
            )
        return ClusterUnreadable(f"{act} broke the connection off: {failure}")

    def _refused(self, resource: str, status: int, body: bytes) -> RequestRefused:
        act = f"cannot list {resource}"
        said = _status_message(body)
        match status:
            case 401:
                return RequestRefused(
                    f"{act}: the API server does not accept the credentials (401): {said}",
                    "check that the token or certificate has not expired",
                    status,
                )
            case 403:
                return RequestRefused(
                    f"{act}: not allowed (403): {said}",
                    f"grant the verb `list` on `{resource}`, as the ClusterRole"
                    " `system:node-proxier` does",
                    status,
                )
            case 410:
                return ListExpired(f"{act}: the list has expired (410): {said}", None, status)
            case _:
                return RequestRefused(f"{act}: the API server says {status}: {said}", None, status)


def _pause(attempt: int, retry_after: str | None) -> float:
    """Seconds to wait before the next attempt: what the server asks for, within bounds."""
    asked = float(retry_after) if retry_after and retry_after.isdecimal() else 0.2 * 2**attempt
    return min(asked, _LONGEST_PAUSE_SECONDS)


def _status_message(body: bytes) -> str:
    """The message of the `Status` object that comes with an error, or the start of the body."""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    message = status.get("message") if isinstance(status, dict) else None
    if isinstance(message, str):
        return message
    return body[:200].decode(errors="replace").strip() or "no reason given"
