import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client import Configuration

from fakes.apiserver import SERVICES, ApiServer, Refusal, write_kubeconfig
from kpx.errors import ClusterUnreadable
from kpx.kube import Client, RequestRefused, client, load_configuration
from objects import service


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses the client would have made."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


def read(host: str) -> bytes:
    return Client(Configuration(host=host)).list("services", SERVICES, {})


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (
            401,
            "cannot list services: the API server does not accept the credentials (401): no",
            "check that the token or certificate has not expired",
        ),
        (
            403,
            "cannot list services: not allowed (403): no",
            "grant the verb `list` on `services`, as the ClusterRole `system:node-proxier` does",
        ),
        (400, "cannot list services: the API server says 400: no", None),
    ],
)
def test_refusals_name_verb_and_resource(
    server: ApiServer, status: int, message: str, hint: str | None
) -> None:
    server.refusals[SERVICES].append(Refusal(status, "no"))
    with pytest.raises(RequestRefused) as failure:
        read(server.url)
    assert (failure.value.status, failure.value.message, failure.value.hint) == (
        status,
        message,
        hint,
    )
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "said"), [(b"plain", "plain"), (b"", "no reason given"), (b"[]", "[]")]
)
def test_refusals_without_a_status_object(server: ApiServer, body: bytes, said: str) -> None:
    server.refusals[SERVICES].append(Refusal(400, body=body))
    with pytest.raises(RequestRefused, match=rf"says 400: {said}".replace("[]", r"\[\]")):
        read(server.url)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: ApiServer, pauses: list[float], status: int) -> None:
    server.refusals[SERVICES].extend([Refusal(status)] * 3)
    server.preload(SERVICES, [service("a")])
    assert json.loads(read(server.url))["items"]
    assert pauses == [0.4, 0.8, 1.6]


def test_a_busy_server_says_when_within_bounds(server: ApiServer, pauses: list[float]) -> None:
    for seconds in ("1", "86400", "never"):
        server.refusals[SERVICES].append(Refusal(429, headers={"Retry-After": seconds}))
    read(server.url)
    assert pauses == [1.0, 5.0, 1.6]


def test_a_server_that_stays_busy_is_an_error(server: ApiServer, pauses: list[float]) -> None:
    server.refusals[SERVICES].extend([Refusal(503, "overloaded")] * 4)
    with pytest.raises(ClusterUnreadable, match="the API server says 503: overloaded"):
        read(server.url)
    assert len(pauses) == 3


def test_nobody_listening_is_an_error_with_a_hint() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ClusterUnreadable) as failure:
            read(host)
    assert failure.value.message == (
        f"cannot list services: the API server `{host}` cannot be reached: Connection refused"
    )
    assert failure.value.hint is not None


def test_a_silent_server_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterUnreadable, match="was silent for too long"):
            Client(Configuration(host=host), read_timeout=0.05).list("services", SERVICES, {})


def test_a_server_that_does_not_speak_tls_is_an_error(server: ApiServer) -> None:
    with pytest.raises(ClusterUnreadable, match="cannot list services: the API server"):
        read(server.url.replace("http:", "https:"))


def test_a_token_of_the_kubeconfig_is_sent(server: ApiServer, tmp_path: Path) -> None:
    configuration = load_configuration(write_kubeconfig(server.url, tmp_path, token="s3cret"), None)
    Client(configuration).list("services", SERVICES, {})
    headers = server.requests[0].headers
    assert headers["authorization"] == "Bearer s3cret"
    assert headers["accept"] == "application/json"


def test_an_answer_without_an_end_takes_bounded_memory(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_LARGEST_ANSWER_BYTES", 1 << 20)
    for size in (1 << 20, (1 << 20) + 1):
        body = b"x" * size
        for headers, text in (({}, body), ({"Content-Encoding": "gzip"}, gzip.compress(body))):
            server.refusals[SERVICES].append(Refusal(200, body=text, headers=headers))
    assert len(read(server.url)) == 1 << 20
    assert len(read(server.url)) == 1 << 20
    for _ in range(2):
        with pytest.raises(ClusterUnreadable, match="the answer is larger than 1 MiB"):
            read(server.url)


def test_a_token_file_is_read_again(server: ApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    path = write_kubeconfig(server.url, tmp_path)
    config = json.loads(Path(path).read_text())
    config["users"][0]["user"] = {"tokenFile": str(token)}
    Path(path).write_text(json.dumps(config))
    reader = Client(load_configuration(path, None))
    reader.list("services", SERVICES, {})
    token.write_text("second\n")
    reader.list("services", SERVICES, {})
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer first", "Bearer second"]


class TestConfiguration:
    def test_outside_of_a_cluster(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        with pytest.raises(ClusterUnreadable, match="no cluster to read") as failure:
            load_configuration(None, None)
        assert failure.value.hint == "pass manifests with `-f`, or a cluster with `--kubeconfig`"

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(
            ClusterUnreadable, match=rf"cannot use the kubeconfig `{tmp_path}/none`"
        ):
            load_configuration(str(tmp_path / "none"), None)

    def test_a_context_that_is_not_there(self, server: ApiServer, tmp_path: Path) -> None:
        with pytest.raises(ClusterUnreadable, match="other"):
            load_configuration(write_kubeconfig(server.url, tmp_path), "other")

    @pytest.mark.parametrize("text", ["", "- a", "a: [", "clusters: 1"])
    def test_a_malformed_file(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "kubeconfig"
        path.write_text(text)
        with pytest.raises(ClusterUnreadable, match="cannot use the kubeconfig"):
            load_configuration(str(path), None)
