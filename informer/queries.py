"""Questions about stored objects, of peers that cannot read the files (docs/wire.md §7)."""

from collections.abc import Sequence

from deltawire.common.errors import DeltawireError, StateError
from deltawire.common.limits import BATCH_BYTES_MAX
from deltawire.common.store.layout import Row
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.messages import group as wire
from deltawire.common.wire.session import Peer
from deltawire.informer.shard import Shard
from deltawire.informer.shared_informer import SharedInformer

Answer = wire.Rows | wire.Changes | wire.Problem
_PROBLEM_CHARS_MAX = 1000
_SEQ_MAX = 2**63 - 1


class Queries:
    """Answers from the shards of this worker. A peer with a key gets what its key may read."""

    def __init__(self, informers: dict[str, SharedInformer], listener: Listener) -> None:
        self._informers = informers
        self._listener = listener

    def take(self, peer: Peer, query: wire.Query) -> None:
        """Send the answer."""
        self._listener.send(peer.identity, self._answer(peer, query))

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
