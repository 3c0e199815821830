"""Looks at all stored objects that are settled: a resync, and the look again after a filter has changed (pure)."""

from collections.abc import Sequence
from typing import Protocol

from deltawire.common.clock import Clock
from deltawire.common.store.layout import Row
from deltawire.common.wire.messages.group import EventKind
from deltawire.informer.groups.events import RESYNC, Changes, Flight
from deltawire.informer.groups.group import Group
from deltawire.informer.groups.replica import Replica
from deltawire.informer.groups.scope import Scope, Verdict
from deltawire.informer.groups.state import Parked

_PAGE_ROWS = 64


class Sending(Protocol):
    """What the round of sending does for a pass (`delivery`)."""

    def prepare(self, rows: Sequence[Row]) -> bool: ...
    def verdict(self, row: Row, *, again: bool) -> Verdict | None: ...
    def pick_for(self, verdict: Verdict | None) -> Replica | None: ...
    def emit(
        self,
        row: Row,
        kind: EventKind,
        replica: Replica,
        parked: Parked | None = None,
        *,
        verdict: Verdict | None = None,
        again: bool = False,
    ) -> Flight: ...


def resync(sending: Sending, group: Group, changes: Changes, now: float, clock: Clock) -> None:
    """Hand out all live objects again, those with nothing pending."""
    state = group.resync
    while group.members.have_room:
        rows, after = changes.page(state.after or "", _PAGE_ROWS, clock)
        for row in rows:
            if (
                not _is_busy(group, row.key)
                and group.track.is_done(row.seq)
                and not _hand_out(sending, group, row)
            ):
                return
            state.looked_at(row.key)
        if not after:
            state.end(now)
            return
        state.looked_at(after)


def _hand_out(sending: Sending, group: Group, row: Row) -> bool:
    """False if there is no room."""
    verdict = None
    if group.scope is not None:
        verdict = group.scope.resync(row)
        if verdict is None:
            return True
    replica = sending.pick_for(verdict)
    if replica is None:
        return False
    sending.emit(row, RESYNC, replica, verdict=verdict)
    return True


def look_again(sending: Sending, group: Group, scope: Scope, changes: Changes, clock: Clock) -> None:
    """The group's filter is another one: tell what is new to it, or has left it.

    What is not settled, or is set aside, is judged by the new one anyway.
    """
    while group.members.have_room and scope.rescan_after is not None:
        rows, after = changes.page(scope.rescan_after, _PAGE_ROWS, clock)
        if not sending.prepare(rows):
            return
        for row in rows:
            if not _look_at(sending, group, scope, row):
                return
            scope.looked_at(row.key)
        scope.looked_at(after or None)
    for key in list(scope.postponed):
        if _is_busy(group, key):
            continue
        newest = changes.object(key)
        if newest is not None and not _look_at(sending, group, scope, newest):
            return
        del scope.postponed[key]
    is_told = not any(f.scope is not None and f.scope.is_again for f in group.in_flight.values())
    if scope.rescan_after is None and not scope.postponed and is_told:
        scope.end_rescan()
        group.record.touch()


def _look_at(sending: Sending, group: Group, scope: Scope, row: Row) -> bool:
    """One stored object; False if it must be come back to."""
    if not group.track.is_done(row.seq):
        return True
    if _is_busy(group, row.key):
        # What is in flight or set aside may be of an older version, of another life of the name, or of other clauses.
        scope.postponed[row.key] = None
        return True
    verdict = sending.verdict(row, again=True)
    if verdict is None:
        scope.clean(row)
        return True
    replica = sending.pick_for(verdict)
    if replica is None or not scope.may_send(row, verdict):
        return False
    sending.emit(row, verdict.kind, replica, verdict=verdict, again=True)
    return True


def _is_busy(group: Group, key: str) -> bool:
    return key in group.in_flight or key in group.blocked or bool(group.lot.queue(key))
