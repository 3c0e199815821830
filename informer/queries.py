"""Questions about stored objects, of peers that cannot read the files (docs/wire.md §7)."""

from collections import deque
from collections.abc import Sequence

from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError, ProtocolError, StateError
from deltawire.common.limits import BATCH_BYTES_MAX, QUESTIONS_BYTES_MAX, QUESTIONS_WAITING_MAX
from deltawire.common.loop import Loop
from deltawire.common.store.layout import Row
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.messages import group as wire
from deltawire.common.wire.session import Peer
from deltawire.informer.shard import Shard
from deltawire.informer.shared_informer import SharedInformer

# Of a turn of the loop, s: what waits longer is answered in the next ones, so that events are not held up.
TURN_S = 0.01
# A connection that had no room is looked at so often, s.
ROOM_S = 0.02

Answer = wire.Rows | wire.Changes | wire.Problem
_PROBLEM_CHARS_MAX = 1000
_SEQ_MAX = 2**63 - 1


class Asker:
    """A peer whose questions wait."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self._queries: deque[tuple[wire.Query, int]] = deque()
        self._bytes = 0

    @property
    def are_there(self) -> bool:
        return bool(self._queries)

    def add(self, query: wire.Query, size: int) -> bool:
        """False where more would wait than may."""
        if len(self._queries) >= QUESTIONS_WAITING_MAX or self._bytes + size > QUESTIONS_BYTES_MAX:
            return False
        self._queries.append((query, size))
        self._bytes += size
        return True

    def next(self) -> wire.Query:
        query, size = self._queries.popleft()
        self._bytes -= size
        return query


class Queries:
    """Answers from the shards of this worker. A peer with a key gets what its key may read.

    Answering is no more than a part of each turn, and peers take turns. Who does not take what it is sent waits; where
    more of its questions wait than may, its session ends.
    """

    def __init__(
        self, informers: dict[str, SharedInformer], listener: Listener, loop: Loop, clock: Clock
    ) -> None:
        self._informers = informers
        self._listener = listener
        self._loop = loop
        self._clock = clock
        self._waiting: dict[bytes, Asker] = {}
        self._timer = loop.timer(self._go_on)
        # Of this turn; None: nothing was answered in it.
        self._until_s: float | None = None

    def take(self, peer: Peer, query: wire.Query, size: int) -> None:
        """Answer now, or soon. ``size``: of the message, bytes. Raises ProtocolError where too many wait."""
        if not self._listener.has(peer):
            return
        waiting = self._waiting.get(peer.identity)
        if waiting is None:
            if self._has_time() and self._listener.may_answer(peer):
                self._listener.answer(peer, self._answer(peer, query))
                return
            waiting = self._waiting[peer.identity] = Asker(peer)
        if not waiting.add(query, size):
            raise ProtocolError(f"more than {QUESTIONS_WAITING_MAX} questions before it took their answers")
        self._timer.hurry(self._clock.now_s())

    def gone(self, peer: Peer) -> None:
        """Its session has ended; it asks again in the next one."""
        waiting = self._waiting.get(peer.identity)
        if waiting is not None and waiting.peer is peer:
            del self._waiting[peer.identity]

    def _has_time(self) -> bool:
        """True for `TURN_S` of a turn of the loop."""
        now_s = self._clock.now_s()
        if self._until_s is None:
            self._until_s = now_s + TURN_S
            self._loop.at_end(self._end_turn)
        return now_s < self._until_s

    def _end_turn(self) -> None:
        self._until_s = None

    def _go_on(self) -> None:
        """A question of each peer that has room, in turn, until the time is over."""
        has_room = True
        while has_room and self._has_time():
            has_room = False
            for waiting in list(self._waiting.values()):
                if not self._has_time():
                    has_room = True
                    break
                if not self._listener.may_answer(waiting.peer):
                    continue
                has_room = True
                # Who comes first in the next turn is not always the same.
                del self._waiting[waiting.peer.identity]
                self._listener.answer(waiting.peer, self._answer(waiting.peer, waiting.next()))
                if waiting.are_there and self._listener.has(waiting.peer):
                    self._waiting[waiting.peer.identity] = waiting
        if self._waiting:
            now_s = self._clock.now_s()
            self._timer.hurry(now_s if has_room else now_s + ROOM_S)

    def _answer(self, peer: Peer, query: wire.Query) -> Answer:
        guard = self._listener.guard
        if guard is not None and not guard.may_read(peer.key, query.informer):
            text = f"the key of {peer.name[:80]} may not read {query.informer}"
            guard.note_refusal(peer, f"{query.verb[:20]} {query.informer[:200]}")
            return wire.Problem(query.id, text)
        informer = self._informers.get(query.informer)
        shard = informer.shards.get(query.shard) if informer is not None else None
        if informer is None or shard is None:
            return wire.Problem(query.id, f"this worker has no {query.informer} shard {query.shard}")
        try:
            return answer(query, shard)
        except DeltawireError as error:
            return wire.Problem(query.id, str(error)[:_PROBLEM_CHARS_MAX])


def answer(query: wire.Query, shard: Shard) -> wire.Rows | wire.Changes:
    """What a shard has to say. Raises StateError for what cannot be answered."""
    indexer = shard.indexer
    match query.verb, query.arguments:
        case "get", [str(key)]:
            return _rows(query.id, _one(indexer.get(key)), "")
        case "list", [str(prefix), str(after), int(limit)]:
            return _rows(query.id, *indexer.query_page(prefix, after, limit))
        case "index", [str(name), str(value), str(after), int(limit)]:
            return _rows(query.id, *indexer.query_index(name, value, after, limit))
        case "keys", [str(prefix), str(after), int(limit)]:
            rows, after = indexer.query_page(prefix, after, limit)
            return wire.Rows(query.id, [wire.StoredRow(row.key, row.version, b"") for row in rows], after)
        case "row", [str(key)]:
            return _changes(query.id, shard, _one(indexer.get(key)), 0)
        case "changes", [int(seq), int(limit)] if 0 <= seq < _SEQ_MAX:
            return _changes(query.id, shard, *indexer.query_changes(seq, limit))
    raise StateError(f"a worker does not answer {query.verb[:40]!r} with these arguments")


def _one(row: Row | None) -> list[Row]:
    return [] if row is None else [row]


def _rows(number: int, rows: Sequence[Row], after: str) -> wire.Rows:
    kept = _that_fit(rows)
    if len(kept) < len(rows):
        after = kept[-1].key
    return wire.Rows(number, [wire.StoredRow(row.key, row.version, row.object) for row in kept], after)


def _changes(number: int, shard: Shard, rows: Sequence[Row], seq: int) -> wire.Changes:
    kept = _that_fit(rows)
    if len(kept) < len(rows):
        seq = kept[-1].seq
    told = [wire.ChangedRow(r.key, r.uid, r.version, r.seq, r.at, r.object) for r in kept]
    return wire.Changes(number, told, seq, str(shard.indexer.folder), shard.indexer.count())


def _that_fit(rows: Sequence[Row]) -> Sequence[Row]:
    """The first ones, in one message: at least one."""
    size = 0
    for number, row in enumerate(rows):
        size += len(row.object)
        if number and size > BATCH_BYTES_MAX:
            return rows[:number]
    return rows
