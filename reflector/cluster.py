"""One API server as this process knows it: a client made when it is needed, and who the cluster is."""

import logging
import threading
from collections.abc import Callable

from deltawire.client.rest.client import RESTClient
from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError, StateError
from deltawire.reflector.backoff import Backoff

log = logging.getLogger(__name__)

# The same error is logged again after so long.
LOG_EVERY_S = 60.0


class ClusterChangedError(StateError):
    """Behind the name is another cluster than before. Its streams stop: a list would sweep everything."""

    def __init__(self, cluster: str, known: str, found: str) -> None:
        super().__init__(
            f"cluster {cluster!r} is another one now: {found}, and was {known}",
            hint="nothing was deleted; point the kubeconfig back, or restart to work with the new one",
        )
        self.found = found


class Cluster:
    """``connect`` makes the client (raises ConfigError), ``read_id`` asks the API server for the cluster's
    id (raises StatusError, TransportError). Used by several threads."""

    def __init__(
        self, name: str, connect: Callable[[], RESTClient], read_id: Callable[[RESTClient], str]
    ) -> None:
        self.name = name
        self._connect = connect
        self._read_id = read_id
        self._lock = threading.Lock()
        self._client: RESTClient | None = None
        self._id = ""
        # Why the id is not known yet: streams that wait for it have no error of their own.
        self.error: DeltawireError | None = None

    @property
    def id(self) -> str:
        """The id that all work of this process is for; "" until it is known."""
        return self._id

    @property
    def client(self) -> RESTClient:
        """Made at the first use, so that a file that is missing now is an error of the streams, retried."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def close(self) -> None:
        """Close the connections that wait for another request."""
        with self._lock:
            if self._client is not None:
                self._client.close()

    def check(self) -> None:
        """Ask for the id. The first answer counts; raises ClusterChangedError for another one later."""
        try:
            found = self._read_id(self.client)
        except DeltawireError as error:
            self.error = error
            raise
        self.error = None
        with self._lock:
            self._id = self._id or found
            known = self._id
        if found != known:
            raise ClusterChangedError(self.name, known, found)


class IdentityProbe:
    """Asks who a cluster is until it is known, in a thread of its own; ``wake`` is called then."""

    def __init__(self, cluster: Cluster, *, backoff: Backoff, clock: Clock, wake: Callable[[], None]) -> None:
        self._cluster = cluster
        self._backoff = backoff
        self._clock = clock
        self._wake = wake
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"identity {cluster.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Not joined: it may wait for an answer; it ends with the process at the latest."""
        self._stop.set()

    def _run(self) -> None:
        logged, logged_at_s = "", float("-inf")
        while not self._cluster.id:
            try:
                self._cluster.check()
            except DeltawireError as error:
                now_s = self._clock.now_s()
                delay_s = self._backoff.next_s(now_s)
                if str(error) != logged or now_s - logged_at_s >= LOG_EVERY_S:
                    logged, logged_at_s = str(error), now_s
                    log.warning("cluster %s: %s; asked again in %.1f s", self._cluster.name, error, delay_s)
                if self._clock.sleep(delay_s, self._stop):
                    return
        self._wake()
