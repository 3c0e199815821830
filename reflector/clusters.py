"""The clusters of one process' streams, and what the broker was told of each.

Belongs to the main loop's thread.
"""

from collections.abc import Callable

from deltawire.client.discovery.cluster_id import cluster_id
from deltawire.client.rest.client import RESTClient
from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.cluster import Cluster, IdentityProbe

# How long a cluster may leave us without an answer before the broker is told to take the last id it knows.
IDENTITY_PATIENCE_S = 3.0


class Clusters:
    """``send(cluster, id)`` tells the broker and is false without a session; ``wake(cluster)`` is called from
    another thread when an id was found."""

    def __init__(
        self, *, clock: Clock, send: Callable[[str, str], bool], wake: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._send = send
        self._wake = wake
        self._clusters: dict[str, Cluster] = {}
        self._probes: list[IdentityProbe] = []
        self._told: dict[str, str] = {}
        self._session_since_s: float | None = None

    def add(self, name: str, connect: Callable[[], RESTClient]) -> Cluster:
        """The cluster of that name, made at the first call."""
        if name not in self._clusters:
            self._clusters[name] = Cluster(name, connect, cluster_id)
        return self._clusters[name]

    def ids(self) -> dict[str, str]:
        return {name: cluster.id for name, cluster in self._clusters.items()}

    def error_of(self, name: str) -> DeltawireError | None:
        """Why a cluster has no id yet."""
        cluster = self._clusters[name]
        return None if cluster.id else cluster.error

    def start(self) -> None:
        """Begin to ask the clusters who they are."""
        for name, cluster in self._clusters.items():
            wake = self._waker_of(name)
            self._probes.append(IdentityProbe(cluster, backoff=Backoff(), clock=self._clock, wake=wake))

    def session_opened(self) -> None:
        """This broker knows nothing yet."""
        self._told = {}
        self._session_since_s = self._clock.now_s()

    def session_lost(self) -> None:
        self._session_since_s = None

    def tell(self) -> None:
        """Each id as soon as it is known, "" once where that takes long."""
        since_s = self._session_since_s
        if since_s is None:
            return
        for name, cluster in self._clusters.items():
            told = self._told.get(name)
            if cluster.id and not told:
                self._say(name, cluster.id)
            elif told is None and self._clock.now_s() - since_s >= IDENTITY_PATIENCE_S:
                self._say(name, "")

    def changed(self, name: str, found: str) -> bool:
        """Another id was found; the broker hears of it. False if it was told before."""
        if self._told.get(name) == found:
            return False
        self._say(name, found)
        return True

    def close(self) -> None:
        for probe in self._probes:
            probe.close()
        for cluster in self._clusters.values():
            cluster.close()

    def _say(self, name: str, found: str) -> None:
        if self._send(name, found):
            self._told[name] = found

    def _waker_of(self, name: str) -> Callable[[], None]:
        return lambda: self._wake(name)
