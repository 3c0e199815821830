"""A version of an object is replaced: a group that has not seen it must still get it, or a mark that it was merged
into a newer one (pure)."""

from deltawire.common.store.layout import Row
from deltawire.informer.groups.events import COALESCED, GAP
from deltawire.informer.groups.group import Group


def overwritten(group: Group, old: Row, new_seq: int) -> bool:
    """``old`` was replaced by change ``new_seq`` of the same object. True if it must go to history."""
    flight = group.in_flight.get(old.key)
    is_sent = flight is not None and flight.seq == old.seq
    if flight is not None and is_sent:
        flight.overwritten = old.object
    if group.track.is_done(old.seq):
        if _is_waiting(group, old, is_sent=is_sent):
            _merge(group, old, new_seq)
        if group.members.wants_old and not is_sent and group.lot.get(old.seq) is None:
            group.olds.keep(old.key, old.object)
        return False
    if group.is_add(old):
        group.notes.owe(old.born)
        record = group.record
        if old.born <= record.state.listed_at and not record.is_every and not group.is_synced:
            # The initial list is handled when this object is, in whatever version. `every` has its first
            # version still to come, from history.
            record.must_reach(new_seq)
    return _passed_over(group, old, new_seq, is_sent=is_sent)


def removed(group: Group, old: Row, gone_seq: int) -> bool:
    """``old`` was deleted by change ``gone_seq``. True if it must go to history."""
    group.olds.drop(old.key)
    flight = group.in_flight.get(old.key)
    is_sent = flight is not None and flight.seq == old.seq
    if not group.track.is_done(old.seq):
        return _passed_over(group, old, gone_seq, is_sent=is_sent)
    if _is_waiting(group, old, is_sent=is_sent):
        _merge(group, old, gone_seq)
    return False


def lose_version(group: Group, row: Row, replaced_by: int) -> None:
    """A version was given up (byte bound) that an `every` group may have still to see."""
    if not group.track.is_done(row.seq) and not group.record.is_past(replaced_by):
        is_gap = row.flags & GAP and row.seq > group.record.every_since
        _merge(group, row, replaced_by, GAP if is_gap else 0)


def _passed_over(group: Group, old: Row, new_seq: int, *, is_sent: bool) -> bool:
    """``old``, which is not acknowledged, is the newest no more. True if it must go to history."""
    if group.record.is_every:
        return not group.record.state.forgotten
    if not is_sent:
        _merge(group, old, new_seq)
    return False


def _is_waiting(group: Group, old: Row, *, is_sent: bool) -> bool:
    """True if ``old`` is settled since a parked event of its key is to bring the newest state, and was not sent yet."""
    queue = () if group.record.is_every or is_sent else group.lot.queue(old.key)
    if not queue or not queue[-1].uid:
        # Without a uid: a dead letter that is tried again, long behind what the group has seen.
        return False
    return queue[-1].seq < old.seq or (queue[-1].seq == old.seq and not queue[-1].sent)


def _merge(group: Group, old: Row, new_seq: int, flags: int = 0) -> None:
    """The group will not see ``old``: it is counted, and the next event of this life bears the mark."""
    group.counters.coalesced += 1
    if not group.notes.mark(old.born, COALESCED | flags):
        group.record.mark_all(new_seq, is_gap=bool(flags))
