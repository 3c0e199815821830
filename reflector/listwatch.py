"""The ListerWatcher: the two requests that a reflector needs, for one resource, namespace and selection."""

from collections.abc import Sequence
from typing import Protocol

from deltawire.client.rest.client import RESTClient
from deltawire.common.errors import ConfigError, StatusError
from deltawire.common.meta.resources import BUILTIN, ResourceType, find, parse_query
from deltawire.reflector.action import Params
from deltawire.reflector.cluster import Cluster
from deltawire.reflector.connection import IDLE_S

ALL_NAMESPACES = "*"
# Until a watch is accepted; on the few servers that announce an end of the connection it also stays the
# bound afterwards, so it lies above the machine's own.
OPEN_S_MAX = IDLE_S + 10.0


class ByteStream(Protocol):
    """An open watch. One thread reads, any thread may close."""

    def read(self) -> bytes:
        """What has arrived, as soon as there is anything; b"" at the end. Raises TransportError."""
        ...

    def is_ready(self) -> bool:
        """The next `read` will hardly wait. False says little."""
        ...

    def is_empty(self) -> bool:
        """All was read that has come. False says little."""
        ...

    def set_read_timeout(self, seconds: float | None) -> bool: ...

    def close(self) -> None: ...


class ListerWatcher(Protocol):
    """All methods raise StatusError, TransportError or ConfigError; for the reader's thread only."""

    def resource(self) -> ResourceType:
        """What is listed; found out at the first call."""
        ...

    def check_cluster(self) -> None:
        """Raises ClusterChangedError if behind the name is another cluster than before, ClusterUnknownError where
        that cannot be known."""
        ...

    def connection_ended(self, is_dead: bool) -> None:
        """A request or a watch is over; ``is_dead``: without an answer, so that idle connections may be dead, too.
        May be called from any thread."""
        ...

    def list(self, params: Params) -> bytes: ...

    def watch(self, params: Params) -> ByteStream: ...


class Resolver(Protocol):
    """Finds a resource that is not built in (discovery); raises ConfigError where there is none."""

    def __call__(self, client: RESTClient, word: str) -> ResourceType: ...


class ClusterListerWatcher:
    """``stream`` is a namespace or ``*``; the selectors are sent as they are. ``before``: the resources of the
    cluster's other informers that come first, by their names in the config."""

    def __init__(
        self,
        cluster: Cluster,
        resource: str,
        stream: str,
        resolve: Resolver,
        *,
        label_selector: str = "",
        field_selector: str = "",
        before: Sequence[str] = (),
    ) -> None:
        self._cluster = cluster
        self._before = before
        self._word = resource
        self._namespace = "" if stream == ALL_NAMESPACES else stream
        self._resolve = resolve
        self._selectors: Params = {}
        if label_selector:
            self._selectors["labelSelector"] = label_selector
        if field_selector:
            self._selectors["fieldSelector"] = field_selector
        self._resource: ResourceType | None = None

    def resource(self) -> ResourceType:
        if self._resource is None:
            found = find(self._word, BUILTIN) or self._resolve(self._cluster.client, self._word)
            self._refuse_a_twin(found)
            if self._namespace and not found.namespaced:
                raise ConfigError(
                    f"{found.name} belong to no namespace, but namespace {self._namespace!r} was asked for",
                    hint="leave out namespaces",
                )
            self._resource = found
        return self._resource

    def _refuse_a_twin(self, found: ResourceType) -> None:
        """Raises ConfigError where an informer before this one watches the same resource under another name."""
        for word in self._before:
            may_be = any(query.matches(found) for query in parse_query(word))
            if may_be and self._resolve(self._cluster.client, word).name == found.name:
                raise ConfigError(
                    f"{self._word!r} and {word!r} are one resource, and one informer serves it",
                    hint=f"name it {found.name} everywhere",
                )

    def check_cluster(self) -> None:
        self._cluster.check()

    def connection_ended(self, is_dead: bool) -> None:
        self._cluster.connection_ended()
        if is_dead:
            self._cluster.close()

    def list(self, params: Params) -> bytes:
        try:
            return self._cluster.client.list_page(self.resource(), self._namespace, params | self._selectors)
        except StatusError as error:
            self._forget_if_missing(error)
            raise

    def watch(self, params: Params) -> ByteStream:
        try:
            stream = self._cluster.client.open_watch(
                self.resource(), self._namespace, params | self._selectors, read_timeout_s=OPEN_S_MAX
            )
        except StatusError as error:
            self._forget_if_missing(error)
            raise
        stream.set_read_timeout(None)
        return stream

    def _forget_if_missing(self, error: StatusError) -> None:
        """A custom resource that vanished may come back in another version."""
        if error.code == 404:
            self._resource = None
