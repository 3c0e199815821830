"""RESTClient: sends requests to one API server, and nothing else."""

import threading
from collections.abc import Callable, Mapping
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from deltawire.client.auth.credentials import Credentials, credentials_of
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.call import Call
from deltawire.client.rest.connection import Connector, NewAdapter
from deltawire.client.rest.exchange import (
    ANSWER_BYTES_MAX,
    ERROR_BODY_BYTES_MAX,
    Attempts,
    failure_of,
    hear_warnings,
    is_success,
    refuse_page,
    too_large,
    url_of,
)
from deltawire.client.rest.failures import transport_error
from deltawire.client.rest.rate_limiter import RateLimiter
from deltawire.client.rest.request import Request, Scalar, patch_media_type
from deltawire.client.rest.request_log import logged
from deltawire.client.rest.resource_client import ResourceClient
from deltawire.client.rest.result import Result
from deltawire.client.rest.retry import NO_RETRIES, RetryPolicy
from deltawire.client.rest.upgrade import Upgrade
from deltawire.client.rest.warnings import WarningHandler, log_warnings
from deltawire.client.rest.watch_stream import WatchStream
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError, DeltawireError, StatusError, TransportError
from deltawire.common.meta.resources import ResourceType
from deltawire.common.version import __version__

T = TypeVar("T")

_READ_BYTES = 1024 * 1024

# What every exception of the HTTP libraries derives from. ValueError: http.client's word for a header or a
# URL that it will not send.
_FOREIGN = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class RESTClient:
    """Requests for one API server. May be used from many threads; not picklable (pickle its config).

    ``group_version`` (``v1``, ``apps/v1``) is where a plain resource name belongs; without it a request
    names a ResourceType or an absolute path. Every request except the first of a watch waits for ``rate_limiter``;
    without one only the server limits. ``stop`` ends waits for it and between retries. ``adapter`` makes transport
    adapters of the requests library, in place of sockets: see `deltawire.fake`. Raises ConfigError for a configuration
    that cannot work: a bad URL, an unreadable certificate or token.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        group_version: str = "",
        retry: RetryPolicy | None = None,
        rate_limiter: RateLimiter | None = None,
        on_warning: WarningHandler = log_warnings,
        clock: Clock | None = None,
        stop: threading.Event | None = None,
        adapter: NewAdapter | None = None,
    ) -> None:
        if not isinstance(config, ClientConfig):
            raise TypeError(
                f"RESTClient takes a ClientConfig, not a {type(config).__name__}: as in "
                "RESTClient(ClientConfig('https://10.0.0.1:6443')), or what client.config.loading.load finds"
            )
        parts = urlsplit(config.host)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"{config.host!r} is not a server's URL",
                path=config.source,
                hint="as in https://10.0.0.1:6443",
            )
        self.config = config
        self._origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._prefix = parts.path.rstrip("/")
        self.base_path = _api_root(group_version)
        self._retry = retry or RetryPolicy()
        self.rate_limiter = rate_limiter
        self._on_warning = on_warning
        self.clock = clock or SystemClock()
        self._stop = stop
        self._credentials: Credentials = credentials_of(config, clock=self.clock)
        self.connector = Connector(config, self._credentials, self.clock, adapter)
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity" if config.disable_compression else "gzip",
            "User-Agent": config.user_agent or f"deltawire/{__version__}",
        }

    # -- the builder, with client-go's verbs

    def verb(self, verb: str) -> Request:
        return Request(self, verb, base_path=self.base_path, read_timeout_s=self.config.read_timeout_s)

    def get(self) -> Request:
        return self.verb("GET")

    def post(self) -> Request:
        return self.verb("POST")

    def put(self) -> Request:
        return self.verb("PUT")

    def patch(self, patch_type: str = "merge") -> Request:
        """``patch_type`` is ``json``, ``merge``, ``strategic`` or ``apply``."""
        return self.verb("PATCH").set_header("Content-Type", patch_media_type(patch_type))

    def delete(self) -> Request:
        return self.verb("DELETE")

    # -- bytes in, bytes out

    def of(self, resource: ResourceType, namespace: str = "") -> ResourceClient:
        """get, create, update, patch, delete of one resource."""
        return ResourceClient(self, resource, namespace)

    def list_page(
        self, resource: ResourceType, namespace: str = "", params: Mapping[str, Scalar | None] | None = None
    ) -> bytes:
        """One LIST request, its body as received. It is not retried: callers have a loop of their own."""
        request = self.get().resource(resource).params(params or {}).retry(NO_RETRIES)
        return request.namespace_if_scoped(namespace, resource.namespaced).do().raw

    def open_watch(
        self,
        resource: ResourceType,
        namespace: str = "",
        params: Mapping[str, Scalar | None] | None = None,
        *,
        read_timeout_s: float | None = None,
    ) -> WatchStream:
        """One WATCH request; returns when the server has accepted it.

        ``read_timeout_s`` bounds silence before and after that; None waits for ever, as long as TCP finds
        the peer alive. `WatchStream.set_read_timeout` changes it on the way.
        """
        request = self.get().resource(resource).param("watch", True).params(params or {}).retry(NO_RETRIES)
        return (
            request.namespace_if_scoped(namespace, resource.namespaced).read_timeout(read_timeout_s).stream()
        )

    # -- sending

    def execute(self, call: Call) -> Result:
        attempts = self.attempts(call)
        while True:
            self._throttle(call)
            identity = self.identity(call)
            try:
                return self._answer(call, identity, attempts=attempts.number)
            except DeltawireError as error:
                if attempts.may_refresh and self.may_refresh(error, identity):
                    attempts.refreshed()
                    continue
                delay_s = attempts.delay_s(error)
                if delay_s is None or self.clock.sleep(delay_s, self._stop):
                    attempts.final(error)
                    raise
                attempts.again(error)

    def open_stream(self, call: Call) -> WatchStream:
        """A stream on a connection of its own. Sent again only after a 401, with fresh credentials."""
        if ("watch", "true") not in call.params:
            self._throttle(call)
        identity = self.identity(call)
        try:
            return self._stream(call, identity)
        except DeltawireError as error:
            if not self.may_refresh(error, identity):
                raise
        self._throttle(call)
        return self._stream(call, self.identity(call))

    def upgraded(self, call: Call, open: Callable[[Upgrade], T]) -> T:
        """What ``open`` makes of a handshake for ``call``; once more after a 401, with fresh credentials.

        For protocols other than HTTP (client/transport). ``open`` raises StatusError and TransportError.
        """
        self._throttle(call)
        identity = self.identity(call)
        try:
            return open(self.upgrade(call, identity))
        except DeltawireError as error:
            if not self.may_refresh(error, identity):
                raise
        return open(self.upgrade(call, self.identity(call)))

    # -- what the async client needs of it (client/aio)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self._origin

    def attempts(self, call: Call) -> Attempts:
        return Attempts(call, self._retry)

    def identity(self, call: Call) -> Mapping[str, str]:
        """The identity headers; those that the call has set itself are left alone. May run a plug-in."""
        return {} if "Authorization" in call.headers else self._credentials.headers()

    def may_refresh(self, error: DeltawireError, identity: Mapping[str, str]) -> bool:
        """True if the server did not accept who we are, or we it, and that may be different now."""
        if isinstance(error, StatusError) and error.is_unauthorized:
            return self._credentials.invalidate(identity) or self.connector.look_again()
        is_tls = isinstance(error, TransportError) and error.reason == "tls"
        return is_tls and self.connector.look_again()

    def url(self, call: Call) -> str:
        return url_of(self._origin + self._prefix, call)

    def headers(self, call: Call, more: Mapping[str, str]) -> dict[str, str]:
        """All headers but the repeated ones (`Connector.repeated_headers`)."""
        return {**self._headers, **more, **call.headers}

    def hear_warnings(self, call: Call, header: str | None) -> None:
        hear_warnings(call, header, self._on_warning)

    def upgrade(self, call: Call, identity: Mapping[str, str]) -> Upgrade:
        """A handshake for ``call``. Raises ConfigError where there are no sockets. May read files."""
        if not self.connector.has_sockets:
            raise ConfigError(
                f"{call.path} needs a socket, and this client has none", hint="use a server that listens"
            )
        headers = {"User-Agent": self._headers["User-Agent"], **identity, **call.headers}
        return Upgrade(
            "ws" + self.url(call).removeprefix("http"),
            self._origin,
            call.path,
            (*headers.items(), *self.connector.repeated_headers),
            self.connector.context(),
            self.config.tls_server_name,
            self.connector.proxies.get("https" if self.config.is_tls else "http", ""),
            self.config.connect_timeout_s,
        )

    def close(self) -> None:
        """Close the idle connections. Open streams go on."""
        self.connector.close()

    def _throttle(self, call: Call) -> None:
        if self.rate_limiter is not None and self.rate_limiter.wait(self._stop):
            raise TransportError(f"{call.method} {call.path}: stopped before it was sent")

    def _answer(self, call: Call, identity: Mapping[str, str], *, attempts: int) -> Result:
        response = self._send(self.connector.pooled(), call, identity)
        try:
            self._raise_for_status(call, response)
            body = self._body(call, response, ANSWER_BYTES_MAX)
            return Result(response.status_code, response.headers, body, attempts)
        finally:
            response.close()

    def _stream(self, call: Call, identity: Mapping[str, str]) -> WatchStream:
        session = self.connector.session()
        try:
            # Compressed events would come in blocks, late; real servers do not compress a watch anyway.
            response = self._send(session, call, {"Accept-Encoding": "identity", **identity})
            self._raise_for_status(call, response)
        except BaseException:
            session.close()
            raise

        def release() -> None:
            response.close()
            session.close()

        stream = WatchStream(response.raw, self._origin, release=release)
        self.connector.track(stream)
        return stream

    def _send(
        self, session: requests.Session, call: Call, more_headers: Mapping[str, str]
    ) -> requests.Response:
        headers = self.headers(call, more_headers)
        try:
            request = requests.Request(call.method, self.url(call), headers=headers, data=call.body).prepare()
            self.connector.repeat_headers(request)
            return logged(
                request,
                lambda: session.send(
                    request,
                    stream=True,
                    timeout=(self.config.connect_timeout_s, call.read_timeout_s),
                    # A redirected write would arrive as a GET: the redirect is returned as the answer.
                    allow_redirects=call.method == "GET",
                    proxies=dict(self.connector.proxies),
                ),
                self.clock,
            )
        except _FOREIGN as exc:
            raise transport_error(exc, self._origin) from exc

    def _raise_for_status(self, call: Call, response: requests.Response) -> None:
        self.hear_warnings(call, response.headers.get("Warning"))
        if is_success(response.status_code):
            try:
                refuse_page(call, self._origin, response.headers.get("Content-Type", ""))
            except TransportError:
                response.close()
                raise
            return
        try:
            body = response.raw.read(ERROR_BODY_BYTES_MAX, decode_content=True)
        except _FOREIGN:
            body = b""  # the code says enough
        finally:
            response.close()
        raise failure_of(call, response.status_code, response.headers, body)

    def _body(self, call: Call, response: requests.Response, bytes_max: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while part := response.raw.read(_READ_BYTES, decode_content=True):
                parts.append(part)
                size += len(part)
                if size > bytes_max:
                    break
        except _FOREIGN as exc:
            raise transport_error(exc, self._origin) from exc
        if size > bytes_max:
            raise too_large(call, bytes_max)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a RESTClient holds connections and cannot be pickled: pickle its config and make a new one"
        )


def checked_rest(rest: RESTClient, taker: str, hint: str = "RESTClient(config)") -> RESTClient:
    """``rest`` if it is one. The TypeError says what ``taker`` takes, and that ``hint`` makes it."""
    if isinstance(rest, RESTClient):
        return rest
    if isinstance(rest, ClientConfig):
        way = hint
    elif isinstance(getattr(rest, "rest", None), RESTClient):
        way = f"the .rest of the {type(rest).__name__}"
    else:
        way = f"{hint} with a ClientConfig"
    raise TypeError(f"{taker} takes a RESTClient, not a {type(rest).__name__}: give {way}")


def _api_root(group_version: str) -> str:
    if not group_version:
        return ""
    return f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
