"""TLS to the API server: certificates that are replaced while we run."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import Configuration

from kpx.errors import ClusterUnreadable
from kpx.kube import Client
from kpx.kube.resources import SERVICES

PAGE = b'{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'


class Authority:
    """Signs certificates, as that of a cluster does."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name
        self.certificate = directory / f"{name}.crt"
        self.key = directory / f"{name}.key"
        self._make("req", "-x509", "-subj", f"/CN={name}", "-out", str(self.certificate))

    def issue(self, subject: str) -> tuple[bytes, bytes]:
        """A certificate for a subject, good for the server's address, too, and its key."""
        certificate = self.directory / "issued.crt"
        key = self.directory / "issued.key"
        signed = ["-CA", str(self.certificate), "-CAkey", str(self.key)]
        names = ["-addext", "subjectAltName=IP:127.0.0.1"]
        command = ["req", "-x509", *signed, "-subj", f"/CN={subject}", *names]
        self._make(*command, "-out", str(certificate), key=key)
        return certificate.read_bytes(), key.read_bytes()

    def _make(self, *command: str, key: Path | None = None) -> None:
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        keys = ["-keyout", str(key or self.key), "-days", "2"]
        subprocess.run(["openssl", *command, *new, *keys], check=True, capture_output=True)


class Server:
    """Notes who asks, by the client's certificate."""

    def __init__(self, authority: Authority, directory: Path) -> None:
        subjects: list[str] = []
        self.subjects = subjects

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_GET(self) -> None:
                assert isinstance(self.connection, ssl.SSLSocket)
                certificate: Any = self.connection.getpeercert()
                subjects.append(certificate["subject"][0][0][1])
                self.send_response(200)
                self.send_header("Content-Length", str(len(PAGE)))
                self.end_headers()
                self.wfile.write(PAGE)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"https://127.0.0.1:{self._http.server_port}"
        certificate, key = authority.issue("server")
        (directory / "server.crt").write_bytes(certificate)
        (directory / "server.key").write_bytes(key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "server.crt", directory / "server.key")
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[Server]:
    running = Server(authority, tmp_path)
    yield running
    running.close()


def write_client(authority: Authority, directory: Path, subject: str) -> tuple[Path, Path]:
    certificate, key = directory / "client.crt", directory / "client.key"
    for path, text in zip((certificate, key), authority.issue(subject), strict=True):
        # As the kubelet does: another file takes the place of the old one.
        path.with_suffix(".new").write_bytes(text)
        path.with_suffix(".new").rename(path)
    return certificate, key


def test_a_client_certificate_that_is_replaced_is_used(
    authority: Authority, server: Server, tmp_path: Path
) -> None:
    certificate, key = write_client(authority, tmp_path, "first")
    configuration = Configuration(host=server.url)
    configuration.ssl_ca_cert = str(authority.certificate)
    configuration.cert_file, configuration.key_file = str(certificate), str(key)
    client = Client(configuration)
    assert b"".join(client.list_in_parts(SERVICES, {})) == PAGE
    write_client(authority, tmp_path, "second")
    assert b"".join(client.list_in_parts(SERVICES, {})) == PAGE
    assert server.subjects == ["first", "second"]


def test_an_authority_that_is_replaced_is_trusted(
    authority: Authority, server: Server, tmp_path: Path
) -> None:
    certificate, key = write_client(authority, tmp_path, "client")
    trusted = tmp_path / "trusted.crt"
    trusted.write_bytes(Authority(tmp_path, "other").certificate.read_bytes())
    configuration = Configuration(host=server.url)
    configuration.ssl_ca_cert = str(trusted)
    configuration.cert_file, configuration.key_file = str(certificate), str(key)
    client = Client(configuration)
    with pytest.raises(ClusterUnreadable, match="cannot be trusted"):
        b"".join(client.list_in_parts(SERVICES, {}))
    (tmp_path / "new.crt").write_bytes(authority.certificate.read_bytes())
    (tmp_path / "new.crt").rename(trusted)
    assert b"".join(client.list_in_parts(SERVICES, {})) == PAGE
