"""One API server: a client made at its first use, and the identity of the cluster."""

import logging
import threading
from collections.abc import Callable

from deltawire.client.discovery.cluster_id import address_id
from deltawire.client.rest.client import RESTClient
from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError, StatusError
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.identity import ClusterChangedError, ClusterIdentity

log = logging.getLogger(__name__)

# The same error is logged again after so long.
LOG_EVERY_S = 60.0
# An answer serves all streams that ask within so long, unless a connection to the cluster ended in that time.
SHARED_S_MAX = 10.0
# Between two reads of a uid that an address stands for: doubling.
STAND_IN_S_MIN, STAND_IN_S_MAX = 10.0, 600.0


class Cluster:
    """``connect`` makes the client (raises ConfigError), ``read_uid`` asks the API server for the cluster's uid
    (raises StatusError, TransportError). Used by several threads."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], RESTClient],
        read_uid: Callable[[RESTClient], str],
        clock: Clock,
    ) -> None:
        self.name = name
        self._connect = connect
        self._read_uid = read_uid
        self._clock = clock
        self._lock = threading.Lock()  # of the fields
        self._reading = threading.Lock()  # held by the thread that asks the server
        self._client: RESTClient | None = None
        self._identity = ClusterIdentity(name)
        self._ends = 0  # connections that have ended: another server may answer the next one
        self._answer: tuple[int, float] | None = None  # (ends before it was asked for, when)
        self._asked = 0  # answers and failures so far
        self._other = ""
        self.reads = 0
        # Why the id is not known: streams that wait for it have no error of their own.
        self.error: DeltawireError | None = None

    @property
    def id(self) -> str:
        """The id that all work of this process is for; "" until it is known."""
        return self._identity.id

    @property
    def other(self) -> str:
        """The uid of another cluster that was found behind the name; "" where none was."""
        return self._other

    @property
    def address(self) -> str:
        """The hash of the server's URL and CA; "" until the client could be made."""
        return self._identity.address

    @property
    def warning(self) -> str:
        """Why the id had to be believed; "" where it was read."""
        return self._identity.warning

    @property
    def client(self) -> RESTClient:
        """Made at the first use, so that a file that is missing now is an error of the streams, retried."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
                self._identity.address = address_id(self._client.config)
            return self._client

    def close(self) -> None:
        """Close the idle connections; the next request makes a new one."""
        with self._lock:
            if self._client is not None:
                self._client.close()

    def told(self, cluster_id: str, address: str) -> None:
        """The id that the broker knows from the state."""
        with self._lock:
            self._identity.told(cluster_id, address)

    def connection_ended(self) -> None:
        """A connection to the server ended: the next one must show again that it leads to the same cluster."""
        with self._lock:
            self._ends += 1

    def check(self) -> None:
        """Check that the server is still the known cluster: read the id, or take one that another thread has just read.

        Raises ClusterChangedError, ClusterUnknownError and what the client raises; a failure is raised in all threads
        that waited for the read.
        """
        asked = self._asked
        with self._reading:
            now_s = self._clock.now_s()
            if self.error is not None and self._asked > asked:
                raise self.error
            if self._answer is not None:
                ends, at_s = self._answer
                if ends == self._ends and now_s - at_s < SHARED_S_MAX:
                    return
            self._answer = None
            ends = self._ends
            try:
                self._ask(now_s)
            except DeltawireError as error:
                self.error = error
                if isinstance(error, ClusterChangedError):
                    self._other = error.found
                raise
            finally:
                self._asked += 1
            self.error, self._other = None, ""
            self._answer = (ends, now_s)

    def _ask(self, now_s: float) -> None:
        client = self.client
        self.reads += 1
        try:
            uid = self._read_uid(client)
        except StatusError as error:
            with self._lock:
                self._identity.refused(now_s, error)
            return
        except DeltawireError:
            with self._lock:
                self._identity.unanswered()
            raise
        with self._lock:
            self._identity.answered(uid)


class IdentityProbe:
    """Reads a cluster's uid in a thread of its own, until it has one, the known one or another.

    ``wake`` is called when an id is known: also an address in the uid's place, after which it reads less often.
    """

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
        rare = Backoff(base_s=STAND_IN_S_MIN, cap_s=STAND_IN_S_MAX)
        while True:
            try:
                self._cluster.check()
                self._wake()
                if not self._cluster.warning or self._clock.sleep(rare.next_s(self._clock.now_s()), self._stop):
                    return
            except ClusterChangedError:
                self._wake()
                return
            except DeltawireError as error:
                now_s = self._clock.now_s()
                delay_s = self._backoff.next_s(now_s)
                if str(error) != logged or now_s - logged_at_s >= LOG_EVERY_S:
                    logged, logged_at_s = str(error), now_s
                    log.warning("cluster %s: %s; asked again in %.1f s", self._cluster.name, error, delay_s)
                if self._clock.sleep(delay_s, self._stop):
                    return
