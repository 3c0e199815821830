"""A version of an object is replaced: a group that has not seen it must still get it, or a mark that it was merged
into a newer one (pure)."""

from deltawire.common.meta.clauses import Subject
from deltawire.common.store.layout import Row
from deltawire.informer.groups.events import COALESCED, GAP
from deltawire.informer.groups.group import Group
from deltawire.informer.store.lost import NO_CONTENT


def overwritten(group: Group, old: Row, new_seq: int) -> bool:
    """``old`` was replaced by change ``new_seq`` of the same object. True if it must go to history."""
    must_go = _overwritten(group, old, new_seq)
    if old.flags & NO_CONTENT:
        _forget_content(group, old, new_seq, is_to_come=must_go)
        return False
    return must_go


def _overwritten(group: Group, old: Row, new_seq: int) -> bool:
    if group.scope is not None and not _concerns(group, old):
        return False
    flight = group.in_flight.get(old.key)
    is_sent = flight is not None and flight.seq == old.seq
    if flight is not None and is_sent:
        flight.overwritten = old.object
        if flight.scope is not None:
            flight.scope.is_newest = False
    if group.track.is_done(old.seq):
        if len(group.lot) and _is_waiting(group, old, is_sent=is_sent):
            _merge(group, old, new_seq)
        if (
            group.members.wants_old
            and not is_sent
            and group.lot.get(old.seq) is None
            and _was_told(group, old)
        ):
            group.olds.keep(old.key, old.object)
        return False
    if _is_new_to(group, old):
        if group.scope is None:
            group.notes.owe(old.born)
        record = group.record
        if old.born <= record.state.listed_at and not record.is_every and not group.is_synced:
            # The initial list is handled when this object is, in whatever version. `every` has its first
            # version still to come, from history.
            record.must_reach(new_seq)
    return _passed_over(group, old, new_seq, is_sent=is_sent)


def removed(group: Group, old: Row, gone_seq: int) -> bool:
    """``old`` was deleted by change ``gone_seq``. True if it must go to history."""
    must_go = _removed(group, old, gone_seq)
    if old.flags & NO_CONTENT:
        _forget_content(group, old, gone_seq, is_to_come=must_go)
        return False
    return must_go


def _removed(group: Group, old: Row, gone_seq: int) -> bool:
    if group.scope is not None and not _concerns(group, old):
        if group.scope.lives.get(old.born) is None:
            group.notes.forget(old.born)
        return False
    group.olds.drop(old.key)
    flight = group.in_flight.get(old.key)
    is_sent = flight is not None and flight.seq == old.seq
    if not group.track.is_done(old.seq):
        return _passed_over(group, old, gone_seq, is_sent=is_sent)
    if _is_waiting(group, old, is_sent=is_sent):
        _merge(group, old, gone_seq)
    return False


def needs_deletion(group: Group, old: Row) -> bool:
    """True if the group must be told that ``old``, which was `removed`, is deleted."""
    if group.record.state.forgotten:
        return False
    return group.scope is None or group.scope.lives.get(old.born) is not None


def stored(group: Group, row: Row, new: Subject, old: Row | None, before: Subject | None) -> None:
    """A version was stored, which a group with a filter may want; after `overwritten`."""
    if group.scope is None or group.record.state.forgotten:
        return
    flight = group.in_flight.get(row.key)
    held = flight.scope if flight is not None and flight.born == row.born else None
    group.scope.stored(row, new, old, before, every=group.record.is_every, held=held)


def adopt(group: Group, row: Row) -> None:
    """A group that had no filter, or whose rows were lost, may know a life that has no row: it gets one."""
    if group.scope is not None and group.scope.adopts(row):
        is_every = group.record.is_every
        is_known = is_every or group.track.is_done(row.seq) or not group.is_add(row.seq, row.born)
        group.scope.adopt(row, is_known=is_known)


def _concerns(group: Group, old: Row) -> bool:
    """True if a version, which is stored no more, is one that a group with a filter has got or has still to get."""
    scope = group.scope
    if scope is None or group.record.state.forgotten:
        return False
    adopt(group, old)
    if scope.lives.get(old.born) is None:
        scope.clauses.forget(old.seq)
        return False
    every = group.record.is_every
    if every or group.track.is_done(old.seq) or scope.look(old, is_gone=False, every=False) is not None:
        return True
    group.counters.filtered += 1
    scope.clauses.forget(old.seq)
    return False


def _is_new_to(group: Group, row: Row) -> bool:
    if group.scope is None:
        return group.is_add(row.seq, row.born)
    life = group.scope.lives.get(row.born)
    return life is not None and not life.known


def _was_told(group: Group, row: Row) -> bool:
    """True if the group acknowledged this version, and not only passed it over."""
    if group.scope is None or not group.scope.clauses.looks_at_changes:
        return True
    life = group.scope.lives.get(row.born)
    return life is not None and life.acked == row.seq


def _forget_content(group: Group, old: Row, replaced_by: int, *, is_to_come: bool) -> None:
    """The content of ``old`` was lost with a host: it is neither history nor `old`.

    ``is_to_come``: an `every` group has still to see it.
    """
    if is_to_come:
        lose_version(group, old, replaced_by, is_gap=True)
    group.olds.drop(old.key)
    flight = group.in_flight.get(old.key)
    if flight is not None and flight.seq == old.seq:
        flight.overwritten = None


def lose_version(group: Group, row: Row, replaced_by: int, *, is_gap: bool = False) -> None:
    """A version was given up (byte bound), or (``is_gap``) lost with a host, that an `every` group may have still to
    see."""
    is_wanted = group.scope is None or group.scope.lives.get(row.born) is not None
    if is_wanted and not group.track.is_done(row.seq) and not group.record.is_past(replaced_by):
        is_gap |= bool(row.flags & GAP) and row.seq > group.record.every_since
        flight = group.in_flight.get(row.key)
        if flight is not None and flight.born == row.born:
            # A dead letter that is tried again was sent as the newest state: what it says is said.
            replaced_by = max(replaced_by, flight.seq + 1)
        _merge(group, row, replaced_by, GAP if is_gap else 0)
        if group.scope is not None:
            group.scope.may_know(row.born)


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
    """The group will not see ``old``: it is counted, and the life's next event from ``new_seq`` on bears the mark."""
    group.counters.coalesced += 1
    if not group.notes.mark(old.born, COALESCED | flags, lost=old.seq, at=new_seq):
        group.record.mark_all(new_seq, is_gap=bool(flags))
