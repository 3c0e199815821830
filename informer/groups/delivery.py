"""What a handler group is sent next (pure).

A delivery is a scan of the shard's changes above the group's position. At most a window of keys is in flight,
one event a key; a newer change of a key in flight waits. What a group has missed while it was away, the initial
adds of a new group, and the work after a crash are all the same scan (docs/design.md §5).
"""

from collections import deque

from deltawire.common.clock import Clock
from deltawire.common.store.layout import Row
from deltawire.common.wire.messages.group import EventKind, EventRow
from deltawire.informer.groups.events import (
    ADD,
    COALESCED,
    DELETE,
    GAP,
    INITIAL,
    RESYNC,
    UPDATE,
    Changes,
    Flight,
    PendingChange,
    stored_version,
)
from deltawire.informer.groups.group import Group
from deltawire.informer.groups.replica import Replica
from deltawire.informer.groups.state import Parked, row_of_parked

# Changes that were scanned and are not below the position yet; then the scan waits for the slowest key.
OUTSTANDING_MAX = 4096
# Changes that wait for a key in flight.
BLOCKED_MAX = 1024
SCAN_ROWS = 64

# What became of a change that was offered: sent; nothing to send (now); no room, come back to it.
_SENT, _SETTLED, _FULL = 0, 1, 2


def collect(group: Group, changes: Changes, now: float, clock: Clock) -> dict[bytes, list[EventRow]]:
    """The events to send now, by replica. They count as in flight from here on."""
    if not group.replicas or group.is_waiting(now):
        return {}
    sending = _Sending(group, changes, now)
    sending.retries()
    sending.unblocked()
    sending.scan()
    sending.resync(clock)
    return sending.out


class _Sending:
    """One round of sending, on one state of the shard."""

    def __init__(self, group: Group, changes: Changes, now: float) -> None:
        self.out: dict[bytes, list[EventRow]] = {}
        self._group = group
        self._changes = changes
        self._now = now

    def retries(self) -> None:
        """What was parked and whose time has come."""
        group = self._group
        for replica in group.replicas.values():
            if replica.awaited_by is group:
                replica.awaited_by = None
        for parked in list(group.lot.due(self._now)):
            if parked.key not in group.in_flight and not self._retry(parked):
                group.lot.put_back(parked)

    def unblocked(self) -> None:
        """Keys that were in flight when a newer change of them was scanned, and are not any more."""
        group = self._group
        while group.ready:
            key = group.ready[0]
            waiting = group.blocked.get(key)
            while waiting and key not in group.in_flight:
                seq, is_gone = waiting[0]
                row = (
                    self._changes.gone(seq)
                    if is_gone
                    else stored_version(self._changes, key, seq, every=group.is_every)
                )
                # Done: a retry has delivered it, as the newest state, or set it aside.
                outcome = _SETTLED if row is None or group.is_done(seq) else self._offer(row, seq, is_gone)
                if outcome == _FULL:
                    return
                waiting.popleft()
                group.blocked_count -= 1
                if outcome == _SETTLED:
                    group.finish(seq)
            if waiting is not None and not waiting:
                del group.blocked[key]
            group.ready.popleft()

    def scan(self) -> None:
        """The changes above the cursor, as far as there is room."""
        group, changes = self._group, self._changes
        while group.cursor < changes.seq and self._may_scan() and self._has_room():
            found = changes.scan(group.cursor, SCAN_ROWS, every=group.is_every)
            for pending in found:
                is_noted = group.sent.allows(pending.seq, found[-1].seq)
                if not is_noted or not self._may_scan() or not self._meet(pending):
                    group.advance()
                    return
            if len(found) < SCAN_ROWS:
                group.cursor = changes.seq
            group.advance()

    def resync(self, clock: Clock) -> None:
        """Hand out all live objects again, those with nothing pending."""
        group = self._group
        if group.resync_after is None:
            if self._now < group.resync_at:
                return
            group.resync_after = ""
        while self._has_room():
            rows, after = self._changes.page(group.resync_after, SCAN_ROWS, clock)
            for row in rows:
                is_busy = row.key in group.in_flight or row.key in group.blocked or group.lot.queue(row.key)
                if not is_busy and group.is_done(row.seq):
                    replica = self._pick()
                    if replica is None:
                        return
                    self._emit(row, RESYNC, replica)
                group.resync_after = row.key
            if not after:
                group.resync_after = None
                group.resync_at = self._now + group.resync_s if group.resync_s else float("inf")
                return
            group.resync_after = after

    def _may_scan(self) -> bool:
        group = self._group
        return (
            len(group.order) < OUTSTANDING_MAX and group.blocked_count < BLOCKED_MAX and not group.lot.is_full
        )

    def _has_room(self) -> bool:
        return any(replica.has_room for replica in self._group.replicas.values())

    def _meet(self, pending: PendingChange) -> bool:
        """One change of the scan; False if there is no room for it, so that the scan must come back to it."""
        group, seq, key = self._group, pending.seq, pending.key
        if group.is_past(pending.replaced_by):
            group.done.add(seq)
        elif seq not in group.done:
            flight = group.in_flight.get(key)
            if flight is not None and flight.seq == seq:
                pass  # the replica has it already: from before a restart, or by a retry
            elif flight is not None or key in group.blocked:
                group.blocked.setdefault(key, deque()).append((seq, pending.is_gone))
                group.blocked_count += 1
            else:
                row = pending.row or self._changes.object(key)
                outcome = _SETTLED
                if row is not None and row.seq == seq:
                    is_past = pending.row is not None and not pending.is_gone
                    outcome = self._offer(row, seq, pending.is_gone, is_past=is_past)
                if outcome == _FULL:
                    return False
                if outcome == _SETTLED:
                    group.done.add(seq)
        group.order.append(seq)
        group.cursor = seq
        return True

    def _offer(self, row: Row, seq: int, is_gone: bool, *, is_past: bool = False) -> int:
        """Send a change of a key that is not in flight, or set it aside where one of its key is parked.

        ``is_past``: a newer version of the object is stored already.
        """
        group = self._group
        if is_gone and seq <= group.state.birth:
            return _SETTLED
        superseded = None
        queue = group.lot.queue(row.key)
        if queue:
            tail = queue[-1]
            if group.is_every or tail.kind == DELETE:
                return self._queue_up(row, is_gone)
            if len(queue) > 1:
                if not is_gone:
                    return _SETTLED  # the one that waits will deliver the current state
                group.lot.remove(tail.seq)
                return self._queue_up(row, is_gone)
            superseded = tail
        replica = self._pick_alone() if superseded is not None and superseded.solo else self._pick()
        if replica is None:
            return _FULL
        flight = self._emit(row, DELETE if is_gone else self._kind(row), replica, superseded)
        if is_past:
            flight.overwritten = row.object
        return _SENT

    def _queue_up(self, row: Row, is_gone: bool) -> int:
        """Park a change behind another one of its key: the order is kept without holding the position."""
        group = self._group
        kind = DELETE if is_gone else self._kind(row)
        if kind == ADD:
            group.notes.owe(row.born)
        parked = Parked(row.seq, row.key, kind, row.uid, row.version, row.born, row.at, row.flags)
        parked.not_before = self._now
        parked.again = row.seq <= group.sent.before
        if is_gone or group.is_every:
            parked.object = row.object
        group.lot.add(parked)
        return _SETTLED

    def _retry(self, parked: Parked) -> bool:
        """Send what was parked; False if there is no room."""
        group = self._group
        row = row_of_parked(parked)
        kind = parked.kind
        if parked.object is None or not parked.uid:
            live = self._changes.object(parked.key)
            if live is not None and parked.uid in ("", live.uid):
                is_same_resync = kind == RESYNC and live.seq == parked.seq
                row, kind = live, RESYNC if is_same_resync else self._kind(live)
            elif parked.object is None:
                # It was deleted since; the scan brings the deletion, and what came after.
                group.lot.remove(parked.seq)
                return True
        if not group.sent.allows(row.seq, row.seq):
            return False
        if kind in (ADD, UPDATE):
            # As it is now: what this one waited behind may have been the add.
            kind = self._kind(row)
        replica = self._pick_alone() if parked.solo else self._pick()
        if replica is None:
            return False
        is_past = parked.object is not None and len(group.lot.queue(parked.key)) > 1
        flight = self._emit(row, kind, replica, parked)
        if is_past:
            flight.overwritten = row.object
        return True

    def _kind(self, row: Row) -> EventKind:
        return ADD if self._group.is_add(row) else UPDATE

    def _pick(self) -> Replica | None:
        """The replica with room that holds least."""
        best = None
        for replica in self._group.replicas.values():
            if replica.has_room and (best is None or replica.held < best.held):
                best = replica
        return best

    def _pick_alone(self) -> Replica | None:
        """An idle replica for a key that may kill it; else one is kept from getting more until it is idle."""
        group = self._group
        for replica in group.replicas.values():
            if replica.held == 0 and not replica.alone and replica.awaited_by in (None, group):
                return replica
        for replica in group.replicas.values():
            if replica.awaited_by is None and not replica.alone:
                replica.awaited_by = group
                break
        return None

    def _emit(self, row: Row, kind: EventKind, replica: Replica, parked: Parked | None = None) -> Flight:
        """Hand an event to a replica; ``parked`` is what it tries again or supersedes."""
        group = self._group
        flight = Flight(row, row.seq, kind, replica, group.next_fence())
        if parked is not None:
            flight.failures = parked.attempts
        if parked is not None and parked.seq == row.seq:
            flight.again = parked.again
        elif kind != RESYNC:
            flight.again = row.seq <= group.sent.before
        if kind == UPDATE and replica.wants_old:
            flight.old = parked.old if parked is not None and parked.old else group.olds.get(row.key)
        if kind == DELETE or group.is_every:
            flight.row = row
        if parked is not None:
            flight.parked_seq = parked.seq
            flight.solo = parked.solo
        flags = self._flags(row, kind)
        if flags & GAP and not flight.failures and not flight.again:
            group.counters.gaps += 1
        flight.size_bytes = len(row.object) + len(flight.old or b"")
        group.in_flight[row.key] = flight
        replica.take(flight.size_bytes, alone=flight.solo)
        group.counters.delivered += 1
        self.out.setdefault(replica.identity, []).append(
            EventRow(
                row.seq,
                row.key,
                kind,
                row.uid,
                row.version,
                row.at,
                flight.attempt,
                flight.fence,
                flags,
                row.object,
                flight.old,
            )
        )
        return flight

    def _flags(self, row: Row, kind: str) -> int:
        group, state = self._group, self._group.state
        # What was lost before the view of all versions began, or was reported already, is no gap.
        is_told = kind == RESYNC or row.seq <= group.every_since
        flags = row.flags & ~GAP if is_told else row.flags
        flags |= group.notes.send(row.born)
        if row.seq <= state.coalesced_to:
            flags |= COALESCED
        if row.seq <= state.gap_to:
            flags |= GAP
        if not group.is_every:
            flags &= ~GAP
        if kind == ADD and (state.listed_at < 0 or row.born <= state.listed_at):
            flags |= INITIAL
        return flags
