"""One WebSocket to the API server: opened as a request would be, failures as our errors."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.failures import status_error, transport_error
from deltawire.client.rest.request import Request
from deltawire.client.rest.upgrade import Upgrade
from deltawire.client.transport.tls_socket import wrapping
from deltawire.common.errors import ConfigError, TransportError

# As client-go: a ping each 5 s, and 12 of them unanswered are the end.
PING_INTERVAL_S = 5.0
PING_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 2.0
MESSAGE_BYTES_MAX = 1024 * 1024
# Messages that wait to be read: the server is slowed down beyond that.
MESSAGES_MAX = 16
ERROR_BODY_BYTES_MAX = 64 * 1024

# The library writes handshakes and frames at DEBUG, tokens and passwords included.
_frames_log = logging.getLogger(f"{__name__}.frames")
_frames_log.setLevel(logging.INFO)


class _Connection(Protocol):
    """What is used of the library's connection."""

    @property
    def subprotocol(self) -> str | None: ...

    def send(self, message: bytes) -> None: ...

    def recv(self, timeout: float | None = None) -> str | bytes: ...

    def close(self) -> None: ...


class WebSocket:
    """Messages both ways. Any thread may `send` and `close`, one reads.

    Methods raise TransportError; ``reason`` ``reset`` is a connection that ended otherwise than by a close of
    the server.
    """

    def __init__(self, connection: _Connection, origin: str, closing: contextlib.ExitStack) -> None:
        self._connection = connection
        self._origin = origin
        self._closing = closing
        self._is_closed = False
        self.protocol = str(connection.subprotocol)

    def send(self, message: bytes) -> None:
        from websockets.exceptions import WebSocketException

        try:
            self._connection.send(message)
        except (WebSocketException, OSError) as error:
            raise cut(self._origin, error) from error

    def receive(self, timeout_s: float | None = None) -> str | bytes | None:
        """The next message; None where the server (or `close`) has closed. Raises TimeoutError."""
        from websockets.exceptions import ConnectionClosedOK, WebSocketException

        try:
            return self._connection.recv(timeout_s)
        except ConnectionClosedOK:
            return None
        except TimeoutError:
            raise
        except (WebSocketException, OSError) as error:
            if self._is_closed:
                return None
            raise cut(self._origin, error) from error

    def close(self) -> None:
        """May be called again."""
        self._is_closed = True
        self._closing.close()


def open_websocket(client: RESTClient, request: Request, protocols: Sequence[str]) -> WebSocket:
    """A WebSocket for ``request``, in the first of ``protocols`` that the server speaks.

    Raises StatusError where the server refuses, TransportError where it cannot be reached or does not speak any of
    the protocols, ConfigError for a SOCKS proxy without its package. A 401 is tried once more with fresh credentials.
    """

    def open(upgrade: Upgrade) -> WebSocket:
        return _open(upgrade, protocols)

    return client.upgraded(request.call(), open)


def _open(upgrade: Upgrade, protocols: Sequence[str]) -> WebSocket:
    # Imported at the first use, since it is slow to load.
    from websockets.sync.client import connect

    context = None if upgrade.context is None else wrapping(upgrade.context)
    closing = contextlib.ExitStack()
    with handshake(upgrade):
        connection = closing.enter_context(
            connect(upgrade.url, ssl=context, **handshake_options(upgrade, protocols))
        )
    if connection.subprotocol is None:
        closing.close()
        raise not_spoken(upgrade, f"none of {', '.join(protocols)}")
    return WebSocket(connection, upgrade.origin, closing)


# What sync and async code share.


def handshake_options(upgrade: Upgrade, protocols: Sequence[str]) -> dict[str, Any]:
    """The library's, but for TLS. Raises ConfigError for a SOCKS proxy without its package."""
    if upgrade.proxy.startswith("socks") and find_spec("python_socks") is None:
        raise ConfigError(
            f"{upgrade.path} goes through a SOCKS proxy, and the package for it is not installed",
            hint="pip install python-socks, or use an http proxy",
        )
    options: dict[str, Any] = {
        "subprotocols": list(protocols),
        "additional_headers": list(upgrade.headers),
        "user_agent_header": None,
        "compression": None,
        "proxy": upgrade.proxy or None,
        "open_timeout": upgrade.connect_timeout_s,
        "ping_interval": PING_INTERVAL_S,
        "ping_timeout": PING_TIMEOUT_S,
        "close_timeout": CLOSE_TIMEOUT_S,
        "max_size": MESSAGE_BYTES_MAX,
        "max_queue": MESSAGES_MAX,
        "logger": _frames_log,
    }
    if upgrade.context is not None and upgrade.server_name:
        options["server_hostname"] = upgrade.server_name
    return options


@contextlib.contextmanager
def handshake(upgrade: Upgrade) -> Iterator[None]:
    """The library's errors of a handshake as ours: StatusError and TransportError."""
    from websockets.exceptions import InvalidStatus, NegotiationError, ProxyError, WebSocketException

    try:
        yield
    except InvalidStatus as error:
        answer = error.response
        body = (answer.body or b"")[:ERROR_BODY_BYTES_MAX]
        raise status_error("GET", upgrade.path, answer.status_code, answer.headers, bytes(body)) from None
    except ProxyError:
        raise TransportError(
            f"the proxy on the way to {upgrade.origin} refused the connection", reason="proxy"
        ) from None
    except NegotiationError as error:
        raise not_spoken(upgrade, _one_line(error)) from None
    except TimeoutError as error:
        raise TransportError(
            f"{upgrade.origin} did not accept the connection in time", reason="timeout"
        ) from error
    except WebSocketException as error:
        if isinstance(error.__cause__, EOFError | OSError):
            raise TransportError(f"{upgrade.origin} cut the connection", reason="reset") from error
        raise not_spoken(upgrade, _one_line(error)) from None
    except OSError as error:
        raise transport_error(error, upgrade.origin) from error


def cut(origin: str, error: BaseException) -> TransportError:
    """The error for a stream that ended otherwise than by a close."""
    return TransportError(f"{origin} cut the stream: {_one_line(error)}", reason="reset")


def not_spoken(upgrade: Upgrade, what: str) -> TransportError:
    return TransportError(
        f"{upgrade.origin} does not open a stream for {upgrade.path}: {what}",
        reason="garbage",
        hint="streams over WebSockets need Kubernetes 1.30 or newer, and proxies that pass them on",
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
