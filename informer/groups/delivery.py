"""What a handler group is sent next (pure).

A delivery is a scan of the shard's changes above the group's position. At most a window of keys is in flight,
one event a key; a newer change of a key in flight waits. What a group has missed while it was away, the initial
adds of a new group, and the work after a crash are all the same scan (docs/design.md §5).
"""

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
SCAN_ROWS = 64

# What became of a change that was offered: sent; nothing to send (now); no room, come back to it.
_SENT, _SETTLED, _FULL = 0, 1, 2


def collect(group: Group, changes: Changes, now: float, clock: Clock) -> dict[bytes, list[EventRow]]:
    """The events to send now, by replica. They count as in flight from here on."""
    if not group.members.here or group.is_waiting(now):
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
        for replica in group.members.here.values():
            replica.waits_no_more(group)
        for parked in list(group.lot.due(self._now)):
            if parked.key not in group.in_flight and not self._retry(parked):
                group.lot.put_back(parked)

    def unblocked(self) -> None:
        """Keys that were in flight when a newer change of them was scanned, and are not any more."""
        group, blocked = self._group, self._group.blocked
        while blocked.ready:
            key = blocked.ready[0]
            while key not in group.in_flight and (first := blocked.first(key)) is not None:
                seq, is_gone = first
                row = (
                    self._changes.gone(seq)
                    if is_gone
                    else stored_version(self._changes, key, seq, every=group.record.is_every)
                )
                # Done: a retry has delivered it, as the newest state, or set it aside.
                is_past = row is None or group.track.is_done(seq)
                outcome = _SETTLED if row is None or is_past else self._offer(row, seq, is_gone)
                if outcome == _FULL:
                    return
                blocked.take(key)
                if outcome == _SETTLED:
                    group.track.finish(seq)
            blocked.leave(key)

    def scan(self) -> None:
        """The changes above the cursor, as far as there is room."""
        group, changes, track = self._group, self._changes, self._group.track
        while track.cursor < changes.seq and self._may_scan() and group.members.have_room:
            found = changes.scan(track.cursor, SCAN_ROWS, every=group.record.is_every)
            for pending in found:
                is_noted = group.sent.allows(pending.seq, found[-1].seq)
                if not is_noted or not self._may_scan() or not self._meet(pending):
                    track.advance()
                    return
            if len(found) < SCAN_ROWS:
                track.reach(changes.seq)
            track.advance()

    def resync(self, clock: Clock) -> None:
        """Hand out all live objects again, those with nothing pending."""
        group, resync = self._group, self._group.resync
        if not resync.is_due(self._now):
            return
        while group.members.have_room:
            rows, after = self._changes.page(resync.after or "", SCAN_ROWS, clock)
            for row in rows:
                is_busy = row.key in group.in_flight or row.key in group.blocked or group.lot.queue(row.key)
                if not is_busy and group.track.is_done(row.seq):
                    replica = group.members.pick()
                    if replica is None:
                        return
                    self._emit(row, RESYNC, replica)
                resync.looked_at(row.key)
            if not after:
                resync.end(self._now)
                return
            resync.looked_at(after)

    def _may_scan(self) -> bool:
        group = self._group
        is_full = group.blocked.is_full or group.lot.is_full
        return len(group.track.order) < OUTSTANDING_MAX and not is_full

    def _meet(self, pending: PendingChange) -> bool:
        """One change of the scan; False if there is no room for it, so that the scan must come back to it."""
        group, track, seq, key = self._group, self._group.track, pending.seq, pending.key
        if group.record.is_past(pending.replaced_by):
            track.pass_over(seq)
        elif seq not in track.done:
            flight = group.in_flight.get(key)
            if flight is not None and flight.seq == seq:
                pass  # the replica has it already: from before a restart, or by a retry
            elif flight is not None or key in group.blocked:
                group.blocked.add(key, seq, is_gone=pending.is_gone)
            else:
                row = pending.row or self._changes.object(key)
                outcome = _SETTLED
                if row is not None and row.seq == seq:
                    is_past = pending.row is not None and not pending.is_gone
                    outcome = self._offer(row, seq, pending.is_gone, is_past=is_past)
                if outcome == _FULL:
                    return False
                if outcome == _SETTLED:
                    track.pass_over(seq)
        track.meet(seq)
        return True

    def _offer(self, row: Row, seq: int, is_gone: bool, *, is_past: bool = False) -> int:
        """Send a change of a key that is not in flight, or set it aside where one of its key is parked.

        ``is_past``: a newer version of the object is stored already.
        """
        group = self._group
        if is_gone and seq <= group.record.state.birth:
            return _SETTLED
        superseded = None
        queue = group.lot.queue(row.key)
        if queue:
            tail = queue[-1]
            if group.record.is_every or tail.kind == DELETE:
                return self._queue_up(row, is_gone)
            if len(queue) > 1:
                if not is_gone:
                    return _SETTLED  # the one that waits will deliver the current state
                group.lot.remove(tail.seq)
                return self._queue_up(row, is_gone)
            superseded = tail
        replica = self._pick(alone=superseded is not None and superseded.solo)
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
        if is_gone or group.record.is_every:
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
        replica = self._pick(alone=parked.solo)
        if replica is None:
            return False
        is_past = parked.object is not None and len(group.lot.queue(parked.key)) > 1
        flight = self._emit(row, kind, replica, parked)
        if is_past:
            flight.overwritten = row.object
        return True

    def _kind(self, row: Row) -> EventKind:
        return ADD if self._group.is_add(row) else UPDATE

    def _pick(self, *, alone: bool) -> Replica | None:
        members = self._group.members
        return members.pick_alone(self._group) if alone else members.pick()

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
        if kind == DELETE or group.record.is_every:
            flight.row = row
        if parked is not None:
            flight.parked_seq = parked.seq
            flight.solo = parked.solo
        flags = self._flags(row, kind)
        if flags & GAP and not flight.failures and not flight.again:
            group.counters.gaps += 1
        flight.size_bytes = len(row.object) + len(flight.old or b"")
        group.take_up(flight, replica)
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
        group, state = self._group, self._group.record.state
        # What was lost before the view of all versions began, or was reported already, is no gap.
        is_told = kind == RESYNC or row.seq <= group.record.every_since
        flags = row.flags & ~GAP if is_told else row.flags
        flags |= group.notes.send(row.born)
        if row.seq <= state.coalesced_to:
            flags |= COALESCED
        if row.seq <= state.gap_to:
            flags |= GAP
        if not group.record.is_every:
            flags &= ~GAP
        if kind == ADD and group.record.is_of_first_list(row.born):
            flags |= INITIAL
        return flags
