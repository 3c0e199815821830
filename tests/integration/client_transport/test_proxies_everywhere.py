"""Whatever is opened, the environment's proxy is asked for it, or is not."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.aio.transport.websocket import open_websocket as open_async_websocket
from deltawire.client.auth.https import fetcher
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.identity import OidcProvider
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.client.transport.websocket import open_websocket
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.common.meta.resources import ResourceType, find

PODS = find("pods")
assert isinstance(PODS, ResourceType)
WAIT_S = 30.0


class Refusing:
    """A proxy that refuses all, and keeps the first line of what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            near, _ = self._listener.accept()
            with near:
                near.settimeout(WAIT_S)
                head = near.recv(4096)
                if not head:
                    return
                while b"\r\n\r\n" not in head:
                    head += near.recv(4096)
                self.asked.append(head.partition(b"\r\n")[0].decode())
                near.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        # An empty connection ends the thread.
        socket.create_connection(self._listener.getsockname(), WAIT_S).close()
        self._thread.join(WAIT_S)
        self._listener.close()
        assert not self._thread.is_alive()


@pytest.fixture
def proxy() -> Iterator[Refusing]:
    made = Refusing()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def client() -> RESTClient:
    return RESTClient(ClientConfig("https://api.invalid:6443"), retry=NO_RETRIES)


def call() -> None:
    client().list_page(PODS)


def watch() -> None:
    client().open_watch(PODS)


def stream() -> None:
    ours = client()
    open_websocket(ours, ours.get().abs_path("/exec"), ["v5.channel.k8s.io"])


def async_stream() -> None:
    async def main() -> None:
        ours = AsyncRESTClient(client())
        await open_async_websocket(ours, ours.get().abs_path("/exec"), ["v5.channel.k8s.io"])

    asyncio.run(main())


def renewal() -> None:
    fetcher(OidcProvider("https://api.invalid:6443", "me"))("GET", "https://api.invalid:6443/x", {}, None)


@pytest.mark.parametrize("open_", [call, watch, stream, async_stream, renewal])
def test_requests_watches_websockets_and_identity_providers_ask_the_same_proxy(
    open_: Callable[[], None], proxy: Refusing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(DeltawireError):
        open_()
    assert {line.rpartition(" ")[0] for line in proxy.asked} == {"CONNECT api.invalid:6443"}
    proxy.asked.clear()
    monkeypatch.setenv("NO_PROXY", "other,.invalid:6443")
    with pytest.raises(DeltawireError):
        open_()
    assert proxy.asked == []


@pytest.mark.parametrize("open_", [call, watch, stream, async_stream, renewal])
def test_a_value_that_is_no_proxy_stops_the_request(
    open_: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ftp://p")
    with pytest.raises(ConfigError, match=r"\$HTTPS_PROXY"):
        open_()


@pytest.mark.parametrize("open_", [call, watch, stream, renewal])
def test_a_socks_proxy_without_its_package_is_said(
    open_: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setattr("deltawire.client.transport.websocket.find_spec", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "urllib3.contrib.socks", None)
    with pytest.raises(ConfigError, match="package for it is not installed"):
        open_()
