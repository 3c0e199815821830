"""One stream's shell: its machine, its reader's thread and its outbox, turned by the main loop.

Everything here runs in the main loop's thread, or in the reader's where it visits the loop.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError, StatusError, TransportError
from deltawire.common.wire.messages import stream as wire
from deltawire.common.wire.messages.fields import Message
from deltawire.common.wire.messages.proofs import Proof
from deltawire.reflector.action import Action, Cancel, Deltas, End, List, Request, Watch
from deltawire.reflector.cluster import LOG_EVERY_S
from deltawire.reflector.identity import ClusterChangedError, ClusterUnknownError
from deltawire.reflector.machine import Machine
from deltawire.reflector.proof import Stillness, StreamProver
from deltawire.reflector.publish import Outbox
from deltawire.reflector.reader import Closed, Failed, News, Opened, Read, Reader
from deltawire.reflector.split import Batch, Counters
from deltawire.reflector.states import State

log = logging.getLogger(__name__)

# Results of one stream taken in one turn of the main loop, so that a busy stream leaves the others their turn.
NEWS_PER_TURN_MAX = 16
# What was due and could not be done yet is tried again after so long.
AGAIN_S = 0.1

Send = Callable[[Message], bool]


class StreamDriver:
    """Call `turn` after a message and when the reader has results, and again at `due_s`.

    ``send`` gives a message to the broker. ``before_publishing`` is called before messages with data of a request, so
    that the cluster's id is sent first. ``turn_at_s(now_s)`` is when a list or a watch may be requested, now or later.
    ``stillness`` is shared by the streams of one main loop, ``visit`` lets the reader's thread do its work in that loop
    (`SharedLoop`)."""

    def __init__(
        self,
        informer: str,
        stream: str,
        *,
        machine: Machine,
        reader: Reader,
        counters: Counters,
        clock: Clock,
        send: Send,
        before_publishing: Callable[[], None],
        turn_at_s: Callable[[float], float] = lambda now_s: now_s,
        stillness: Stillness | None = None,
        visit: AbstractContextManager[bool] = nullcontext(True),  # keeps nothing
    ) -> None:
        self.informer = informer
        self.stream = stream
        # ``dev/pods@*``, as in status and logs.
        self.name = f"{informer}@{stream}"
        self.machine = machine
        self.outbox = Outbox(informer, stream)
        self._reader = reader
        self._counters = counters
        self._clock = clock
        self._send = send
        self._before_publishing = before_publishing
        self._turn_at_s = turn_at_s
        self._visit = visit
        self._held: tuple[Request, float] | None = None  # a request, and when it may be sent
        self._progress_at_us = 0
        self._prover = StreamProver(stillness)
        self._logged: tuple[str, float] = ("", 0.0)

    # -- the broker's messages

    def start(self, resume: str, floor: str, generation: int, deltas: int, size_bytes: int) -> None:
        # It may begin further back: then nothing is proven until it is there again.
        self._prover.read(self.machine.version)
        self.outbox.open(deltas, size_bytes)
        self._do(self.machine.start(self._clock.now_s(), resume, floor, generation))
        log.info("stream %s starts %s", self.name, f"at version {resume}" if resume else "with a list")

    def credit(self, deltas: int, size_bytes: int) -> None:
        self.outbox.grant(deltas, size_bytes)

    def relist(self) -> bool:
        """List what the API server has now, whatever was seen before. False where the stream does not run."""
        actions = self.machine.relist(self._clock.now_s())
        self._do(actions)
        return bool(actions)

    def stop(self, error: DeltawireError | None) -> None:
        """With ``error`` until the next start; without, the session is lost: everything held is dropped."""
        self._prover.lost()
        self._do(self.machine.stop(error))
        self.outbox.clear()
        self._log_error()

    # -- the main loop

    def turn(self) -> bool:
        """Take what the reader brought, send what credit allows. True if more is ready at once."""
        now_s = self._clock.now_s()
        if self._held is not None and now_s >= self._held[1]:
            self._reader.submit(self._held[0])
            self._held = None
        reading_since_s, has_room = self._reader.reading_since_s, self.outbox.has_room
        self._do(self.machine.tick(now_s, reading_since_s, has_room=has_room))
        is_more_ready = False
        for taken in range(NEWS_PER_TURN_MAX + 1):
            is_more_ready = taken == NEWS_PER_TURN_MAX or not self.outbox.has_room
            if is_more_ready:
                break
            news = self._reader.take()
            if news is None:
                break
            self._on(news, now_s)
        self._flush()
        self._log_error()
        return is_more_ready and self.outbox.has_room

    def pass_on(self, number: int, batch: Batch, at_us: int) -> bool:
        """The short way of `turn` for what request ``number`` brought at ``at_us``: it leaves at once, and nothing else
        changes. Called in the reader's thread, which visits the main loop.

        False: nothing was done; `turn` is to find it in the reader's inbox. Nothing that `turn` does in time moves to
        an earlier time, and the cluster's id was sent before the broker started the stream.
        """
        deltas, version = batch.deltas, batch.version
        if batch.is_bookmark or batch.error is not None:
            return False
        with self._visit as is_open:
            if not is_open or not self._reader.is_next(number) or not self.outbox.has_room:
                return False
            if not self.machine.moves_on(version, len(deltas)):
                return False
            self._progress_at_us = at_us
            size = len(deltas[0].object) if len(deltas) == 1 else sum(len(delta.object) for delta in deltas)
            if self.outbox.spend(len(deltas), size):
                self._send(wire.Deltas(self.informer, self.stream, version, at_us, deltas))
            else:
                self.outbox.put(Deltas(deltas, version), at_us)
                self._flush()
            return True
        return False

    def due_s(self) -> float:
        """When `turn` is to be called though nothing came, at the latest; monotonic s, inf: never."""
        now_s = self._clock.now_s()
        due_s = self.machine.due_s(now_s, self._reader.reading_since_s, has_room=self.outbox.has_room)
        due_s = min(due_s, self._prover.due_s(now_s))
        if self._held is not None:
            due_s = min(due_s, self._held[1])
        if self.machine.error is not None:
            due_s = min(due_s, self._logged[1] + LOG_EVERY_S)
        return due_s if due_s > now_s else now_s + AGAIN_S

    @property
    def is_watching(self) -> bool:
        """True while the API server has accepted the watch, or is just asked to do so again."""
        return self.machine.state is State.WATCHING and self._prover.is_watching(self._clock.now_s())

    def proof(self) -> Proof | None:
        """What holds of the stream once all that was sent so far is stored; None where nothing can be said."""
        if not self.is_watching:
            return None
        wall_us, reading = self._wall_us(), self._reader.reading()
        self._prover.turn(self._clock.now_s(), wall_us, reading)
        held = [at for at in (self.outbox.oldest_us, self._reader.oldest_us()) if at is not None]
        held_us = min(held, default=None)
        if held_us == 0:
            return None
        proof = self._prover.proof(self.machine.version, self.machine.bookmark_interval_s, held_us)
        self._prover.read(self.machine.version)
        return proof

    def close(self) -> None:
        self._reader.close()

    def join(self, timeout_s: float) -> bool:
        """False if the reader's thread still runs."""
        return self._reader.join(timeout_s)

    def status(self, cluster_error: DeltawireError | None = None) -> dict[str, Any]:
        """The stream's entry in status (docs/status.md). ``cluster_error``: why it may not have begun."""
        machine, counters = self.machine, self._counters
        error = machine.error or cluster_error
        retry_in_s = None
        if machine.retry_at_s is not None:
            retry_in_s = round(max(0.0, machine.retry_at_s - self._clock.now_s()), 1)
        return {
            "state": machine.state.value,
            "watching": self.is_watching,
            "doubtful": machine.is_doubtful,
            "version": machine.version,
            "error": str(error) if error else counters.refusal,
            "error_code": code_of(error) if error else "",
            "retry_in_s": retry_in_s,
            "lists": machine.lists,
            "watches": machine.watches,
            "retries": machine.retries,
            "idle_watches": machine.idle_watches,
            "streaming_lists": machine.has_streaming_lists,
            "events": self.outbox.published,
            "bytes": self.outbox.published_bytes,
            "refused": counters.refused,
            "unsupported": counters.unsupported,
            "waiting": self.outbox.waiting_deltas,
            "waiting_bytes": self.outbox.waiting_bytes + self._reader.inbox_bytes,
            "credit_deltas": self.outbox.credit_deltas,
            "credit_bytes": self.outbox.credit_bytes,
            "last_progress_at": self._progress_at_us,
            "bookmark_interval_s": machine.bookmark_interval_s,
        }

    def _on(self, news: News, now_s: float) -> None:
        machine = self.machine
        at_us = 0
        if isinstance(news, Read):
            at_us = self._progress_at_us = news.at_us
            part = news.part
            actions = machine.batch(now_s, part) if isinstance(part, Batch) else machine.page(now_s, part)
        elif isinstance(news, Opened):
            self._progress_at_us = self._wall_us()
            self._prover.opened(now_s, self._progress_at_us)
            actions = machine.opened(now_s)
        elif isinstance(news, Closed):
            self._prover.ended(now_s)
            actions = machine.closed(now_s)
        elif isinstance(news, Failed) and isinstance(news.error, ClusterChangedError):
            self._prover.lost()
            self.outbox.clear()
            actions = machine.stop(news.error)
        else:
            actions = machine.failed(now_s, news.error)
            if any(isinstance(action, Watch) and not action.is_list for action in actions):
                self._prover.ended(now_s)  # cut after it worked, and opened again at once
            else:
                self._prover.lost()
        self._do(actions, at_us)

    def _do(self, actions: list[Action], at_us: int = 0) -> None:
        for action in actions:
            if isinstance(action, List | Watch):
                self._prover.asked(self._clock.now_s(), is_list=isinstance(action, List) or action.is_list)
                self._submit(action)
            elif isinstance(action, Cancel):
                self._held = None
                self._reader.cancel(is_dead=action.is_silent)
            else:
                if isinstance(action, End):
                    self._prover.listed(action.version)
                self.outbox.put(action, at_us)

    def _wall_us(self) -> int:
        return int(self._clock.wall_s() * 1_000_000)

    def _submit(self, request: Request) -> None:
        if isinstance(request, List) and not request.is_first:
            self._reader.submit(request)
            return
        now_s = self._clock.now_s()
        at_s = self._turn_at_s(now_s)
        if at_s <= now_s:
            self._reader.submit(request)
        else:
            self._held = (request, at_s)

    def _flush(self) -> None:
        first = True
        for message in self.outbox.messages():
            if first:
                self._before_publishing()
                first = False
            self._send(message)

    def _log_error(self) -> None:
        """One line for an error, again only when it changes or after a while."""
        error = self.machine.error
        if error is None:
            return
        text, now_s = str(error), self._clock.now_s()
        if text == self._logged[0] and now_s - self._logged[1] < LOG_EVERY_S:
            return
        self._logged = (text, now_s)
        log.warning("stream %s: %s", self.name, text)


def code_of(error: DeltawireError) -> str:
    """The error in one word: HTTP's code, the transport's reason, or the error's class."""
    if isinstance(error, StatusError | ClusterUnknownError):
        return str(error.code)
    if isinstance(error, TransportError) and error.reason:
        return error.reason
    return type(error).__name__.removesuffix("Error").lower()
