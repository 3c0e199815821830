"""HTTP connections to one API server: a requests Session with our sockets, our trust, and no surprises.

No surprises: of the environment only the proxy variables count, and never for loopback; no .netrc, no
cookies, no CA from REQUESTS_CA_BUNDLE, no address of another host with our credentials.
"""

import http.cookiejar
import logging
import os
import socket
import ssl
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3

from deltawire.client.auth.credentials import Credentials
from deltawire.client.auth.impersonation import headers_of
from deltawire.client.auth.tls_source import TlsSource, TlsState
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.proxies import normal, proxy_for
from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError

log = logging.getLogger(__name__)

POOL_CONNECTIONS_MAX = 25  # idle connections kept, as client-go keeps per host

# A peer that is gone is found within 30 s: three probes 5 s apart after 10 s of silence, and at most 30 s
# for the acknowledgement of what was sent (P8).
KEEPALIVE_IDLE_S = 10
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_PROBES = 3
USER_TIMEOUT_MS = 30_000


def socket_options() -> list[tuple[int, int, int]]:
    """Options for every connection; what a platform does not know is left out."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    wanted = {
        "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE": KEEPALIVE_IDLE_S,
        "TCP_KEEPINTVL": KEEPALIVE_INTERVAL_S,
        "TCP_KEEPCNT": KEEPALIVE_PROBES,
        "TCP_USER_TIMEOUT": USER_TIMEOUT_MS,
    }
    for name, value in wanted.items():
        option = getattr(socket, name, None)
        if option is not None:
            options.append((socket.IPPROTO_TCP, option, value))
    return options


NewAdapter = Callable[[], requests.adapters.BaseAdapter]


class Connector:
    """Makes sessions for one configuration, and ends those whose TLS identity is over.

    Ordinary calls share `pooled`; each stream has a session of its own. All share one TLS context, which is
    looked at for each of them: a changed client certificate closes idle connections and open streams, so that
    every handshake after that shows the new one; a changed CA closes idle connections.
    ``adapter`` makes what carries a session's requests; None is HTTP over sockets.
    """

    def __init__(
        self, config: ClientConfig, credentials: Credentials, clock: Clock, adapter: NewAdapter | None = None
    ) -> None:
        self._config = config
        self._new_adapter = adapter
        self.tls = TlsSource(config, credentials, clock)
        self.repeated_headers = headers_of(config.impersonate)
        self.has_sockets = adapter is None
        self.proxies = proxies_of(config)
        self._lock = threading.Lock()
        self._streams: weakref.WeakSet[Closable] = weakref.WeakSet()
        self._made_with = self.tls.held
        self._session = self._new_session(self._made_with.context)
        if config.is_tls and config.insecure_skip_tls_verify:
            # Said once by us, with the place to look; urllib3 would say it at each request, without.
            log.warning("the certificate of %s is not checked (%s)", config.host, config.source)
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def pooled(self) -> requests.Session:
        """The session of ordinary calls. Raises CredentialsError where a plug-in's certificate is needed."""
        return self._renewed(self.tls.current())

    def session(self) -> requests.Session:
        """A new session, for a stream. Raises as `pooled`."""
        state = self.tls.current()
        self._renewed(state)
        return self._new_session(state.context)

    def context(self) -> ssl.SSLContext | None:
        """The TLS context that counts now; None without TLS. Raises as `pooled`."""
        state = self.tls.current()
        self._renewed(state)
        return state.context

    def repeat_headers(self, request: requests.PreparedRequest) -> None:
        """Add the headers of which there may be several with one name: a dict of requests cannot hold them."""
        if not self.repeated_headers or "Impersonate-User" in request.headers:
            return
        headers = urllib3.HTTPHeaderDict(request.headers)
        for name, value in self.repeated_headers:
            headers.add(name, value)
        request.headers = headers  # type: ignore[assignment]  # urllib3 takes both, and asks for nothing else

    def track(self, stream: "Closable") -> None:
        """``stream`` is to be closed when our certificate changes."""
        with self._lock:
            self._streams.add(stream)

    def look_again(self) -> bool:
        """Read certificate and CA files now. True if something else is in them."""
        return self.tls.look_again()

    def close(self) -> None:
        """Close the idle connections of ordinary calls."""
        with self._lock:
            self._session.close()

    def _renewed(self, state: TlsState) -> requests.Session:
        if state is self._made_with:
            return self._session
        streams: list[Closable] = []
        with self._lock:
            if state is not self._made_with:
                if state.identity != self._made_with.identity:
                    streams = list(self._streams)
                    self._streams.clear()
                self._made_with = state
                old, self._session = self._session, self._new_session(state.context)
                old.close()
            session = self._session
        for stream in streams:
            stream.close()
        return session

    def _new_session(self, context: ssl.SSLContext | None) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.proxies = dict(self.proxies)
        session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        if self._new_adapter is None:
            adapter: requests.adapters.BaseAdapter = PinnedAdapter(context, self._config.tls_server_name)
        else:
            adapter = self._new_adapter()
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session


class Closable(Protocol):
    """An open stream."""

    def close(self) -> None: ...


class PinnedAdapter(requests.adapters.HTTPAdapter):
    """Uses one TLS context as it is: requests would add the public authorities to a private CA."""

    def __init__(self, context: ssl.SSLContext | None, server_name: str) -> None:
        self._pool_options: dict[str, Any] = {"socket_options": socket_options()}
        if context is not None:
            self._pool_options["ssl_context"] = context
        if server_name:
            self._pool_options["server_hostname"] = server_name
        super().__init__(pool_maxsize=POOL_CONNECTIONS_MAX)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **options, **self._pool_options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, **self._pool_options)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        parts = urlsplit(request.url or "")
        return {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context decides."""

    def close(self) -> None:
        """Close the idle connections now: urllib3 would when nothing refers to the pool any more, and an
        error that somebody keeps does."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            keys = manager.pools.keys()  # a copy; the container itself refuses to be iterated over
            for key in keys:
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()


def proxies_of(config: ClientConfig) -> Mapping[str, str]:
    """Proxy by scheme: the configuration's, else the environment's.

    Raises ConfigError for what is no proxy, and for a SOCKS proxy where the package for it is missing.
    """
    if config.proxy_url:
        used = normal(config.proxy_url, config.source)
        found = {"http": used, "https": used}
    else:
        used = proxy_for(config.host, os.environ)
        found = {urlsplit(config.host).scheme.lower(): used} if used else {}
    if any(url.startswith("socks") for url in found.values()) and find_spec("socks") is None:
        raise ConfigError(
            "a SOCKS proxy is set, and the package for it is not installed",
            path=config.source,
            hint="pip install PySocks, or use an http proxy",
        )
    return found
