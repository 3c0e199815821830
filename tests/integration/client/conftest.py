"""A real HTTP server on loopback whose answers a test scripts byte by byte, with TLS or without."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient

Answer = Callable[["Exchange"], None]


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    command: str
    path: str
    headers: Any
    request_body: bytes
    client_address: Any


class Exchange(BaseHTTPRequestHandler):
    """One request as the script sees it, with short ways to answer."""

    protocol_version = "HTTP/1.1"
    server: "ScriptedServer"

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.request_body = self.rfile.read(length)
        self.server.requests.append(
            Seen(self.command, self.path, self.headers, self.request_body, self.client_address)
        )
        script = self.server.script
        answer = script.pop(0) if len(script) > 1 else script[0]
        answer(self)

    do_GET = _serve  # noqa: N815 - http.server's names
    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def reply(self, code: int, body: bytes = b"{}", **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content_Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Break the connection off: no end mark, no TLS goodbye."""
        self.wfile.flush()
        self.close_connection = True
        socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    def wait_for_peer(self) -> None:
        """Stay until the other side closes; 10 s at most."""
        self.connection.settimeout(10)
        try:
            self.rfile.read(1)
        except OSError:
            pass  # a reset is a close, too
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class ScriptedServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.requests: list[Seen] = []
        self.script: list[Answer] = []
        self.context = context
        super().__init__(("127.0.0.1", 0), Exchange)

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.server_address[1]}"

    def answers(self, *script: Answer) -> None:
        """One answer per request; the last one for all that follow."""
        self.script = list(script)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is not None:
            request = self.context.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away in the middle is what these tests are about."""


@dataclass
class Servers:
    running: list[tuple[ScriptedServer, threading.Thread]] = field(default_factory=list)

    def start(self, context: ssl.SSLContext | None = None) -> ScriptedServer:
        server = ScriptedServer(context)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        self.running.append((server, thread))
        return server

    def stop(self) -> None:
        for server, thread in self.running:
            server.shutdown()
            server.server_close()
            thread.join(5)


@pytest.fixture
def servers() -> Iterator[Servers]:
    found = Servers()
    yield found
    found.stop()


@pytest.fixture
def server(servers: Servers) -> ScriptedServer:
    return servers.start()


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[RESTClient]:
    found = RESTClient(ClientConfig(server.url, connect_timeout_s=5, read_timeout_s=5))
    yield found
    found.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_server(servers: Servers, authority: trustme.CA) -> ScriptedServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return servers.start(context)
