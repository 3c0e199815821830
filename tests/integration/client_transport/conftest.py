"""A kubelet that a test scripts: a WebSocket server on loopback, and a client of it."""

import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient

Script = Callable[[ServerConnection], None]
V5, V4 = Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")


@dataclass
class Kubelet:
    """``script`` plays one connection; ``answers`` are given instead of a handshake, one each."""

    server: Server
    url: str
    requests: list[Request] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    script: Script = lambda connection: None
    failures: list[BaseException] = field(default_factory=list)

    def seen_path(self) -> str:
        return self.requests[-1].path


class Kubelets:
    def __init__(self) -> None:
        self._running: list[tuple[Server, threading.Thread]] = []

    def start(
        self,
        script: Script,
        *,
        protocols: tuple[Subprotocol, ...] = (V5, V4),
        context: ssl.SSLContext | None = None,
        **options: Any,
    ) -> Kubelet:
        made: list[Kubelet] = []

        def handle(connection: ServerConnection) -> None:
            try:
                made[0].script(connection)
            except BaseException as error:  # shown by the test, not by the server's thread
                made[0].failures.append(error)
                raise

        def look(connection: ServerConnection, request: Request) -> Response | None:
            made[0].requests.append(request)
            return made[0].answers.pop(0) if made[0].answers else None

        def choose(connection: ServerConnection, offered: Any) -> Subprotocol | None:
            return next((name for name in protocols if name in offered), None)

        server = serve(
            handle,
            "127.0.0.1",
            0,
            ssl=context,
            select_subprotocol=choose,
            process_request=look,
            compression=None,
            **options,
        )
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self._running.append((server, thread))
        scheme = "https" if context else "http"
        made.append(Kubelet(server, f"{scheme}://127.0.0.1:{server.socket.getsockname()[1]}", script=script))
        return made[0]

    def stop(self) -> None:
        for server, thread in self._running:
            server.shutdown()
            thread.join(10)


@pytest.fixture
def kubelets() -> Iterator[Kubelets]:
    found = Kubelets()
    yield found
    found.stop()


@pytest.fixture
def client_of() -> Iterator[Callable[..., RESTClient]]:
    made: list[RESTClient] = []

    def make(kubelet: Kubelet, **config: Any) -> RESTClient:
        made.append(RESTClient(ClientConfig(kubelet.url, **{"connect_timeout_s": 5.0, **config})))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


def refusal(code: int, body: bytes, content_type: str = "application/json") -> Response:
    headers = Headers()
    headers["Content-Type"] = content_type
    headers["Content-Length"] = str(len(body))
    return Response(code, "no", headers, body)


@pytest.fixture
def refuse() -> Callable[..., Response]:
    return refusal
