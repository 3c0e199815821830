"""A worker whose shards may be another host's: it begins when it has their lease, and ends before that can end.

The lease is of the worker's place (``worker-0``), so of the shards that the config deals to it. It says who may begin;
what keeps a former holder from writing is the fence of each shard's archive.
"""

import asyncio
import contextlib
import logging
import threading

from deltawire.common.beats import of_process
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import NatsServers
from deltawire.common.errors import StateError
from deltawire.common.process import EXIT_FAILED, EXIT_OK
from deltawire.common.store.host import host_of
from deltawire.informer.archive.nats import NatsArchives
from deltawire.informer.archive.port import ArchiveUnavailable
from deltawire.informer.main import Worker, hold_place
from deltawire.informer.store.trouble import OwnerLost
from deltawire.jetstream.connection import Connection, NatsError, words_of
from deltawire.jetstream.leases import RENEW_S, Lease
from deltawire.jetstream.settings import settings_of

log = logging.getLogger(__name__)

# While it waits it says so often that it is alive.
_LOOK_S = 0.1
_SAY_EVERY_S = 60.0


class LeasedWorker:
    """The role. Raises as `Worker`, and ConfigError without nats-py."""

    def __init__(
        self, plan: Plan, options: NatsServers, index: int, name: str, *, clock: Clock | None = None
    ) -> None:
        self._plan = plan
        self._index = index
        self._name = name
        self._clock = clock or SystemClock()
        # First: whoever held the lease for this folder before is gone then.
        self._lock = hold_place(plan, index)
        self._settings = settings_of(options, "archive")
        self._connection = Connection(self._settings, label=f"deltawire {name}", clock=self._clock)
        self._archives = NatsArchives(self._connection, bytes_max=self._settings.max_bytes)
        self._lease = Lease(
            self._connection,
            f"worker-{index}",
            host_of(plan.store_dir),
            self._clock,
            lambda is_held: None,
            inherits=True,
        )
        # Why the lease cannot be had, from the servers.
        self._problem = ""

    def run(self, stop: threading.Event) -> int:
        """Wait for the lease, then work until ``stop`` is set or it is lost."""
        self._connection.start()
        try:
            self._connection.submit(self._keep())
            if not self._wait(stop):
                return EXIT_OK
            log.info("has the lease of %s", self._lease.key)
            if not self._check_shards(stop):
                return EXIT_OK
            worker = Worker(
                self._plan,
                self._index,
                self._name,
                clock=self._clock,
                lock=self._lock,
                archive_of=self._archives.of,
                may_send=lambda: self._lease.is_valid,
            )
            return worker.run(stop)
        except OwnerLost as error:
            # Not a fault of this host: its next process waits for its turn.
            log.error("%s", error)
            return EXIT_FAILED
        finally:
            self._connection.close()
            self._lock.close()

    async def _keep(self) -> None:
        """Also where the servers will not have the bucket of leases: it is tried again, and said."""
        import nats.errors
        from nats.js.errors import Error

        while True:
            try:
                await self._lease.keep()
            except (NatsError, nats.errors.Error, Error, OSError, TimeoutError) as error:
                problem = words_of(error)
                if problem != self._problem:
                    self._problem = problem
                    log.warning("the lease of %s cannot be had: %s", self._lease.key, problem)
            await asyncio.sleep(RENEW_S)

    def _wait(self, stop: threading.Event) -> bool:
        """False if it is to end before it has the lease."""
        beats, said_at_s = of_process(), float("-inf")
        while not self._lease.is_valid:
            if stop.wait(_LOOK_S):
                return False
            beats.progress(f"a wait for {self._lease.key}")
            now_s = self._clock.now_s()
            problem = self._connection.problem or self._problem
            if now_s - said_at_s >= _SAY_EVERY_S and (problem or self._lease.seen):
                said_at_s = now_s
                why = problem or f"host {self._lease.seen} has it"
                log.info("waits for the lease of %s: %s", self._lease.key, why)
        return True

    def _check_shards(self, stop: threading.Event) -> bool:
        """All hosts must cut their caches into as many shards. An archive that does not answer is waited for while the
        lease lasts. False if it is to end before. Raises StateError, OwnerLost."""
        ours, found, said = str(self._plan.shards), "", ""
        while not found:
            try:
                found = self._archives.wait(self._shards(ours))
            except ArchiveUnavailable as error:
                if not self._lease.is_valid:
                    raise OwnerLost(f"the lease of {self._lease.key} has ended before it began") from None
                if said != str(error):
                    said = str(error)
                    log.warning("%s", said)
                of_process().progress(f"a wait for the archive of {self._lease.key}")
                if stop.wait(_LOOK_S):
                    return False
        if found != ours:
            raise StateError(
                f"the archive {self._settings.name} on {self._settings.shown} is of {found} shards, not {ours}",
                hint=f"set store.shards to {found}, or another archive.name",
            )
        return True

    async def _shards(self, ours: str) -> str:
        from nats.js.errors import KeyWrongLastSequenceError

        bucket = await self._connection.bucket("pipeline")
        with contextlib.suppress(KeyWrongLastSequenceError):
            await bucket.create("shards", ours.encode())
        entry = await bucket.get("shards")
        return (entry.value or b"").decode(errors="replace")
