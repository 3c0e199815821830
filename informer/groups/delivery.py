"""What a handler group is sent next (pure).

A delivery is a scan of the shard's changes above the group's position. At most a window of keys is in flight,
one event a key; a newer change of a key in flight waits. What a group has missed while it was away, the initial
adds of a new group, and the work after a crash are all the same scan (docs/design.md §5).
"""

from collections.abc import Sequence

from deltawire.common.clock import Clock
from deltawire.common.store.layout import OUT_OF_SCOPE, Row
from deltawire.common.wire.messages.group import EventKind, EventRow
from deltawire.informer.groups import passes
from deltawire.informer.groups.blocked import BLOCKED_MAX
from deltawire.informer.groups.events import (
    ADD,
    DELETE,
    GAP,
    RESYNC,
    UPDATE,
    Changes,
    Flight,
    Fresh,
    PendingChange,
    stored_version,
)
from deltawire.informer.groups.flags import flags_of
from deltawire.informer.groups.group import Group
from deltawire.informer.groups.merging import adopt
from deltawire.informer.groups.parking import go_on_with
from deltawire.informer.groups.replica import Replica
from deltawire.informer.groups.scope import Verdict
from deltawire.informer.groups.state import Parked, row_of_parked

# Changes that were scanned and are not below the position yet; then the scan waits for the slowest key.
OUTSTANDING_MAX = 4096
SCAN_ROWS = 64

# What became of a change that was offered: sent; nothing to send (now); no room, come back to it.
_SENT, _SETTLED, _FULL = 0, 1, 2


class Sending:
    """One round of sending, on one state of the shard. ``out``: events by replica, which count as in flight."""

    def __init__(self, group: Group, changes: Changes, now: float, clock: Clock) -> None:
        self.out: dict[bytes, list[EventRow]] = {}
        self._group = group
        self._changes = changes
        self._now = now
        self._clock = clock

    def run(self) -> None:
        """Hand out all that may be sent now."""
        group, now, scope = self._group, self._now, self._group.scope
        if not group.members.here or (group.members.awaited.left and group.is_waiting(now)):
            return
        if scope is not None and not group.settle_filter(self._changes.seq):
            return
        self.retries()
        self.unblocked()
        self.scan()
        if scope is not None and scope.rescan:
            passes.look_again(self, group, scope, self._changes, self._clock)
        if group.resync.is_due(now):
            passes.resync(self, group, self._changes, now, self._clock)
        if group.may_send(self._changes.seq, now):
            group.members.want_room()

    def retries(self) -> None:
        """What was parked and whose time has come."""
        group = self._group
        for replica in group.members.here.values():
            if replica.awaited_by is group:
                replica.waits_no_more(group)
        if group.lot.next_due() > self._now:
            return
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
            group.look_at_next(key)

    def scan(self) -> None:
        """The changes above the cursor, as far as there is room."""
        group, changes, track, sent = self._group, self._changes, self._group.track, self._group.sent
        while track.cursor < changes.seq and self._may_scan() and group.members.have_room:
            fresh = changes.fresh
            if group.scope is None and fresh.after is not None and track.cursor >= fresh.after:
                self._take_fresh(fresh)
                return
            found = changes.scan(track.cursor, SCAN_ROWS, every=group.record.is_every)
            if group.scope is not None and not self._prepare_changes(found):
                return
            may_go_on = True
            for pending in found:
                is_noted = pending.seq <= sent.committed or sent.allows(pending.seq, found[-1].seq)
                row = pending.row or pending.live
                if not (is_noted and may_go_on and self._meet(pending.seq, pending.key, row, pending)):
                    track.advance()
                    return
                may_go_on = pending is found[-1] or self._may_scan()
            if len(found) < SCAN_ROWS:
                track.reach(changes.seq)
            track.advance()

    def _take_fresh(self, fresh: Fresh) -> None:
        """`scan` where all that is above the cursor was stored last, and is at hand."""
        track, sent = self._group.track, self._group.sent
        for row in fresh.rows.values():
            seq = row.seq
            if seq > track.cursor:
                is_noted = seq <= sent.committed or sent.allows(seq, seq)
                if not (is_noted and self._may_scan() and self._meet(seq, row.key, row)):
                    break
        else:
            track.reach(self._changes.seq)
        track.advance()

    def _prepare_changes(self, found: Sequence[PendingChange]) -> bool:
        """`_prepare` what a scan has found."""
        rows = []
        for pending in found:
            if self._group.track.is_done(pending.seq):
                # Its object may be gone, and that told: it needs no row any more.
                continue
            row = pending.row if pending.row is not None else self._changes.object(pending.key)
            if row is not None and row.seq == pending.seq and not pending.is_gone:
                rows.append(row)
        return self.prepare(rows)

    def prepare(self, rows: Sequence[Row]) -> bool:
        """Judge stored versions. False if what they are must be committed first, or enough were judged for now."""
        scope = self._group.scope
        return scope is None or scope.prepare(rows)

    def verdict(
        self,
        row: Row,
        *,
        is_gone: bool = False,
        is_left: bool = False,
        is_next: bool = True,
        forced: bool = False,
        again: bool = False,
    ) -> Verdict | None:
        """What a version is to a group with a filter; None: nothing."""
        group, scope = self._group, self._group.scope
        assert scope is not None  # noqa: S101  # for the type checker: the caller looked
        adopt(group, row)
        every = group.record.is_every
        return scope.look(
            row, is_gone=is_gone, is_left=is_left, every=every, is_next=is_next, forced=forced, again=again
        )

    def _pass_over(self, row: Row, *, is_gone: bool) -> None:
        """A version is nothing to a group with a filter."""
        group = self._group
        assert group.scope is not None  # noqa: S101  # for the type checker: the caller looked
        group.counters.filtered += 1
        is_free = not group.lot.queue(row.key)
        is_settled = is_free and not group.record.is_every
        if is_gone or is_settled or group.scope.lives.get(row.born) is None:
            # What was merged since the acknowledged version was not wanted either, or will be in no event.
            group.notes.forget(row.born)
        is_last = is_free and group.scope.is_loose(row.born) and self._is_newest(row)
        group.scope.passed_over(row, is_gone=is_gone, is_newest=is_last)

    def _is_newest(self, row: Row) -> bool:
        newest = self._changes.object(row.key)
        return newest is not None and newest.seq == row.seq

    def _may_scan(self) -> bool:
        group = self._group
        is_full = group.blocked.count >= BLOCKED_MAX or group.lot.is_full
        return len(group.track.order) < OUTSTANDING_MAX and not is_full

    def _meet(self, seq: int, key: str, row: Row | None, pending: PendingChange | None = None) -> bool:
        """One change of the scan; False if there is no room for it, so that the scan must come back to it.

        ``row``: where it is at hand. ``pending``: of what may be a deletion, or a version that is stored no more.
        """
        group, track = self._group, self._group.track
        is_gone = pending is not None and pending.is_gone
        if pending is not None and pending.replaced_by and group.record.is_past(pending.replaced_by):
            track.pass_over(seq)
        elif seq not in track.done:
            flight = group.in_flight.get(key)
            if flight is not None and flight.seq == seq:
                pass  # the replica has it already: from before a restart, or by a retry
            elif flight is not None or (group.blocked.count and key in group.blocked):
                group.block(key, seq, is_gone=is_gone)
            else:
                row = row or self._changes.object(key)
                outcome = _SETTLED
                if row is not None and row.seq == seq:
                    is_past = pending is not None and pending.row is not None and not is_gone
                    outcome = self._offer(row, seq, is_gone, is_past=is_past)
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
        verdict = None
        if group.scope is not None:
            is_next = not group.lot.queue(row.key)
            verdict = self.verdict(row, is_gone=is_gone, is_next=is_next)
            if verdict is None:
                self._pass_over(row, is_gone=is_gone)
                return _SETTLED
            if not group.scope.may_send(row, verdict):
                return _FULL
        superseded = None
        queue = group.lot.by_key.get(row.key)
        if queue:
            if self._waits_behind(queue, row, is_gone, verdict):
                return _SETTLED
            superseded = queue[-1]
        if verdict is None and superseded is None:
            replica = group.members.pick()
        else:
            replica = self.pick_for(verdict, alone=superseded is not None and superseded.solo)
        if replica is None:
            return _FULL
        kind = self._kind(row, verdict, is_gone=is_gone)
        flight = self.emit(row, kind, replica, superseded, verdict=verdict)
        if is_past:
            flight.overwritten = row.object
        return _SENT

    def _waits_behind(self, queue: list[Parked], row: Row, is_gone: bool, verdict: Verdict | None) -> bool:
        """True if a change is not sent beside what is set aside of its key; else it supersedes that."""
        group, tail = self._group, queue[-1]
        # Of a life whose deletion was nothing to the group's filter there is none in between.
        is_other_life = tail.uid not in ("", row.uid)
        if not (group.record.is_every or tail.kind == DELETE or is_other_life):
            if len(queue) == 1:
                return False
            if not is_gone:
                return True  # the one that waits will deliver the current state
            group.lot.remove(tail.seq)
        self._queue_up(row, is_gone, verdict)
        return True

    def _queue_up(self, row: Row, is_gone: bool, verdict: Verdict | None) -> None:
        """Park a change behind another one of its key: the order is kept without holding the position."""
        group = self._group
        kind = self._kind(row, verdict, is_gone=is_gone)
        if kind == ADD and verdict is None:
            group.notes.owe(row.born)
        parked = Parked(row.seq, row.key, kind, row.uid, row.version, row.born, row.at, row.flags)
        parked.not_before = self._now
        parked.again = row.seq <= group.sent.before
        parked.left = verdict is not None and verdict.is_leaving
        if kind == DELETE or group.record.is_every:
            parked.object = row.object
        group.lot.add(parked)

    def _retry(self, parked: Parked) -> bool:
        """Send what was parked; False if there is no room."""
        group = self._group
        row = row_of_parked(parked)
        kind = parked.kind
        if parked.object is None or not parked.uid:
            live = self._changes.object(parked.key)
            if live is not None and parked.uid in ("", live.uid):
                is_same_resync = kind == RESYNC and live.seq == parked.seq
                row, kind = live, RESYNC if is_same_resync else UPDATE
            elif parked.object is None:
                # It was deleted since; the scan brings the deletion, and what came after.
                group.lot.remove(parked.seq)
                if group.scope is not None and group.scope.lives.get(parked.born) is None:
                    group.notes.forget(parked.born)
                return True
        if not group.sent.allows(row.seq, row.seq):
            return False
        verdict = None
        if group.scope is not None:
            verdict = self._verdict_of_parked(row, kind, parked)
            if verdict is None:
                # It is outside the filter by now, and the group never had it.
                group.lot.remove(parked.seq)
                self._pass_over(row, is_gone=kind == DELETE and not parked.left)
                return True
            if not group.scope.may_send(row, verdict):
                return False
            kind = verdict.kind
        elif kind in (ADD, UPDATE):
            # As it is now: what this one waited behind may have been the add.
            kind = self._kind(row, None)
        replica = self.pick_for(verdict, alone=parked.solo)
        if replica is None:
            return False
        is_past = parked.object is not None and len(group.lot.queue(parked.key)) > 1
        flight = self.emit(row, kind, replica, parked, verdict=verdict)
        if is_past:
            flight.overwritten = row.object
        return True

    def _verdict_of_parked(self, row: Row, kind: EventKind, parked: Parked) -> Verdict | None:
        """As it is now; what was set aside was worth telling, whatever the versions since are."""
        if kind == RESYNC and self._group.scope is not None:
            return self._group.scope.resync(row)
        is_end = kind == DELETE
        return self.verdict(
            row, is_gone=is_end and not parked.left, is_left=is_end and parked.left, forced=True
        )

    def _kind(self, row: Row, verdict: Verdict | None, *, is_gone: bool = False) -> EventKind:
        if is_gone:
            return DELETE
        if verdict is not None:
            return verdict.kind
        return ADD if self._group.is_add(row.seq, row.born) else UPDATE

    def pick_for(self, verdict: Verdict | None, *, alone: bool = False) -> Replica | None:
        """A replica with room for an event, of those whose functions want it."""
        members, scope = self._group.members, self._group.scope
        able = scope.able(verdict) if scope is not None and verdict is not None else None
        return members.pick_alone(self._group, able) if alone else members.pick(able)

    def emit(
        self,
        row: Row,
        kind: EventKind,
        replica: Replica,
        parked: Parked | None = None,
        *,
        verdict: Verdict | None = None,
        again: bool = False,
    ) -> Flight:
        """Hand an event to a replica; ``parked`` is what it tries again or supersedes. ``again``: of `look_again`."""
        group, key, seq, born = self._group, row.key, row.seq, row.born
        flight = Flight(key, row.uid, born, seq, kind, replica, group.next_fence())
        # An add, too, of which an earlier version may have been sent as one.
        flight.again = kind != RESYNC and (born if kind == ADD else seq) <= group.sent.before
        if parked is not None:
            go_on_with(flight, parked)
        if kind == UPDATE and replica.wants_old:
            flight.old = (parked.old if parked is not None else None) or group.olds.get(key)
        if kind == DELETE or group.record.is_every:
            flight.row = row
        flight.size_bytes = len(row.object) + len(flight.old or b"")
        flags = flags_of(group, row.flags, seq, born, kind)
        shown, parts = kind, ""
        if verdict is not None:
            shown, parts = self._show(flight, row, verdict, is_again=again)
            flags |= OUT_OF_SCOPE if verdict.is_leaving else 0
        group.counters.gaps += bool(flags & GAP) and not (flight.failures or flight.again)
        group.counters.delivered += 1
        group.in_flight[key] = flight
        replica.take(flight.size_bytes, alone=flight.solo)
        if parked is not None and len(group.lot.queue(key)) > 1:
            group.members.want(replica, key)
        event = EventRow(
            seq, key, shown, row.uid, row.version, row.at, flight.attempt, flight.fence,
            flags, row.object, flight.old, parts,
        )  # fmt: skip
        self.out.setdefault(replica.identity, []).append(event)
        return flight

    def _show(self, flight: Flight, row: Row, verdict: Verdict, *, is_again: bool) -> tuple[EventKind, str]:
        """What an event of a group with a filter is to its replica's functions: the kind, and its parts."""
        group, scope = self._group, self._group.scope
        assert scope is not None  # noqa: S101  # for the type checker: there is a verdict
        flight.scope = scope.hold(verdict, is_again=is_again)
        flight.scope.is_newest = group.record.is_every and self._is_newest(row)
        scope.clauses.forget(row.seq)
        return scope.as_seen_by(flight.replica.identity, verdict)
