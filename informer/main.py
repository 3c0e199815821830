"""The worker's process: the connection to the broker, the socket for handlers, one loop around the shards."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any

import zmq

from deltawire.common.beats import of_process
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.control import Control
from deltawire.common.errors import CapacityError, DeltawireError
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.loop import Loop
from deltawire.common.process import EXIT_DRAIN_LATE, EXIT_OK, Role, RoleArguments, parse_arguments, run_role
from deltawire.common.store import folder
from deltawire.common.store.reader import ReaderUnavailable
from deltawire.common.wire.follow import follow_link, follow_listener
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import Identity, is_known_dead, new_identity
from deltawire.common.wire.link import Link, LinkEvent
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.listener_events import ListenerEvent
from deltawire.common.wire.network import open_context
from deltawire.informer.asks import Asks
from deltawire.informer.broker_link import BrokerLink, hello_of
from deltawire.informer.claims import Claims
from deltawire.informer.groups.state import KnownReplica
from deltawire.informer.handlers_link import HandlersLink
from deltawire.informer.shared_informer import ArchiveOf, SharedInformer
from deltawire.informer.status import status_of
from deltawire.informer.store import generation
from deltawire.informer.store.trouble import DamagedError, OwnerLost
from deltawire.informer.told import Told
from deltawire.informer.turns import BusyShards

log = logging.getLogger(__name__)

ROLE = "informer"
# Readers of dead processes, byte bounds and absent groups are looked after so often.
HOUSEKEEPING_S = 1.0
# Informers that have no room are looked at so often; each is tried every `shared_informer.RETRY_S`.
TRY_S = 0.25
DRAIN_TURN_S = 0.1
# What is still in flight after that comes again to its group.
DRAIN_S_MAX = 5.0


class Worker:
    """The role. ``index`` says which shards are its own (plan.shards_of_worker)."""

    def __init__(
        self,
        plan: Plan,
        index: int,
        name: str,
        *,
        clock: Clock | None = None,
        lock: IO[str] | None = None,
        archive_of: ArchiveOf | None = None,
        may_send: Callable[[], bool] | None = None,
        leaves: Callable[[], bool] | None = None,
        identity: Identity | None = None,
    ) -> None:
        """``lock``: of the state folder, where it is held already, and by whom it stays held. ``archive_of``: see
        `SharedInformer`; ``may_send``: whether the shards are still this worker's, where others may take them;
        ``leaves``: whether another host is to have them. ``identity``: None: a new one.

        Raises StateError if the state folder is not ours, in use, or of another number of shards.
        """
        self._plan = plan
        self._clock = clock or SystemClock()
        self._may_send = may_send
        self._leaves = leaves
        identity = identity or new_identity(ROLE, name, plan.run)
        self._lock = None if lock else hold_place(plan, index)
        silent_s = SILENT_INTERVALS_MAX * plan.heartbeat_s
        numbers: dict[str, list[int]] = {informer: [] for informer in plan.informers}
        for informer, shard in plan.shards_of_worker(index):
            numbers[informer].append(shard)
        boot = generation.boot_id()
        self._beats = of_process()
        # Waits for the disk in the place of the loop: what must outlive a crash of the machine.
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self.informers = {
            informer: SharedInformer(
                plan.informers[informer],
                owned,
                plan.shards,
                store_dir=plan.store_dir,
                owner=identity.nonce,
                boot_id=boot,
                lease_s=silent_s,
                is_dead=_is_dead,
                clock=self._clock,
                submit=self._disk.submit,
                beats=self._beats,
                archive_of=archive_of,
                sync=plan.config.store.sync,
            )
            for informer, owned in numbers.items()
        }
        self._claims = Claims(self.informers)
        plan.runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, f"worker-{index}")
        try:
            self._listener = Listener(
                self._context,
                plan.endpoint(f"worker-{index}"),
                clock=self._clock,
                silent_s=silent_s,
                run=plan.run,
            )
        except Exception:
            self._context.destroy(linger=0)
            raise
        self._link = Link(
            self._context,
            plan.endpoint("fifo-out"),
            identity,
            partial(hello_of, self.informers),
            clock=self._clock,
            silent_s=silent_s,
        )
        self._heartbeat = Heartbeat(self._context, plan.heartbeat_s)
        self._heartbeat.watch(self._link)
        self._loop = Loop(self._clock, self._heartbeat)
        self._busy = BusyShards(self._loop, self._clock)
        self._broker = BrokerLink(self.informers, self._link, self._loop, clock=self._clock)
        self._handlers = HandlersLink(
            self.informers, self._listener, self._busy, loop=self._loop, clock=self._clock
        )
        self._asks = Asks(self.informers, self._clock)
        self._control = Control(
            self._context, plan, identity, self._heartbeat, clock=self._clock, answer=self._answer
        )
        self.told = Told(
            self.informers,
            self._claims,
            lambda: self._link.is_open,
            heartbeat_s=plan.heartbeat_s,
            clock=self._clock,
        )
        # Informers without room that try again in this turn.
        self._tried: list[SharedInformer] = []
        self._is_draining = False

    def run(self, stop: threading.Event) -> int:
        """Store and deliver until ``stop`` is set or the supervisor asks; then wait for acks under way."""
        clean = False
        self._heartbeat.start()
        try:
            log.info("owns shards %s", sorted({n for i in self.informers.values() for n in i.numbers}))
            follow_link(self._loop, self._clock, self._link, self._on_broker)
            follow_listener(self._loop, self._listener, self._on_handlers)
            self._control.join(self._loop, self.status)
            self._loop.every(self._plan.heartbeat_s, lambda: self._handlers.prove(self._claims.rows()))
            if self._leaves is not None:
                # Only then does anybody on another host ask.
                self._loop.every(self._plan.heartbeat_s, self.told.look)
            self._loop.every(HOUSEKEEPING_S, self._keep_house)
            self._loop.every(TRY_S, self._try_paused)
            self._loop.run(stop, self._work, until=lambda: self.wants_drain or self._is_to_leave)
            code = self._drain()
            clean = True
            return code
        finally:
            self._close(clean=clean)

    @property
    def wants_drain(self) -> bool:
        """The supervisor has asked it to leave."""
        return self._control.wants_drain

    @property
    def _is_to_leave(self) -> bool:
        return self._leaves is not None and self._leaves()

    def status(self) -> dict[str, Any]:
        return {
            **status_of(self.informers, self._claims),
            "broker": {
                "open": self._link.is_open,
                "lost": self._broker.lost,
                "refused": self._broker.refused,
            },
            "malformed": self._handlers.malformed + self._listener.malformed + self._link.malformed,
            "refused": self._listener.refused,
            "unanswered": self._listener.unanswered,
            "connections_refused": self._listener.connections_refused,
        }

    def _on_broker(self, event: LinkEvent) -> None:
        for informer in self._broker.take(event):
            self._handlers.opened(informer)

    def _on_handlers(self, event: ListenerEvent) -> None:
        self._handlers.take(event)
        self._busy.made_room()

    def _work(self) -> None:
        """The end of a turn: what arrived is committed, then delivered as far as windows allow."""
        if self._broker.waiting or self._tried:
            self._store()
        if self._busy.are_there:
            # Behind what may have waited for the archive.
            self._check_lease()
            self._deliver()
        if self._broker.waiting and self._broker.has_work:
            self._loop.soon()

    def _check_lease(self) -> None:
        """Raises OwnerLost where another worker may have the shards by now."""
        if self._may_send is not None and not self._may_send():
            raise OwnerLost("the lease of these shards has ended: another worker may have them")

    def _try_paused(self) -> None:
        self._tried = [informer for informer in self.informers.values() if informer.begin_try()]

    def _answer(self, verb: str, arguments: dict[str, Any]) -> Any:
        """A request of the supervisor, which may have given groups something to do."""
        try:
            return self._asks.answer(verb, arguments)
        finally:
            self._touch(*self.informers.values())

    def _touch(self, *informers: SharedInformer) -> None:
        for informer in informers:
            for shard in informer.shards.values():
                self._busy.touch(shard)

    def _store(self) -> None:
        tried, self._tried = self._tried, []
        for number, (informer, shard, work, proofs, owed) in enumerate(self._broker.next_work()):
            if number:
                self._beats.progress(informer.name)
            try:
                if work:
                    shard.apply(work)
            except OwnerLost:
                raise
            except DeltawireError as error:
                if isinstance(error, CapacityError):
                    self._broker.put_back(shard, work, proofs)
                self._fail(informer, error)
                continue
            if work:
                self._broker.acknowledge(shard, owed)
                self._busy.committed(shard)
                self._busy.touch(shard)
            if proofs:
                self._claims.take(shard, proofs)
        for informer in tried:
            self._try_to_go_on(informer)

    def _try_to_go_on(self, informer: SharedInformer) -> None:
        """There was no room; its batches have just been tried, with none or with success."""
        if informer.try_failed:
            return
        self._touch(informer)
        try:
            if informer.shards:
                informer.end_try()
                self._control.hurry()
                self._handlers.opened(informer)
            else:
                for opened in self._broker.retry_open(informer):
                    opened.resume()
                    self._handlers.opened(opened)
        except OwnerLost:
            raise
        except DeltawireError as error:
            self._fail(informer, error)

    def _deliver(self) -> None:
        """What groups did is committed where it cannot wait, then they get what is next."""
        for number, (shard, groups, is_due) in enumerate(self._busy.take()):
            informer = self.informers[shard.informer]
            if (informer.error and not informer.may_write) or informer.shards.get(shard.number) is not shard:
                continue
            if number:
                self._beats.progress(informer.name)
            try:
                if shard.flush() if is_due else shard.flush_urgent(groups):
                    self._busy.committed(shard)
                if not self._is_draining:
                    self._handlers.deliver(shard, groups)
                self._busy.settle(shard, groups)
            except OwnerLost:
                raise
            except ReaderUnavailable as error:
                # Others hold all slots of readers; what was not sent is found by the next scan.
                informer.warning = str(error)
                self._busy.try_again(shard)
            except DeltawireError as error:
                self._fail(informer, error)

    def _fail(self, informer: SharedInformer, error: DeltawireError) -> None:
        """An error that stops one informer leaves the others running, but where its cache is to be made anew."""
        self._control.hurry()
        if isinstance(error, CapacityError):
            informer.pause(error)
        elif isinstance(error, DamagedError):
            # Opened again by the next worker, in a new generation: nothing of this one may be believed.
            informer.discard_damaged(error)
            raise error
        else:
            informer.fail(error)
            self._broker.fail(informer)

    def _keep_house(self) -> None:
        self._check_lease()
        for informer in self.informers.values():
            if informer.error or not informer.shards:
                continue
            try:
                for shard in informer.shards.values():
                    shard.look_after_readers()
                    shard.forget_absent(self._plan.forget_after_s)
                    shard.keep_ledger()
                informer.check_bounds()
            except OwnerLost:
                raise
            except ReaderUnavailable as error:
                informer.warning = str(error)
            except DeltawireError as error:
                self._fail(informer, error)

    def _drain(self) -> int:
        """Nothing new is handed out; acks of what is in flight still count."""
        self._is_draining = True
        deadline_s = self._clock.now_s() + min(DRAIN_S_MAX, self._plan.drain_deadline_s)
        while self._in_flight and self._clock.now_s() < deadline_s:
            self._loop.turn(self._work, wait_s_max=DRAIN_TURN_S)
        self._loop.turn(self._work, wait_s_max=0)
        self._broker.send_acks()
        self._control.report(self.status())
        if self._in_flight:
            log.warning("%d events were not acknowledged in time and will come again", self._in_flight)
            return EXIT_DRAIN_LATE
        return EXIT_OK

    @property
    def _in_flight(self) -> int:
        return sum(
            len(group.in_flight)
            for informer in self.informers.values()
            for shard in informer.shards.values()
            for group in shard.groups.values()
        )

    def _close(self, *, clean: bool) -> None:
        self._heartbeat.stop()
        for informer in self.informers.values():
            informer.close(clean=clean)
        self._disk.shutdown()
        self._control.close()
        self._link.close()
        self._listener.close()
        self._context.destroy(linger=0)
        if self._lock is not None:
            self._lock.close()


def hold_place(plan: Plan, index: int) -> IO[str]:
    """The lock of the worker's part of the state folder. Raises StateError as `Worker` does."""
    folder.prepare(plan.store_dir, plan.shards)
    return folder.hold(plan.store_dir, f"worker-{index}")


def _is_dead(known: KnownReplica) -> bool:
    return is_known_dead(known.pid, known.started, known.host)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m deltawire.informer --config FILE --index N``; the exit code for `sys.exit`."""

    def make(arguments: RoleArguments, plan: Plan) -> Role:
        name = arguments.name_of(ROLE)
        if plan.config.archive is not None:
            # Imported where it is wanted: it brings NATS.
            from deltawire.informer.leased import LeasedWorker

            return LeasedWorker(plan, plan.config.archive, arguments.index, name)
        return Worker(plan, arguments.index, name)

    return run_role(ROLE, make, parse_arguments(ROLE, argv))
