"""Makes a session of the requests library reach an API server in the same process."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import requests
import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from deltawire.apiserver.inprocess.connection import MemorySocket

Dial = Callable[[], MemorySocket]
# Everything else is about TLS.
_POOL_OPTIONS = ("timeout", "maxsize", "block")


class InProcessAdapter(requests.adapters.HTTPAdapter):
    """``session.mount(server.url, adapter)``. Whatever the URL's host: all requests go to the one server.

    ``dial`` makes a connection and raises OSError where there is none to be had. Time-outs, streams and errors
    are those of the library over a socket. Proxies are not asked, and an https URL is taken without TLS.
    """

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **options)
        self.poolmanager.pool_classes_by_scheme = dict.fromkeys(
            ("http", "https"), partial(_Pool, dial=self._dial)
        )

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        return super().send(request, stream, timeout, verify, cert, None)


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, dial: Dial, **options: Any) -> None:
        super().__init__(*args, **options)
        self._dial = dial

    def _new_conn(self) -> Any:
        try:
            return self._dial()
        except OSError as error:
            raise NewConnectionError(self, f"the API server in this process: {error}") from error

    @property
    def is_connected(self) -> bool:
        return isinstance(self.sock, MemorySocket) and self.sock.is_open


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection

    def __init__(self, host: str, port: int | None, *, dial: Dial, **options: Any) -> None:
        known = {name: value for name, value in options.items() if name in _POOL_OPTIONS}
        super().__init__(host, port, dial=dial, **known)
