"""The HTTP servers, with clients that behave and clients that do not."""

import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from kpx.agent import http
from kpx.agent.http import Answer, HttpServer, parse_address
from kpx.errors import ListenFailed


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    monkeypatch.setattr(http, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 4)
    pages = {"/page": lambda: Answer(503, b"{}", "application/json", {"X-Own": "1"})}
    with HttpServer(("127.0.0.1", 0), pages) as made:
        yield made


def get(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()


def test_pages(server: HttpServer) -> None:
    status, headers, body = get(server.port, "/page?verbose=1")
    assert (status, body) == (503, b"{}")
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Own"] == "1"
    assert get(server.port, "/page", "HEAD")[2] == b""
    assert get(server.port, "/other")[0] == 404
    assert get(server.port, "/page", "POST")[0] == 501


def test_clients_that_stall_are_shut_out_and_hold_up_nobody_for_long(server: HttpServer) -> None:
    stalled = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
    stop = threading.Event()

    def drip() -> None:
        # A byte now and then defeats a timeout that counts silence only.
        while not stop.wait(0.1):
            for one in stalled[:4]:
                try:
                    one.send(b"G")
                except OSError:
                    return

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                if get(server.port, "/page")[0] == 503:
                    break
            except OSError:
                time.sleep(0.05)
        else:
            pytest.fail("the server answers nobody any more")
    finally:
        stop.set()
        dripping.join()
        for one in stalled:
            one.close()


def test_a_taken_address_is_named(server: HttpServer) -> None:
    with pytest.raises(ListenFailed, match=f"127.0.0.1:{server.port}"):
        HttpServer(("127.0.0.1", server.port), {})


def test_addresses() -> None:
    assert parse_address("0.0.0.0:10256") == ("0.0.0.0", 10256)
    assert parse_address("[::1]:80") == ("::1", 80)
    for wrong in ("10256", ":10256", "host:", "host:x", "host:70000"):
        with pytest.raises(ValueError, match="ADDRESS:PORT"):
            parse_address(wrong)
