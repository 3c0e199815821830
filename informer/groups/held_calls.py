"""Calls that outlived the session with their replica, or the worker before: the changes they are about (pure)."""

from typing import TYPE_CHECKING

from deltawire.common.store.layout import Row
from deltawire.common.wire.messages.group import EventKind
from deltawire.informer.groups.events import ADD, DELETE, UPDATE, Changes, Flight, stored_version
from deltawire.informer.groups.replica import Replica
from deltawire.informer.groups.state import Parked, row_of_parked
from deltawire.informer.store.lost import NO_CONTENT

if TYPE_CHECKING:
    from deltawire.informer.groups.group import Group


def take_held(group: "Group", replica: Replica, key: str, seq: int, fence: int, changes: Changes) -> None:
    """``replica`` says that it is in a call for (key, seq, fence): it is in flight again, if it is its."""
    found = held_change(group, key, seq, fence, changes)
    if found is None:
        return
    row, kind, parked = found
    flight = Flight(row.key, row.uid, row.born, seq, kind, replica, fence)
    flight.failures = parked.attempts if parked else 0
    if (kind == DELETE or group.record.is_every) and not row.flags & NO_CONTENT:
        flight.row = row
    flight.parked_seq = seq if parked else 0
    flight.size_bytes = len(row.object)
    if group.scope is not None:
        is_left = parked is not None and parked.left
        verdict = group.scope.look(
            row,
            is_gone=kind == DELETE and not is_left,
            is_left=is_left,
            every=group.record.is_every,
            forced=True,
        )
        if verdict is not None:
            flight.scope = group.scope.hold(verdict, is_again=False)
    group.in_flight[flight.key] = flight
    replica.take(flight.size_bytes, alone=flight.solo)


def held_change(
    group: "Group", key: str, seq: int, fence: int, changes: Changes
) -> tuple[Row, EventKind, Parked | None] | None:
    """What a replica holds that names (key, seq, fence): its row, its kind, where it is parked.

    None if the group is past it, or gave it to somebody else since.
    """
    parked = group.lot.get(seq)
    if key in group.in_flight or (parked is None and group.track.is_done(seq)):
        return None
    if parked is not None:
        is_its = parked.key == key and fence >= parked.fence
        return (row_of_parked(parked), parked.kind, parked) if is_its else None
    gone = changes.gone(seq)
    row = gone or stored_version(changes, key, seq, every=group.record.is_every)
    if row is None or row.key != key:
        return None
    return row, DELETE if gone else ADD if group.is_add(row.seq, row.born) else UPDATE, None
