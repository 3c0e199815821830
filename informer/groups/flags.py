"""What an event says beside its object, by what its group has seen (pure)."""

from deltawire.informer.groups.events import ADD, COALESCED, GAP, INITIAL, RESYNC
from deltawire.informer.groups.group import Group


def flags_of(group: Group, flags: int, seq: int, born: int, kind: str) -> int:
    """The flags of an event (docs/wire.md §7), whose row has ``flags``."""
    record = group.record
    # What was lost before the view of all versions began, or was reported already, is no gap.
    if flags & GAP and (kind == RESYNC or seq <= record.every_since):
        flags &= ~GAP
    flags |= group.notes.said_at(born, seq)
    if seq <= record.state.coalesced_to:
        flags |= COALESCED
    if seq <= record.state.gap_to:
        flags |= GAP
    if flags & GAP and not record.is_every:
        flags &= ~GAP
    if kind == ADD and record.is_of_first_list(born) and (group.scope is None or not group.is_synced):
        flags |= INITIAL
    return flags
