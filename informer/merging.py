"""What the store tells a group: a version of an object was replaced, and who has not seen it must still see it,
or is told that it was merged into a newer one (pure)."""

from deltawire.common.store.layout import Row
from deltawire.informer.events import COALESCED
from deltawire.informer.group import Group


def overwritten(group: Group, old: Row, new_seq: int) -> bool:
    """``old`` was replaced by change ``new_seq`` of the same object. True if it must go to history."""
    flight = group.in_flight.get(old.key)
    is_sent = flight is not None and flight.seq == old.seq
    if flight is not None and is_sent:
        flight.overwritten = old.object
    if group.is_done(old.seq):
        if group.wants_old and not is_sent and group.lot.get(old.seq) is None:
            group.olds.keep(old.key, old.object)
        return False
    if group.is_add(old):
        group.notes.owe(old.born)
        if old.born <= group.state.listed_at and not group.is_every and not group.is_synced:
            # The initial list is handled when this object is, in whatever version. `every` has its first
            # version still to come, from history.
            group.state.synced_at = max(group.state.synced_at, new_seq)
            group.touch()
    return _passed_over(group, old, new_seq, is_sent=is_sent)


def removed(group: Group, old: Row, gone_seq: int) -> bool:
    """``old`` was deleted by change ``gone_seq``. True if it must go to history."""
    group.olds.drop(old.key)
    if group.is_done(old.seq):
        return False
    flight = group.in_flight.get(old.key)
    return _passed_over(group, old, gone_seq, is_sent=flight is not None and flight.seq == old.seq)


def lose_versions(group: Group, seq: int) -> None:
    """Versions up to ``seq`` that this group had still to see were given up (byte bound)."""
    if group.position < seq:
        group.state.coalesced_to = seq
        group.counters.coalesced += 1
        group.touch()


def _passed_over(group: Group, old: Row, new_seq: int, *, is_sent: bool) -> bool:
    """``old``, which is not acknowledged, is the newest no more. True if it must go to history."""
    if group.is_every:
        return not group.state.forgotten
    if not is_sent:
        group.counters.coalesced += 1
        if not group.notes.mark(old.born, COALESCED):
            group.state.coalesced_to = max(group.state.coalesced_to, new_seq)
    return False
