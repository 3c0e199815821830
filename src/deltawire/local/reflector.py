"""Keeps a DeltaFIFO fed: the reflector's machine and reader, with the queue in the broker's place."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from deltawire.client.tools.objects import key as key_of_object
from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError
from deltawire.common.wire.messages.proofs import Proof
from deltawire.common.wire.messages.stream import Delta
from deltawire.fifo.delta_fifo import DeltaFIFO
from deltawire.fifo.deltas import Tombstone
from deltawire.local.error_log import ErrorLog
from deltawire.reflector.action import Action, Begin, Cancel, Deltas, End, List, Watch
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.list_plan import ServerTraits
from deltawire.reflector.listwatch import ListerWatcher
from deltawire.reflector.machine import Machine
from deltawire.reflector.proof import StreamProver
from deltawire.reflector.reader import Closed, News, Opened, Read, Reader
from deltawire.reflector.split import Batch, Counters
from deltawire.reflector.states import State

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

log = logging.getLogger(__name__)

# The machine looks at least so often whether a watch fell silent. Below the prover's `STOOD_STILL_S`: an idle informer
# must not be taken for one that was stopped.
TICK_S = 0.4


class Source(ListerWatcher, Protocol[T_co]):
    """Where objects come from, and how one is read."""

    @property
    def decode(self) -> Callable[[bytes], T_co]:
        """Raises msgspec's errors for bytes that are no such object."""
        ...


class QueueReflector(Generic[T]):
    """`turn` and `wait` belong to one thread, the informer's; `wake` may be called from any.

    A list is collected and handed to the queue as a whole, so that no reader sees half of one. If the queue refuses an
    item of a list (a transform raised), the list is made again after a back-off. A refused event of a watch is
    logged, counted and lost.
    """

    def __init__(
        self,
        name: str,
        source: Source[T],
        queue: DeltaFIFO[T],
        *,
        on_error: Callable[[DeltawireError], object] | None,
        random: Callable[[], float],
        clock: Clock,
    ) -> None:
        self._name = name
        self._decode = source.decode
        self._queue = queue
        self._clock = clock
        self._backoff = Backoff(random=random)
        self.counters = Counters()
        self.machine = Machine(self._backoff, ServerTraits(), random)
        self.version = ""  # up to where the queue has everything
        self.progress_at_s: float | None = None  # wall time
        self._on_error = on_error
        self._error_log = ErrorLog(log, f"informer {name}", clock)
        self.proof: Proof | None = None
        self.is_closed = False
        self._trouble_us = 0
        self._prover = StreamProver()
        self._listed: dict[str, T] = {}
        self._is_listing = False
        self._is_open = False
        self._relist_at_s: float | None = None
        self._changed = threading.Condition()
        self._is_awake = False
        self._reader = Reader(name, source, trim=None, counters=self.counters, clock=clock, wake=self.wake)

    def start(self) -> None:
        self._do(self.machine.start(self._clock.now_s(), "", "", 0))

    def turn(self) -> bool:
        """Handle one result of the reader. False if there is none: call `wait` then."""
        now_s = self._clock.now_s()
        if self._relist_at_s is not None and now_s >= self._relist_at_s:
            self._relist_at_s = None
            self._do(self.machine.start(now_s, "", self.machine.floor, 0))
        self._do(self.machine.tick(now_s, self._reader.reading_since_s))
        news = self._reader.take()
        if news is not None:
            self._on(news, now_s)
        error = self.machine.error
        is_waiting = self.machine.state in (State.BACKOFF, State.STOPPED)
        if is_waiting and error is not None and self._on_error is None:
            self._error_log.note(error)
        return news is not None

    @property
    def is_watching(self) -> bool:
        """True while the API server has accepted the watch, or is just asked to do so again."""
        return self.machine.state is State.WATCHING and self._prover.is_watching(self._clock.now_s())

    def prove(self) -> None:
        """All that was taken is stored: note in ``proof`` what holds of the cache now, if anything new does."""
        self._prover.turn(self._clock.now_s(), self._wall_us(), self._reader.reading())
        if not self.is_watching:
            self._trouble_us = self._wall_us()
            return
        machine, held_us = self.machine, self._reader.oldest_us()
        found = self._prover.proof(machine.version, machine.bookmark_interval_s, held_us)
        self.proof = found or self.proof

    @property
    def is_proven_since_trouble(self) -> bool:
        """True if ``proof`` is of a time after the last at which nothing was watched."""
        return self.proof is not None and self.proof.as_of_us > self._trouble_us

    def wait(self, until_s: float) -> None:
        """Wait until the reader has a result or something is due, at the latest until ``until_s``."""
        deadline_s = min(until_s, self._clock.now_s() + TICK_S)
        for due_s in (self.machine.retry_at_s, self._relist_at_s):
            if due_s is not None:
                deadline_s = min(deadline_s, due_s)
        with self._changed:
            if not self._is_awake:
                self._clock.wait_until(self._changed, deadline_s)
            self._is_awake = False

    def wake(self) -> None:
        with self._changed:
            self._is_awake = True
            self._changed.notify_all()

    def close(self) -> None:
        self.is_closed = True
        self._reader.close()

    def join(self, timeout_s: float) -> bool:
        """True if the reader has ended; one that waits for a server's answer ends after that."""
        return self._reader.join(timeout_s)

    # -- what happened

    def _on(self, news: News, now_s: float) -> None:
        machine = self.machine
        if isinstance(news, Read):
            part = news.part
            self.progress_at_s = news.at_us / 1_000_000
            actions = machine.batch(now_s, part) if isinstance(part, Batch) else machine.page(now_s, part)
            self._prover.read(machine.version)
        elif isinstance(news, Opened):
            self._is_open = True
            self.progress_at_s = self._clock.wall_s()
            self._prover.opened(now_s, self._wall_us())
            actions = machine.opened(now_s)
        elif isinstance(news, Closed):
            self._prover.ended(now_s)
            actions = machine.closed(now_s)
        else:
            if not self._is_open:
                self._tell(news.error)
            actions = machine.failed(now_s, news.error)
            if any(isinstance(action, Watch) and not action.is_list for action in actions):
                self._prover.ended(now_s)  # cut after it worked, and opened again at once
            else:
                self._lost()
        self._do(actions)

    def _lost(self) -> None:
        self._trouble_us = self._wall_us()
        self._prover.lost()

    def _tell(self, error: DeltawireError) -> None:
        """Call the program's error handler for a list that failed or a watch that was not opened."""
        if self._on_error is None:
            return
        try:
            self._on_error(error)
        except Exception:
            log.exception("informer %s: the handler of watch errors raised", self._name)

    # -- what is to be done

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, List | Watch):
                self._is_open = False
                self._is_listing = self._is_listing and isinstance(action, List)
                is_list = isinstance(action, List) or action.is_list
                self._prover.asked(self._clock.now_s(), is_list=is_list)
                self._reader.submit(action)
            elif isinstance(action, Cancel):
                self._reader.cancel(is_dead=action.is_silent)
            elif isinstance(action, Begin):
                self._listed, self._is_listing = {}, True
            elif isinstance(action, End):
                self._is_listing = False
                self._prover.listed(action.version)
                if not self._replace(action.version):
                    return
            elif isinstance(action, Deltas):
                self._take(action)
            else:
                self.version = action.version

    def _wall_us(self) -> int:
        return int(self._clock.wall_s() * 1_000_000)

    def _take(self, action: Deltas) -> None:
        if not self._is_listing:
            for delta in action.deltas:
                self._enqueue(delta)
            self.version = action.version
            return
        for delta in action.deltas:
            key = _key(delta)
            if delta.type == "D":
                self._listed.pop(key, None)
            elif (obj := self._decoded(delta)) is not None:
                self._listed[key] = obj

    def _replace(self, version: str) -> bool:
        listed, self._listed = self._listed, {}
        try:
            self._queue.replace(listed.values(), version)
        except Exception as error:
            now_s = self._clock.now_s()
            failure = DeltawireError(f"the list cannot be taken: {type(error).__name__}: {error}")
            self._lost()
            self._do(self.machine.stop(failure))
            self._tell(failure)
            self._relist_at_s = now_s + self._backoff.next_s(now_s)
            return False
        self.version = version
        return True

    def _enqueue(self, delta: Delta) -> None:
        obj = self._decoded(delta)
        key = _key(delta)
        try:
            if delta.type == "D":
                # What cannot be read is gone nevertheless.
                self._queue.delete(Tombstone(key, None) if obj is None else obj)
            elif obj is not None and delta.type == "A":
                self._queue.add(obj)
            elif obj is not None:
                self._queue.update(obj)
        except Exception as error:
            self._refuse(key, error)

    def _decoded(self, delta: Delta) -> T | None:
        try:
            obj = self._decode(delta.object)
        except Exception as error:  # msgspec's, or a bug in a class: one object, not the informer
            self._refuse(_key(delta), error)
            return None
        if key_of_object(obj) != _key(delta):
            self._refuse(_key(delta), ValueError("its class has no metadata"))
            return None
        return obj

    def _refuse(self, key: str, error: Exception) -> None:
        self.counters.refused += 1
        self.counters.refusal = f"object refused: {key}: {type(error).__name__}: {error}"[:500]
        log.error("informer %s: %s", self._name, self.counters.refusal)


def _key(delta: Delta) -> str:
    return f"{delta.namespace}/{delta.name}" if delta.namespace else delta.name
