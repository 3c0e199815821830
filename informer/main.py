"""The worker's process: the line to the broker, the socket for handlers, one loop around the shards."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import zmq

from deltawire.common.beats import of_process
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.control import Control
from deltawire.common.errors import CapacityError, DeltawireError
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.process import EXIT_DRAIN_LATE, EXIT_OK, RoleArguments, parse_arguments, run_role
from deltawire.common.store import folder
from deltawire.common.store.reader import ReaderUnavailable
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import is_known_dead, new_identity
from deltawire.common.wire.link import Link
from deltawire.common.wire.listener import Listener
from deltawire.informer import generation
from deltawire.informer.asks import Asks
from deltawire.informer.broker_link import BrokerLink
from deltawire.informer.claims import Claims
from deltawire.informer.group_state import KnownReplica
from deltawire.informer.handlers_link import HandlersLink
from deltawire.informer.indexer import DamagedError, OwnerLost
from deltawire.informer.shared_informer import SharedInformer
from deltawire.informer.status import status_of
from deltawire.informer.turns import rotated

log = logging.getLogger(__name__)

ROLE = "informer"
# Without an event the loop turns so often, to find dead peers and to report.
TURN_S = 0.25
TICK_S = 0.1
# Readers of dead processes, byte bounds and absent groups are looked after so often.
HOUSEKEEPING_S = 1.0
# Messages taken from one socket before the others get their turn.
MESSAGES_PER_TURN = 32
# What is still in flight after that comes again to its group.
DRAIN_S_MAX = 5.0


class Worker:
    """The role. ``index`` says which shards are its own (plan.shards_of_worker)."""

    def __init__(self, plan: Plan, index: int, name: str, *, clock: Clock | None = None) -> None:
        """Raises StateError if the state folder is not ours, in use, or of another number of shards."""
        self._plan = plan
        self._clock = clock or SystemClock()
        identity = new_identity(ROLE, name, plan.run)
        folder.prepare(plan.store_dir, plan.shards)
        self._lock = folder.hold(plan.store_dir, f"worker-{index}")
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
            )
            for informer, owned in numbers.items()
        }
        self._broker = BrokerLink(self.informers)
        self._claims = Claims(self.informers)
        self._handlers = HandlersLink(self.informers)
        plan.runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
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
            self._broker.hello,
            clock=self._clock,
            silent_s=silent_s,
        )
        self._broker.attach(self._link)
        self._handlers.attach(self._listener)
        self._heartbeat = Heartbeat(self._context, plan.heartbeat_s)
        self._heartbeat.watch(self._link)
        asks = Asks(self.informers, self._clock)
        self._control = Control(
            self._context, plan, identity, self._heartbeat, clock=self._clock, answer=asks.answer
        )
        self._ticked_at_s = self._housekept_at_s = self._proved_at_s = float("-inf")
        self._is_draining = False

    def run(self, stop: threading.Event) -> int:
        """Store and deliver until ``stop`` is set or the supervisor asks; then wait for acks under way."""
        clean = False
        self._heartbeat.start()
        try:
            log.info("owns shards %s", sorted({n for i in self.informers.values() for n in i.numbers}))
            poller = zmq.Poller()
            for socket in (self._link.socket, self._listener.socket):
                poller.register(socket, zmq.POLLIN)
            self._control.register(poller)
            while not stop.is_set():
                poller.poll(self._wait_ms())
                self._turn()
                if self._control.turn(self.status):
                    break
            code = self._drain(poller)
            clean = True
            return code
        finally:
            self._close(clean=clean)

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
        }

    def _turn(self) -> None:
        """One turn: what arrived, then commits, then what may be told of them."""
        self._heartbeat.turn()
        now_s = self._clock.now_s()
        if now_s - self._ticked_at_s >= TICK_S:
            self._ticked_at_s = now_s
            self._listener.tick()
        # A Lost of the tick is digested before the hello of the next one.
        for event in [*self._link.tick(), *self._link.receive(MESSAGES_PER_TURN)]:
            for informer in self._broker.take(event):
                self._handlers.opened(informer)
        for news in self._listener.receive(MESSAGES_PER_TURN):
            self._handlers.take(news)
        self._store()
        self._deliver()
        if now_s - self._proved_at_s >= self._plan.heartbeat_s:
            self._proved_at_s = now_s
            self._handlers.prove(self._claims.rows())
        if now_s - self._housekept_at_s >= HOUSEKEEPING_S:
            self._housekept_at_s = now_s
            self._keep_house()

    def _store(self) -> None:
        tried = [informer for informer in self.informers.values() if informer.begin_try()]
        for informer, shard, work, proofs in self._broker.next_work():
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
                self._broker.acknowledge(shard, work)
            if proofs:
                self._claims.take(shard, proofs)

        for informer in tried:
            self._try_to_go_on(informer)

    def _try_to_go_on(self, informer: SharedInformer) -> None:
        """There was no room; its batches have just been tried, with none or with success."""
        if informer.try_failed:
            return
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
        turn = self._heartbeat.turns
        for informer in rotated(self.informers.values(), turn):
            if not informer.may_write:
                continue
            self._beats.progress(informer.name)
            for shard in rotated(informer.shards.values(), turn):
                try:
                    shard.flush()
                    if not self._is_draining:
                        self._handlers.deliver(shard)
                except OwnerLost:
                    raise
                except ReaderUnavailable as error:
                    # Others hold all slots of readers; what was not sent is found by the next scan.
                    informer.warning = str(error)
                except DeltawireError as error:
                    self._fail(informer, error)
                    break

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

    def _wait_ms(self) -> int:
        if self._broker.has_work:
            return 0
        now = self._clock.wall_s()
        wakes = [s.next_wake() for i in self.informers.values() for s in i.shards.values()]
        return (
            int(1000 * max(0.0, min(TURN_S, *(wake - now for wake in wakes))))
            if wakes
            else int(1000 * TURN_S)
        )

    def _drain(self, poller: zmq.Poller) -> int:
        """Nothing new is handed out; acks of what is in flight still count."""
        self._is_draining = True
        deadline_s = self._clock.now_s() + min(DRAIN_S_MAX, self._plan.drain_deadline_s)
        while self._in_flight and self._clock.now_s() < deadline_s:
            poller.poll(int(1000 * TICK_S))
            self._turn()
            self._control.turn(self.status)
        self._turn()
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
        self._lock.close()


def _is_dead(known: KnownReplica) -> bool:
    return is_known_dead(known.pid, known.started, known.host)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m deltawire.informer --config FILE --index N``; the exit code for `sys.exit`."""

    def make(arguments: RoleArguments, plan: Plan) -> Worker:
        return Worker(plan, arguments.index, arguments.name_of(ROLE))

    return run_role(ROLE, make, parse_arguments(ROLE, argv))
