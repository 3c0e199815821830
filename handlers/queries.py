"""Questions to a worker about its stored objects, for processes that cannot read its files.

A thread that calls a plug-in's function asks and waits; the runner's loop sends and hands the answer back.

Not here: reading by mmap (``caches``).
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from deltawire.common.clock import Clock
from deltawire.common.errors import CapacityError, ProtocolError, TransportError
from deltawire.common.wire.messages.group import Changes, Problem, Rows, StoredRow

Answer = Rows | Changes

QUERIES_MAX = 256
TIMEOUT_S = 10.0


class Question(NamedTuple):
    """One query on its way: ``arguments`` are those of its verb (docs/wire.md §7)."""

    id: int
    worker: int
    informer: str
    shard: int
    verb: str
    arguments: tuple[Any, ...]


class _Waiting:
    __slots__ = ("answer", "question")

    def __init__(self, question: Question) -> None:
        self.question = question
        self.answer: Answer | Problem | None = None


class Queries:
    """The questions that are open. ``wake`` makes the loop look at `outgoing`."""

    def __init__(self, wake: Callable[[], None], *, clock: Clock, timeout_s: float = TIMEOUT_S) -> None:
        self._wake = wake
        self._clock = clock
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._waiting: dict[int, _Waiting] = {}
        self._outgoing: deque[Question] = deque()
        self._last_id = 0

    def ask(self, worker: int, informer: str, shard: int, verb: str, *arguments: Any) -> Answer:
        """The worker's answer. Called by any thread but the loop's, which has to bring the answer.

        Raises TransportError if none comes in time or the worker cannot answer, CapacityError above
        QUERIES_MAX open questions.
        """
        deadline_s = self._clock.now_s() + self._timeout_s
        with self._changed:
            if len(self._waiting) >= QUERIES_MAX:
                raise CapacityError(f"{QUERIES_MAX} queries of the caches are open already")
            self._last_id += 1
            question = Question(self._last_id, worker, informer, shard, verb, arguments)
            waiting = self._waiting[question.id] = _Waiting(question)
            self._outgoing.append(question)
        self._wake()
        with self._changed:
            while waiting.answer is None and self._clock.now_s() < deadline_s:
                self._clock.wait_until(self._changed, deadline_s)
            del self._waiting[question.id]
        what = f"shard {shard} of {informer}"
        if waiting.answer is None:
            raise TransportError(f"worker {worker} did not answer about {what} in time", reason="timeout")
        if isinstance(waiting.answer, Problem):
            raise TransportError(f"worker {worker} cannot read {what}: {waiting.answer.text}")
        return waiting.answer

    @property
    def are_waiting(self) -> bool:
        """True if there may be something to send; what comes in the same moment wakes the loop again."""
        return bool(self._outgoing)

    def outgoing(self) -> list[Question]:
        """The questions to be sent now; the loop's."""
        with self._changed:
            questions = [q for q in self._outgoing if q.id in self._waiting]
            self._outgoing.clear()
        return questions

    def again(self, question: Question) -> None:
        """Keeps a question that could not be sent yet; it is given up when its asker's time is over."""
        with self._changed:
            if question.id in self._waiting:
                self._outgoing.append(question)

    def answered(self, answer: Answer | Problem) -> None:
        """Hands an answer to its caller; one that comes too late is ignored."""
        with self._changed:
            waiting = self._waiting.get(answer.id)
            if waiting is not None:
                waiting.answer = answer
                self._changed.notify_all()

    def lost(self, worker: int) -> None:
        """The worker's session ended: its questions are asked again in the next one."""
        with self._changed:
            queued = {q.id for q in self._outgoing}
            self._outgoing.extend(
                w.question
                for w in self._waiting.values()
                if w.question.worker == worker and w.answer is None and w.question.id not in queued
            )


class RemoteShard:
    """A shard that is read by asking its worker. A `ShardSource`."""

    def __init__(self, queries: Queries, worker: int, informer: str, shard: int) -> None:
        self._queries = queries
        self._place = (worker, informer, shard)

    def get(self, key: str) -> StoredRow | None:
        rows, _ = self._rows("get", key)
        return rows[0] if rows else None

    def page(self, prefix: str, after: str, limit: int) -> tuple[list[StoredRow], str]:
        return self._rows("list", prefix, after, limit)

    def index_page(self, name: str, value: str, after: str, limit: int) -> tuple[list[StoredRow], str]:
        return self._rows("index", name, value, after, limit)

    def _rows(self, verb: str, *arguments: Any) -> tuple[list[StoredRow], str]:
        answer = self._queries.ask(*self._place, verb, *arguments)
        if not isinstance(answer, Rows):
            raise ProtocolError(f"a worker answers {verb} with {type(answer).__name__}")
        return answer.rows, answer.after
