"""The clusters of one process' streams, and the ids sent to and received from the broker.

Belongs to the main loop's thread.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deltawire.client.discovery.cluster_id import cluster_uid
from deltawire.client.rest.client import RESTClient
from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.cluster import Cluster, IdentityProbe
from deltawire.reflector.openings import Openings
from deltawire.reflector.relists import ListGate

# How long a cluster may not answer before the broker is sent "": it then takes the last id it knows.
IDENTITY_PATIENCE_S = 3.0


@dataclass(slots=True)
class Shared:
    """What the streams of one cluster share."""

    cluster: Cluster
    gate: ListGate = field(default_factory=lambda: ListGate(random.random))
    openings: Openings = field(default_factory=lambda: Openings(random.random))


class Clusters:
    """``send(cluster, id, address)`` sends an id to the broker and is false without a session; ``wake(cluster)`` is
    called from another thread when an id was found."""

    def __init__(
        self, *, clock: Clock, send: Callable[[str, str, str], bool], wake: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._send = send
        self._wake = wake
        self._clusters: dict[str, Shared] = {}
        self._probes: list[IdentityProbe] = []
        self._told: dict[str, str] = {}
        self._session_since_s: float | None = None

    def add(self, name: str, connect: Callable[[], RESTClient]) -> Shared:
        """The cluster of that name, made at the first call."""
        if name not in self._clusters:
            self._clusters[name] = Shared(Cluster(name, connect, cluster_uid, self._clock))
        return self._clusters[name]

    def ids(self) -> dict[str, str]:
        return {name: shared.cluster.id for name, shared in self._clusters.items()}

    def status(self) -> dict[str, dict[str, Any]]:
        """By name, as in docs/status.md."""
        return {
            name: {
                "id": shared.cluster.id,
                "warning": shared.cluster.warning,
                "error": str(shared.cluster.error or ""),
                "reads": shared.cluster.reads,
            }
            for name, shared in self._clusters.items()
        }

    def error_of(self, name: str) -> DeltawireError | None:
        """Why a cluster has no id yet."""
        cluster = self._clusters[name].cluster
        return None if cluster.id else cluster.error

    def told(self, name: str, cluster_id: str, address: str) -> None:
        """The broker knows the cluster, from the state or from another reflector."""
        if name in self._clusters:
            self._clusters[name].cluster.told(cluster_id, address)

    def start(self) -> None:
        """Begin to read the clusters' ids."""
        for name, shared in self._clusters.items():
            wake = self._waker_of(name)
            self._probes.append(IdentityProbe(shared.cluster, backoff=Backoff(), clock=self._clock, wake=wake))

    def session_opened(self) -> None:
        """This broker knows nothing yet."""
        self._told = {}
        self._session_since_s = self._clock.now_s()

    def session_lost(self) -> None:
        self._session_since_s = None

    def tell(self) -> None:
        """Send each id to the broker as soon as it is known or has changed; "" once, if that takes long.

        Call it when an id was found, and IDENTITY_PATIENCE_S after a session was opened.
        """
        for name in self._clusters:
            self.tell_of(name)

    def tell_of(self, name: str) -> None:
        """As `tell`, of one cluster."""
        since_s = self._session_since_s
        if since_s is None:
            return
        cluster = self._clusters[name].cluster
        told, found = self._told.get(name), cluster.other or cluster.id
        if found and told != found:
            self._say(name, found)
        elif told is None and self._clock.now_s() - since_s >= IDENTITY_PATIENCE_S:
            self._say(name, "")

    def changed(self, name: str, found: str) -> bool:
        """Another id was found; it is sent to the broker. False if it was sent before."""
        if self._told.get(name) == found:
            return False
        self._say(name, found)
        return True

    def close(self) -> None:
        for probe in self._probes:
            probe.close()
        for shared in self._clusters.values():
            shared.cluster.close()

    def _say(self, name: str, found: str) -> None:
        if self._send(name, found, self._clusters[name].cluster.address):
            self._told[name] = found

    def _waker_of(self, name: str) -> Callable[[], None]:
        return lambda: self._wake(name)
