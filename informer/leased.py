"""A worker whose shards may be another host's: it begins when it has their lease, and ends before that can end.

The lease is of the worker's place (``worker-0``), so of the shards that the config deals to it. It says who may begin;
what keeps a former holder from writing is the fence of each shard's archive. Where that archive is new, the lease is
passed on to the host that had the place last, if that was another one (`former`).
"""

import asyncio
import contextlib
import enum
import logging
import platform
import threading
from typing import Any

from deltawire.common.beats import of_process
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import NatsServers
from deltawire.common.errors import StateError
from deltawire.common.process import EXIT_FAILED, EXIT_OK
from deltawire.common.store.host import host_of
from deltawire.common.wire.identity import Identity, new_identity
from deltawire.informer.archive.nats import NatsArchives
from deltawire.informer.archive.port import ArchiveUnavailable
from deltawire.informer.desk import Desk
from deltawire.informer.former import Former, LastOwner, Wait
from deltawire.informer.main import ROLE, Worker, hold_place
from deltawire.informer.standby import Standby
from deltawire.informer.store.trouble import OwnerLost
from deltawire.jetstream.connection import Connection, NatsError, words_of
from deltawire.jetstream.hosts import has_begun, holder_of, host_and_node, words_for
from deltawire.jetstream.leases import RENEW_S, Lease
from deltawire.jetstream.moves import Give, Here
from deltawire.jetstream.settings import settings_of

log = logging.getLogger(__name__)

# While it waits it says so often that it is alive.
_LOOK_S = 0.1
_SAY_EVERY_S = 60.0
# A lease that is not had within this is another host's, or there are no servers: the worker shows itself as a standby.
_SHOW_AFTER_S = 1.0
_PASS_ON_S = 5.0


class _Next(enum.Enum):
    """What follows once a worker has the lease: its work, another wait for a lease, or the end of the process."""

    WORK = enum.auto()
    WAIT = enum.auto()
    END = enum.auto()


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
        self._host, self._node = host_of(plan.store_dir), platform.node()
        self._settings = settings_of(options, "archive")
        self._connection = Connection(self._settings, label=f"deltawire {name}", clock=self._clock)
        self._archives = NatsArchives(self._connection, bytes_max=self._settings.max_bytes)
        self._lease = Lease(
            self._connection,
            f"worker-{index}",
            holder_of(self._host, self._node, begins=True),
            self._clock,
            lambda is_held: None,
            inherits=True,
        )
        self._worker: Worker | None = None
        self._said_at_s = float("-inf")
        self._last_owner = LastOwner(plan.store_dir, f"worker-{index}")
        self._wait_for_former = Wait()
        # While another host is waited for that had the place last.
        self._former: Former | None = None
        self._desk = Desk(self._connection, self._here)

    def run(self, stop: threading.Event) -> int:
        """Wait for the lease, then work until ``stop`` is set or it is lost; again, each time it was passed on."""
        self._connection.start()
        try:
            self._connection.submit(self._keep())
            self._connection.submit(self._desk.serve())
            while True:
                identity = new_identity(ROLE, self._name, self._plan.run)
                if not self._wait(stop, identity):
                    return EXIT_OK
                log.info("has the lease of %s", self._lease.key)
                if not self._check_shards(stop):
                    return EXIT_OK
                step = self._leave_to_former(stop, identity)
                if step is _Next.END:
                    return EXIT_OK
                if step is _Next.WAIT:
                    continue
                self._begin()
                code, is_over = self._work(stop, identity)
                self._lease.holder = holder_of(self._host, self._node, begins=True)
                if self._desk.order is not None:
                    self._pass_on(self._desk.order)
                if is_over:
                    return code
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

        said = ""
        while True:
            try:
                await self._lease.keep()
            except (NatsError, nats.errors.Error, Error, OSError, TimeoutError) as error:
                # Over with the next answer about the lease.
                problem = words_of(error)
                self._lease.problem = problem
                if problem != said:
                    said = problem
                    log.warning("the lease of %s cannot be had: %s", self._lease.key, problem)
            await asyncio.sleep(RENEW_S)

    def _wait(self, stop: threading.Event, identity: Identity) -> bool:
        """False if it is to end before it has the lease."""
        began_s = self._clock.now_s()
        while not self._lease.is_valid and self._clock.now_s() - began_s < _SHOW_AFTER_S:
            if stop.wait(_LOOK_S):
                return False
            of_process().progress(f"a wait for {self._lease.key}")
        if self._lease.is_valid:
            return True
        standby = Standby(self._plan, f"worker-{self._index}", identity, self._standby, clock=self._clock)
        return standby.run(stop, self._is_its_turn)

    def _is_its_turn(self) -> bool:
        """True once it has the lease. Until then it remembers who works on the place."""
        if self._lease.is_valid:
            return True
        seen = self._lease.seen
        if seen and host_and_node(seen)[0] != self._host and has_begun(seen):
            self._last_owner.saw(seen)
            self._wait_for_former.end()
        return False

    def _standby(self) -> dict[str, Any]:
        """Who has the place, as far as it is known, and what stands in the way of knowing it."""
        if self._former is not None:
            left_s = round(self._wait_for_former.left_s(self._clock.now_s()))
            return {"host": "", "node": "", "problem": "", "waits_for": self._former.words, "left_s": left_s}
        host, node = host_and_node(self._lease.seen)
        # What else the servers complain of, while they answer about the lease, hides no owner.
        is_known = self._connection.is_connected and not self._lease.problem
        problem = "" if is_known else self._connection.problem or self._lease.problem
        now_s = self._clock.now_s()
        if now_s - self._said_at_s >= _SAY_EVERY_S and (problem or host):
            self._said_at_s = now_s
            why = problem or f"host {words_for(host, node)} has it"
            log.info("waits for the lease of %s: %s", self._lease.key, why)
        return {"host": host, "node": node, "problem": problem}

    def _leave_to_former(self, stop: threading.Event, identity: Identity) -> _Next:
        """Wait for the host that had the place last, where its disk alone has what groups know: the archive is new. It
        is over when that host's worker is there, when somebody says so, or by `FORMER_WAIT_S`."""
        try:
            if not self._is_formers():
                self._wait_for_former.end()
                return _Next.WORK
        except ArchiveUnavailable as error:
            log.warning("%s", error)
            of_process().progress(f"a wait for the archive of {self._lease.key}")
            return _Next.END if stop.wait(_LOOK_S) else _Next.WAIT
        former = Former(self._connection, self._lease.key, self._last_owner.holder)
        self._wait_for_former.begin(self._clock.now_s())
        log.warning(
            "the archive of %s is new, and host %s had it last: it is waited for (up to %d s);"
            " `deltawire shards move %s --to %s --anew` begins without it",
            self._lease.key,
            former.words,
            round(self._wait_for_former.left_s(self._clock.now_s())),
            self._lease.key,
            self._host[:8],
        )
        looking = self._connection.submit(former.look())
        self._former = former
        try:
            standby = Standby(self._plan, f"worker-{self._index}", identity, self._standby, clock=self._clock)
            if not standby.run(stop, self._is_wait_over):
                return _Next.END
        finally:
            looking.cancel()
            self._former = None
        return self._after_wait(former)

    def _is_formers(self) -> bool:
        """Raises ArchiveUnavailable."""
        host, _ = host_and_node(self._last_owner.holder)
        if host in ("", self._host):
            return False
        return not self._archives.wait(self._archives.holds(self._plan.shards_of_worker(self._index)))

    def _is_wait_over(self) -> bool:
        former = self._former
        is_settled = former is None or former.is_here or self._desk.order is not None
        return is_settled or not self._lease.is_valid or not self._wait_for_former.left_s(self._clock.now_s())

    def _after_wait(self, former: Former) -> _Next:
        is_told, self._desk.order = self._desk.order is not None, None
        if not self._lease.is_valid:
            return _Next.WAIT
        if former.is_here and not is_told:
            self._pass_on(Give(former.host, former.node))
            return _Next.WAIT
        why = "somebody said so" if is_told else "it did not come"
        log.warning("begins with %s anew, without host %s: %s", self._lease.key, former.words, why)
        self._wait_for_former.end()
        return _Next.WORK

    def _begin(self) -> None:
        """What this host knows of the last owner is on its disk before other hosts hear of it."""
        holder = holder_of(self._host, self._node)
        self._last_owner.saw(holder)
        self._lease.holder = holder

    def _here(self) -> Here:
        worker, order, former = self._worker, self._desk.order, self._former
        shards = worker.informers.values() if worker is not None else ()
        return Here(
            place=self._lease.key,
            host=self._host,
            node=self._node,
            holds=self._lease.is_valid,
            works=worker is not None,
            gives_to=order.to if order is not None else "",
            waits_for=former.words if former is not None else "",
            clusters={informer.plan.cluster: informer.cluster_id for informer in shards if informer.cluster_id},
            state=worker.told.state() if worker is not None else None,
        )

    def _work(self, stop: threading.Event, identity: Identity) -> tuple[int, bool]:
        """The exit code, and whether the process is to end with it: it is not where the place is passed on."""
        worker = Worker(
            self._plan,
            self._index,
            self._name,
            clock=self._clock,
            lock=self._lock,
            archive_of=self._archives.of,
            may_send=lambda: self._lease.is_valid,
            leaves=lambda: self._desk.order is not None,
            identity=identity,
        )
        self._worker = worker
        try:
            code = worker.run(stop)
        finally:
            self._worker = None
        return code, stop.is_set() or worker.wants_drain or self._desk.order is None

    def _pass_on(self, order: Give) -> None:
        """All is stored and archived, and nothing is sent any more: the other host may begin."""
        heir = holder_of(order.to, order.node, begins=True)
        try:
            is_passed_on = self._connection.wait(self._lease.pass_on(heir), _PASS_ON_S)
        except TimeoutError:
            is_passed_on = False
        words = "is passed on to" if is_passed_on else "was not passed on to"
        log.info("%s %s %s", self._lease.key, words, holder_of(order.to, order.node))
        self._desk.order = None

    def _check_shards(self, stop: threading.Event) -> bool:
        """All hosts must cut their caches into as many shards. An archive that does not answer is waited for while the
        lease lasts. False if it is to end before. Raises StateError, OwnerLost."""
        ours, said = str(self._plan.shards), ""
        found: str | None = None
        while found is None:
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
        if not found:
            raise StateError(
                f"row shards of bucket {self._settings.bucket('pipeline')} on {self._settings.shown} is empty: it is to"
                " say of how many shards the archive is",
                hint="delete that row: the next worker writes it anew",
            )
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
