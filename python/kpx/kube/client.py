"""One request at a time, as raw bytes, with errors that name what was asked."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from kpx._core import ListPages
from kpx.errors import ClusterUnreadable
from kpx.kube.rate_limit import RateLimit
from kpx.kube.refusal import refusal, retry_after
from kpx.kube.resources import Resource
from kpx.kube.transport import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    Interruption,
    Transport,
)

if TYPE_CHECKING:
    from kubernetes.client import Configuration
    from urllib3 import BaseHTTPResponse

__all__ = ["Client"]

_ATTEMPTS: Final = 4
_BUSY_STATUSES: Final = (429, 500, 502, 503, 504)
_LONGEST_PAUSE_SECONDS: Final = 5.0
_LARGEST_REFUSAL_BYTES: Final = 1 << 20
_LARGEST_ANSWER_BYTES: Final = 1 << 30
"""Ten times what a list of 10,000 Services with ten endpoints each takes, in one piece."""

_CHUNK_BYTES: Final = 1 << 16
_ACCEPTED: Final = {"Accept": "application/json"}
_JSON: Final = {**_ACCEPTED, "Content-Type": "application/json"}
_WATCH_HEADERS: Final = {
    "Accept": "application/json",
    # What compresses on the way would hold events back.
    "Accept-Encoding": "identity",
    # A connection that the server closes just when it is used again would cost a back-off.
    "Connection": "close",
}
PATCH_TYPES: Final = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}


class Client:
    """Requests to one API server. Several threads may share it."""

    def __init__(
        self,
        configuration: "Configuration",
        *,
        writes: RateLimit | None = None,
        interruption: Interruption | None = None,
        sleep: Callable[[float], None] | None = None,
        read_timeout: float = READ_TIMEOUT_SECONDS,
    ) -> None:
        """Connects nowhere yet.

        Args:
            configuration: Where the server is and who we are to it.
            writes: What limits how often objects are written; nothing unless given.
            interruption: What ends requests from another thread.
            sleep: What waits between attempts, in seconds; `time.sleep` unless given.
            read_timeout: After how many seconds of silence a request fails.
        """
        self._configuration = configuration
        self._transport = Transport(configuration, interruption)
        self._writes = writes
        self._sleep = sleep
        self._read_timeout = read_timeout

    @property
    def host(self) -> str:
        """The address of the API server, such as `https://10.0.0.1:6443`."""
        return str(self._configuration.host)

    def interruptible(self, interruption: Interruption) -> "Client":
        """A client of the same server with connections of its own, which can be interrupted."""
        return Client(
            self._configuration, writes=self._writes, interruption=interruption, sleep=self._sleep
        )

    def with_read_timeout(self, seconds: float) -> "Client":
        """A client of the same server that waits no longer for an answer."""
        return Client(
            self._configuration, writes=self._writes, sleep=self._sleep, read_timeout=seconds
        )

    def list(self, resource: str, path: str, query: Mapping[str, str]) -> bytes:
        """Reads a page of a list, asking a busy server a few times.

        Args:
            resource: What is listed, in the words of RBAC: `services`.
            path: The path of the list, such as `/api/v1/services`.
            query: The query parameters.

        Raises:
            ListExpired: The continue token has expired.
            RequestRefused: The server refused for another reason.
            ClusterUnreadable: The server cannot be reached.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            response, body = self._send("list", resource, "GET", path, query)
            if response.status not in _BUSY_STATUSES or attempt == _ATTEMPTS:
                break
            (self._sleep or time.sleep)(_pause(attempt, response.headers.get("Retry-After")))
        return _body("list", resource, response, body)

    def list_in_parts(self, resource: Resource, query: Mapping[str, str]) -> Iterator[bytes]:
        """Reads a page of a list as it comes; a server that is busy is an error at once.

        Yields lists of a few of its objects each, of which only the last one surely says at which
        version the list is and how it continues.

        Raises:
            RequestRefused: The server refused.
            ClusterUnreadable: The server cannot be reached, or broke off.
        """
        from urllib3.exceptions import HTTPError

        pages = ListPages()
        length = 0
        try:
            response = self._request("GET", resource.path, query)
            with closing(response):
                if response.status != 200:
                    said = response.read(_LARGEST_REFUSAL_BYTES, decode_content=True)
                    raise refusal("list", resource.name, response.status, response.headers, said)
                for chunk in response.stream(_CHUNK_BYTES, decode_content=True):
                    length += len(chunk)
                    if length > _LARGEST_ANSWER_BYTES:
                        raise _too_large("list", resource.name)
                    if page := pages.add(chunk):
                        yield page
                response.release_conn()
        except (HTTPError, OSError) as failure:
            raise self.unreachable("list", resource.name, failure) from failure
        yield pages.finish()

    def watch(
        self, resource: Resource, query: Mapping[str, str], read_timeout: float
    ) -> "BaseHTTPResponse":
        """Opens a watch. Its body is to be read with `read1`, and the answer to be closed.

        Args:
            resource: What is watched.
            query: The query parameters, `watch` itself excepted.
            read_timeout: After how many seconds of silence a read fails.

        Raises:
            RequestRefused: The server refused.
            ClusterUnreadable: The server cannot be reached.
        """
        from urllib3.exceptions import HTTPError

        try:
            response = self._transport.request(
                "GET",
                resource.path,
                {**resource.selectors, **query, "watch": "true"},
                headers=_WATCH_HEADERS,
                read_timeout=read_timeout,
                stream=True,
            )
            if response.status == 200:
                return response
            with closing(response):
                said = response.read(_LARGEST_REFUSAL_BYTES, decode_content=True)
        except (HTTPError, OSError) as failure:
            raise self.unreachable("watch", resource.name, failure) from failure
        raise refusal("watch", resource.name, response.status, response.headers, said)

    def get(self, resource: Resource, namespace: str | None, name: str) -> bytes:
        """Reads one object.

        Raises:
            NotFound: There is none.
            RequestRefused: The server refused for another reason.
            ClusterUnreadable: The server cannot be reached.
        """
        path = resource.item(namespace, name)
        response, body = self._send("get", resource.name, "GET", path, {})
        return _body("get", resource.name, response, body)

    def create(
        self, resource: Resource, namespace: str | None, name: str, body: bytes | dict[str, Any]
    ) -> bytes:
        """Makes an object, and returns it as the server keeps it.

        Args:
            resource: Its kind.
            namespace: Where; `None` if the kind is not namespaced.
            name: What messages call it; the object itself may have a `generateName`.
            body: The object, as JSON or to be written as such.

        Raises:
            AlreadyExists: There is one of that name.
            RequestRefused: The server refused for another reason.
            ClusterUnreadable: The server cannot be reached, so that it may or may not be made.
        """
        return self._write("create", resource, "POST", resource.collection(namespace), body)

    def update(
        self, resource: Resource, namespace: str | None, name: str, body: bytes | dict[str, Any]
    ) -> bytes:
        """Replaces an object, unless it changed since the version the body names.

        Raises:
            Conflict: It did.
            NotFound: There is none.
            RequestRefused: The server refused for another reason.
            ClusterUnreadable: The server cannot be reached, so that it may or may not be done.
        """
        return self._write("update", resource, "PUT", resource.item(namespace, name), body)

    def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: bytes | dict[str, Any],
        *,
        patch_type: str = "merge",
    ) -> bytes:
        """Changes parts of an object: `merge` (RFC 7386), `json` (RFC 6902) or `strategic`.

        Raises:
            Conflict: The patch names a version, and the object is at another.
            NotFound: There is none.
            RequestRefused: The server refused for another reason.
            ClusterUnreadable: The server cannot be reached, so that it may or may not be done.
        """
        headers = {"Accept": "application/json", "Content-Type": PATCH_TYPES[patch_type]}
        path = resource.item(namespace, name)
        return self._write("patch", resource, "PATCH", path, body, headers)

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: bytes | dict[str, Any] = b"",
    ) -> bytes:
        """Deletes an object; the body is `DeleteOptions`, such as `preconditions`.

        Raises:
            Conflict: The preconditions do not hold.
            NotFound: There is none.
            RequestRefused: The server refused for another reason.
            ClusterUnreadable: The server cannot be reached, so that it may or may not be done.
        """
        return self._write("delete", resource, "DELETE", resource.item(namespace, name), body)

    def _write(
        self,
        verb: str,
        resource: Resource,
        method: str,
        path: str,
        body: bytes | dict[str, Any],
        headers: Mapping[str, str] = _JSON,
    ) -> bytes:
        if self._writes:
            self._writes.take()
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        response, said = self._send(verb, resource.name, method, path, {}, text or None, headers)
        return _body(verb, resource.name, response, said)

    def _send(
        self,
        verb: str,
        resource: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        headers: Mapping[str, str] = _ACCEPTED,
    ) -> tuple["BaseHTTPResponse", bytes]:
        from urllib3.exceptions import HTTPError

        try:
            response = self._request(method, path, query, body, headers)
            said = response.read(_LARGEST_ANSWER_BYTES, decode_content=True)
            if response.read(1, decode_content=True):
                response.close()
                raise _too_large(verb, resource)
            response.release_conn()
            return response, said
        except (HTTPError, OSError) as failure:
            raise self.unreachable(verb, resource, failure) from failure

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        headers: Mapping[str, str] = _ACCEPTED,
    ) -> "BaseHTTPResponse":
        return self._transport.request(
            method,
            path,
            query,
            body=body,
            headers={**headers, "Accept-Encoding": "gzip"},
            read_timeout=self._read_timeout,
            stream=True,
        )

    def unreachable(self, verb: str, resource: str, failure: Exception) -> ClusterUnreadable:
        """The error that a failure of the connection stands for."""
        from urllib3 import exceptions

        act = f"cannot {verb} {resource}: the API server `{self.host}`"
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
            return ClusterUnreadable(f"{act} was silent for too long: {failure}")
        if isinstance(failure, exceptions.SSLError):
            return ClusterUnreadable(
                f"{act} has a certificate that cannot be trusted: {failure}",
                "check `certificate-authority` in the kubeconfig",
            )
        return ClusterUnreadable(f"{act} broke the connection off: {failure}")


def _too_large(verb: str, resource: str) -> ClusterUnreadable:
    limit = _LARGEST_ANSWER_BYTES >> 20
    return ClusterUnreadable(f"cannot {verb} {resource}: the answer is larger than {limit} MiB")


def _body(verb: str, resource: str, response: "BaseHTTPResponse", body: bytes) -> bytes:
    if 200 <= response.status < 300:
        return body
    raise refusal(verb, resource, response.status, response.headers, body)


def _pause(attempt: int, header: str | None) -> float:
    """Seconds to wait before the next attempt: what the server asks for, within bounds."""
    asked = retry_after(header)
    return min(0.2 * 2**attempt if asked is None else asked, _LONGEST_PAUSE_SECONDS)
