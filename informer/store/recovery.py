"""A shard's cache and its ledger when they are opened: one may be behind the other, or be gone.

After a crash of the machine the cache begins empty and the ledger's lives are *lost*: it is not known whether they
go on. The first list decides: a life that it names goes on. One that it does not name, or whose name has another
uid, has ended, and each registered group gets the deletion. After a killed process only the ledger is behind.
"""

from deltawire.common.store import layout
from deltawire.common.store.meta import StreamState
from deltawire.informer.groups import state as group_state
from deltawire.informer.store.indexer import Indexer
from deltawire.informer.store.ledger import Ledger, Life
from deltawire.informer.store.lost import LostName, encode_lost

# Numbers given out in the second before the crash are in no ledger; those that follow must be above them.
SEQ_MARGIN = 1 << 32
_SCAN_ROWS = 1000


def recover(indexer: Indexer, ledger: Ledger) -> int:
    """Make an empty cache remember what the ledger knows. The number of lives that are lost; 0 with nothing to do."""
    state = ledger.state
    if indexer.state.seq or not state.seq:
        return 0
    names: dict[str, LostName] = {}
    count = 0
    for born, life in ledger.lives():
        names.setdefault(life.key, LostName(life.key)).lives.append((born, life.uid))
        count += 1
    with indexer.batch() as batch:
        for key, name in names.items():
            indexer.beats.progress("a recovery of what the ledger knows")
            batch.lose(key, encode_lost(name))
        for stream, known in state.streams.items():
            kept = StreamState(floor=known.floor, generation=known.generation, lineage=known.lineage)
            if known.is_listed:
                kept.lost_from = known.lost_from or known.resume or known.floor
            batch.put_stream(stream, kept)
        for group, remembered in state.groups.items():
            if remembered.clauses:
                # Which of the lives it knew is in no row any more.
                remembered.lost_to = state.seq + SEQ_MARGIN
            batch.put(layout.GROUPS, group_state.group_key(group), group_state.encode(remembered))
        batch.state.seq = state.seq + SEQ_MARGIN
    return count


def catch_up(indexer: Indexer, ledger: Ledger) -> dict[int, Life | None]:
    """What the ledger does not know of the cache yet: lives that began, None for those that are over."""
    missing: dict[int, Life | None] = {}
    known = after = ledger.state.seq
    with indexer.view() as view:
        while found := view.scan(after, _SCAN_ROWS, every=False):
            indexer.beats.progress("a comparison with the ledger")
            for pending in found:
                row = pending.row or view.object(pending.key)
                if row is not None and row.born > known:
                    missing[row.born] = Life(row.uid, row.key)
            after = found[-1].seq
        if indexer.has_lost or ledger.count() + len(missing) == view.lives_count():
            # The lost are in no other database of the cache; once they are settled the counts tell again.
            return missing
        # Rare: a process was killed in the second after a deletion.
        alive = view.lives()
    over = dict.fromkeys(born for born, _ in ledger.lives() if born not in alive)
    return {**missing, **over}
