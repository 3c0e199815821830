"""The request builder: client-go's fluent calls, in snake_case. Pure until `Request.do` or `Request.stream`.

``client.get().resource("pods").namespace("default").name("web-0").do().into(Pod)``
"""

from collections.abc import Mapping
from typing import Any, Self, TypeVar, overload

import msgspec

from deltawire.client.rest.call import Call, Executor
from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.result import Result
from deltawire.client.rest.retry import RetryPolicy
from deltawire.client.rest.warnings import WarningHandler
from deltawire.client.rest.watch import Watch
from deltawire.client.rest.watch_stream import WatchStream
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType

PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}

T = TypeVar("T")

Scalar = str | int | float | bool


class RequestBuilder:
    """One API call in the making. Every method returns the request itself.

    The first mistake sticks, further calls do nothing, and it is raised as ConfigError when the call is
    sent. A request may be sent again: it keeps nothing of the answer.
    """

    def __init__(self, verb: str, *, base_path: str = "", read_timeout_s: float | None = None) -> None:
        self._verb = verb.upper()
        self._base_path = base_path.rstrip("/")
        self._abs_path: str | None = None
        self._namespace: str | None = None
        self._resource = ""
        self._name = ""
        self._subresource: tuple[str, ...] = ()
        self._suffix: tuple[str, ...] = ()
        self._params: list[tuple[str, str]] = []
        self._headers: dict[str, str] = {}
        self._body: bytes | None = None
        self._read_timeout_s = read_timeout_s
        self._retry: RetryPolicy | None = None
        self._on_warning: WarningHandler | None = None
        self._error: ConfigError | None = None

    def resource(self, resource: str | ResourceType) -> Self:
        """The plural (``pods``), under the client's group and version; or a ResourceType with its own."""
        if self._resource:
            return self._fail(f"resource is already set to {self._resource!r}")
        if isinstance(resource, ResourceType):
            self._base_path = "/".join(resource.path().split("/")[:-1])
            resource = resource.plural
        if self._segment("resource", resource):
            self._resource = resource.lower()
        return self

    def namespace(self, namespace: str) -> Self:
        """ "" is the whole cluster; then a POST, and a GET, PUT or DELETE by name, are refused. Set once."""
        if self._namespace is not None:
            return self._fail(f"namespace is already set to {self._namespace!r}")
        if not namespace or self._segment("namespace", namespace):
            self._namespace = namespace
        return self

    def namespace_if_scoped(self, namespace: str, is_scoped: bool) -> Self:
        """`namespace` where ``is_scoped``, else nothing."""
        return self.namespace(namespace) if is_scoped else self

    def name(self, name: str) -> Self:
        if self._name:
            return self._fail(f"name is already set to {self._name!r}")
        if not name:
            return self._fail("the name may not be empty")
        if self._segment("name", name):
            self._name = name
        return self

    def sub_resource(self, *subresource: str) -> Self:
        """``status``, ``scale``, ``log``, …"""
        if self._subresource:
            return self._fail(f"sub-resource is already set to {'/'.join(self._subresource)!r}")
        if all(self._segment("sub-resource", part) for part in subresource):
            self._subresource = subresource
        return self

    def suffix(self, *segments: str) -> Self:
        """More path after everything else."""
        if all(self._segment("suffix", part) for part in segments):
            self._suffix += segments
        return self

    def abs_path(self, path: str) -> Self:
        """A path from the server's root, such as ``/version``, in place of one that is built."""
        if not path.startswith("/") or "?" in path or "#" in path or ".." in path.split("/"):
            return self._fail(f"{path!r} is not an absolute path")
        self._abs_path = path
        return self

    def param(self, name: str, value: Scalar) -> Self:
        """One query parameter; the same name may be given again."""
        if isinstance(value, bool):
            value = "true" if value else "false"
        self._params.append((name, str(value)))
        return self

    def params(self, params: Mapping[str, Scalar | None]) -> Self:
        """Several at once; None and the empty string are left out."""
        for name, value in params.items():
            if value is not None and value != "":
                self.param(name, value)
        return self

    def label_selector(self, selector: str) -> Self:
        return self.params({"labelSelector": selector})

    def field_selector(self, selector: str) -> Self:
        return self.params({"fieldSelector": selector})

    def set_header(self, name: str, value: str) -> Self:
        if not (name.isascii() and name.isprintable() and value.isascii() and value.isprintable()):
            return self._fail(f"the header {name!r} cannot be sent: only printable ASCII can")
        self._headers[name] = value
        return self

    def body(self, body: Any) -> Self:
        """JSON as bytes, or anything that msgspec can encode (dicts, Structs, dataclasses). None: no body."""
        if body is None:
            return self
        if isinstance(body, bytes | bytearray | memoryview):
            self._body = bytes(body)
        else:
            try:
                self._body = msgspec.json.encode(body)
            except (TypeError, ValueError, OverflowError) as exc:
                return self._fail(f"the body cannot be written as JSON: {exc}")
        self._headers.setdefault("Content-Type", "application/json")
        return self

    def timeout(self, timeout_s: float) -> Self:
        """Asked of the server (as the ``timeout`` parameter) and kept by us between two reads."""
        if timeout_s <= 0:
            return self._fail(f"the time-out must be above 0, not {timeout_s}")
        self._read_timeout_s = timeout_s
        whole = float(timeout_s).is_integer()
        return self.param("timeout", f"{int(timeout_s)}s" if whole else f"{int(timeout_s * 1000)}ms")

    def read_timeout(self, read_timeout_s: float | None) -> Self:
        """How long the connection may be silent, in seconds; None is no limit. It is not sent to the server."""
        self._read_timeout_s = read_timeout_s
        return self

    def max_retries(self, retries_max: int) -> Self:
        self._retry = RetryPolicy(retries_max=max(0, retries_max))
        return self

    def retry(self, policy: RetryPolicy) -> Self:
        self._retry = policy
        return self

    def warning_handler(self, handler: WarningHandler) -> Self:
        """The handler of this answer's warnings, in place of the client's."""
        self._on_warning = handler
        return self

    @property
    def path(self) -> str:
        """The URL's path as built so far."""
        if self._abs_path is not None:
            return "/".join([self._abs_path.rstrip("/"), *self._suffix]) if self._suffix else self._abs_path
        parts = [self._base_path]
        if self._namespace:
            parts += ["namespaces", self._namespace]
        if self._resource:
            parts.append(self._resource)
        if self._name:
            parts.append(self._name)
        return "/".join([*parts, *self._subresource, *self._suffix])

    def call(self) -> Call:
        """The finished call. Raises ConfigError for the first mistake in the making."""
        self._preflight()
        if self._error is not None:
            raise self._error
        return Call(
            self._verb,
            self.path,
            tuple(self._params),
            dict(self._headers),
            self._body,
            self._read_timeout_s,
            self._retry,
            self._on_warning,
        )

    def _preflight(self) -> None:
        if self._abs_path is None and not self._base_path:
            self._fail("a client without group and version needs abs_path or a ResourceType")
        if self._namespace != "" or self._abs_path is not None:
            return
        if self._verb == "POST":
            self._fail("an empty namespace may not be set during creation")
        elif self._verb in ("GET", "PUT", "DELETE") and self._name:
            self._fail("an empty namespace may not be set when a resource name is provided")

    def _segment(self, what: str, value: str) -> bool:
        """True if ``value`` may stand between two slashes."""
        if not value or value in (".", "..") or any(c in value for c in "/%?#") or not value.isprintable():
            self._fail(f"{value!r} cannot be a {what} in a path")
            return False
        return True

    def _fail(self, message: str) -> Self:
        if self._error is None:
            self._error = ConfigError(message, path=f"{self._verb} {self.path}")
        return self

    def _as_watch(self) -> Self:
        is_one = any(name == "watch" for name, _ in self._params)
        return self if is_one else self.param("watch", True)


class Request(RequestBuilder):
    """A call that the thread waits for."""

    def __init__(
        self, executor: Executor, verb: str, *, base_path: str = "", read_timeout_s: float | None = None
    ) -> None:
        super().__init__(verb, base_path=base_path, read_timeout_s=read_timeout_s)
        self._executor = executor

    def do(self) -> Result:
        """Send it and wait for the whole answer. Raises ConfigError, StatusError, TransportError."""
        return self._executor.execute(self.call())

    def stream(self) -> WatchStream:
        """Send it and read the answer as it comes. Raises ConfigError, StatusError, TransportError."""
        return self._executor.open_stream(self.call())

    @overload
    def watch(self) -> Watch[Any]: ...

    @overload
    def watch(self, type: type[T]) -> Watch[T]: ...

    def watch(self, type: Any = Any) -> Watch[Any]:
        """Open a watch whose events hold objects of ``type``; dicts without one.

        Raises ConfigError, StatusError, TransportError.
        """
        return Watch(self._as_watch().stream(), decoder_of(type))


def patch_media_type(patch_type: str) -> str:
    """The media type of ``json``, ``merge``, ``strategic`` or ``apply``. Raises ConfigError."""
    found = PATCH_TYPES.get(patch_type)
    if found is None:
        raise ConfigError(f"{patch_type!r} is no patch type", hint=f"one of {', '.join(PATCH_TYPES)}")
    return found
