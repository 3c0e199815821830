"""One handler group on one shard: its parts, and what happens to them together (pure).

There is no queue of a group's own: ``delivery`` scans the shard's changes above its position, which moves to
where everything below is acknowledged or parked (docs/design.md §5). What becomes of an event in flight is in
``outcomes``. Time is wall seconds, since retries outlive the process.
"""

from collections.abc import Callable, Sequence

from deltawire.common.meta.clauses import Clause
from deltawire.common.store import layout
from deltawire.informer.groups import state as group_state
from deltawire.informer.groups.blocked import BlockedKeys
from deltawire.informer.groups.events import Counters, Flight, Write
from deltawire.informer.groups.gap_notices import Gap, GapNotices
from deltawire.informer.groups.members import Members
from deltawire.informer.groups.memory import LifeNotes, OldVersions
from deltawire.informer.groups.options import GroupOptions
from deltawire.informer.groups.parking import ParkingLot
from deltawire.informer.groups.record import GroupRecord
from deltawire.informer.groups.resync import Resync
from deltawire.informer.groups.scope import Scope
from deltawire.informer.groups.sent_ahead import SentAhead
from deltawire.informer.groups.state import GroupState, KnownReplica
from deltawire.informer.groups.track import Track

_NEVER = float("inf")


class Group:
    """The state of one (group, shard), by parts, each of which is changed by its own methods only.

    ``record``: its row. ``track``: how far it is. ``members``: its replicas. ``in_flight``: events that they hold, by
    key. ``blocked``: changes that wait for such a key. ``lot``: changes set aside. ``notes``, ``olds``: what the next
    event of an object must carry. ``sent``: what may have been sent before a kill. ``gaps``: notices of lost changes.
    ``scope``: its filter, None if it never had one.
    """

    def __init__(
        self,
        name: str,
        state: GroupState,
        *,
        now: float,
        lease_s: float,
        is_dead: Callable[[KnownReplica], bool],
        newest: int = 0,
    ) -> None:
        """``newest``: the newest change that the workers before us can have sent."""
        self.name = name
        self.attempts_max = 0
        self.counters = Counters()
        self.record = GroupRecord(state)
        self.track = Track(state.position, state.done)
        self.members = Members(state.replicas, now + lease_s, is_dead)
        self.in_flight: dict[str, Flight] = {}
        self.blocked = BlockedKeys()
        self.lot = ParkingLot()
        self.notes = LifeNotes()
        self.olds = OldVersions()
        self.sent = SentAhead(state.sent_to, newest)
        self.gaps = GapNotices(state.gaps)
        self.resync = Resync()
        self.scope: Scope | None = None
        if state.clauses:
            self.scope = Scope(
                state.clauses,
                rescan=state.rescan,
                adopt_to=state.adopt_to,
                lost_to=state.lost_to,
                open_to=state.open_to,
            )
        self._fence = 0

    # ---- what is on disk

    def writes(self) -> list[Write]:
        """What must reach the disk; handed out again until it was `written`."""
        out: list[Write] = []
        if self.lot.writes or self.notes.writes:
            for seq, parked in self.lot.writes.items():
                data = None if parked is None else group_state.encode(parked)
                out.append((layout.PARKED, group_state.parked_key(self.name, seq), data))
            for born, note in self.notes.writes.items():
                raw = group_state.note_key(self.name, born)
                out.append((layout.OWED, raw, note or None))
        if self.scope is not None:
            for born, life in self.scope.lives.writes.items():
                raw = group_state.note_key(self.name, born)
                out.append((layout.MATCHED, raw, None if life is None else group_state.encode(life)))
        if self.record.is_dirty or self.track.has_moved:
            if self.scope is not None:
                self.record.fill_scope(self.scope)
            row = self.record.fill(
                self.track.position, self.track.ranges(), self.sent.note, self.gaps.waiting
            )
            out.append((layout.GROUPS, group_state.group_key(self.name), group_state.encode(row)))
        return out

    def written(self) -> None:
        """All of `writes` is committed."""
        self.lot.writes.clear()
        self.notes.writes.clear()
        self.sent.was_committed()
        self.record.was_written()
        self.track.has_moved = False
        if self.scope is not None:
            self.scope.was_committed()

    @property
    def has_writes(self) -> bool:
        if self.record.is_dirty or self.track.has_moved or self.lot.writes or self.notes.writes:
            return True
        return self.scope is not None and bool(self.scope.lives.writes)

    # ---- who is here

    def configure(self, options: GroupOptions, seq: int) -> None:
        """A replica's hello asks for this; `filter_by` follows. ``seq``: the newest change."""
        self.record.follow(options.delivery, seq)
        self.attempts_max = options.attempts_max
        self.resync.set_period(options.resync_s)

    def filter_by(self, identity: bytes, clauses: Sequence[Clause], seq: int, *, is_new: bool) -> None:
        """A replica that comes asks for this, nothing for everything. ``is_new``: the group has seen nothing yet."""
        if self.scope is None:
            if not clauses:
                return
            self.scope = Scope({}, adopt_to=0 if is_new else seq)
            for replica in self.members.here:
                self.scope.came(replica, ())
        self.scope.came(identity, clauses)
        if is_new:
            self.scope.settle(seq, is_new=True)
            self.record.touch()

    def settle_filter(self, seq: int) -> bool:
        """Take the filter that the replicas ask for now; ``seq``: the newest change.

        False if that must be committed before anything is sent.
        """
        if self.scope is None:
            return True
        if (self.scope.is_open and self.scope.settle(seq)) or self.scope.is_dirty:
            self.record.touch()
            return False
        return True

    def know_replicas(self, now: float) -> None:
        """Have the row name those that may be in a call."""
        self.record.know(self.members.known, now)

    def is_waiting(self, now: float) -> bool:
        """True while a replica that may still be in a call has neither come back nor is known to be dead."""
        awaited = self.members.awaited
        if awaited.give_up(now):
            self.know_replicas(now)
        return bool(awaited.left)

    def start_over(self, seq: int, now: float) -> None:
        """It was away for too long: it begins anew, as a new group does, and gets a notice. Dead letters stay.

        ``seq``: the newest change.
        """
        self.record.begin_anew(seq)
        self.track.start_over()
        self.sent.start_over()
        self.blocked.clear()
        self.lot.clear()
        self.notes.clear()
        self.gaps.clear()
        if self.scope is not None:
            self.scope.start_over()
        self.tell(Gap(0, "forgotten", "*", 0, "", "", int(now * 1e6)))

    def tell(self, gap: Gap) -> None:
        """Changes are lost for this group: a replica will get a notice."""
        self.gaps.add(gap)
        self.record.touch()

    # ---- what is sent

    def is_add(self, seq: int, born: int) -> bool:
        """True if the group, which has not acknowledged this version of a life, has not acknowledged an earlier one.

        That is so for a first version, for all that was stored before the group came, and for what is owed.
        """
        return seq == born or seq <= self.record.state.birth or self.notes.is_owed(born)

    def block(self, key: str, seq: int, *, is_gone: bool) -> None:
        """A change waits for its key, of which an event is in flight, or others wait."""
        flight = self.in_flight.get(key)
        if flight is not None and key not in self.blocked:
            self.members.want(flight.replica, key)
        self.blocked.add(key, seq, is_gone=is_gone)

    def look_at_next(self, key: str) -> None:
        """``key``, the first of those that were in flight, was looked at; more of it may wait for what was sent now."""
        self.blocked.leave(key)
        flight = self.in_flight.get(key)
        if flight is not None and key in self.blocked:
            self.members.want(flight.replica, key)

    def foresee(self, before: int, newest: int) -> None:
        """A batch is about to be committed, after which ``newest`` is the newest change: reserve with it."""
        if (
            newest > self.sent.committed
            and self.members.here
            and self.track.cursor >= before
            and not self.sent.allows(newest, newest)
        ):
            self.reserve()

    def reserve(self) -> bool:
        """True if there was no room to send for want of a note, or of a row, which is to be committed now."""
        is_due = self.sent.reserve()
        if is_due:
            self.record.touch()
        return is_due or (self.scope is not None and self.scope.needs_commit)

    def next_fence(self) -> int:
        """A number above all that were given out for any key, also by workers before this one."""
        self._fence += 1
        return self.record.state.epoch << 32 | self._fence

    # ---- what people and the loop ask

    @property
    def is_synced(self) -> bool:
        """Everything that was stored when the group came is acknowledged or parked; true from then on."""
        return self.record.is_synced(self.track.position)

    @property
    def handled_to(self) -> int:
        """Everything up to here was acknowledged, or parked since a handler said so; the position also passes what a
        lost replica, or session, left behind."""
        position = self.track.position
        return min(position, min(self.lot.returned, default=position + 1) - 1)

    def pending(self, seq: int, bound: int) -> int:
        """Changes not acknowledged yet; exact at rest, else at most ``bound`` (the rows there are) too high."""
        unseen = min(bound, max(0, seq - self.track.cursor))
        if self.scope is not None and self.scope.rescan:
            unseen += 1
        return unseen + self.blocked.count + len(self.in_flight) + self.waiting

    @property
    def waiting(self) -> int:
        """Parked changes that are not being tried at the moment."""
        return len(self.lot) - sum(1 for flight in self.in_flight.values() if flight.parked_seq)

    def is_idle(self, seq: int) -> bool:
        """True if nothing can be sent or said, and no commit is urgent, because an event was acknowledged.

        ``seq``: the newest change.
        """
        record = self.record
        return (
            self.track.cursor >= seq
            and record.told_synced
            and not record.is_urgent
            and not self.blocked.ready
            and not self.lot.writes
            and self.scope is None
            and self.resync.after is None
        )

    def may_send(self, seq: int, now: float) -> bool:
        """True if a `collect` may find something to send now."""
        if not self.members.here:
            return False
        if self.track.cursor < seq:
            return True
        has_work, wake_at = self.outlook(seq)
        return has_work or wake_at <= now

    def outlook(self, seq: int) -> tuple[bool, float]:
        """Whether a `collect` may find something to send, and when it may without any event: wall s, infinity if never.

        ``seq``: the newest change.
        """
        if not self.members.here:
            return False, _NEVER
        has_work = (
            self.track.cursor < seq
            or bool(self.blocked.ready)
            or self.resync.after is not None
            or (self.scope is not None and self.scope.has_work)
        )
        wake_at, due_at = self.resync.at, self.lot.next_due()
        if due_at < wake_at:
            wake_at = due_at
        if self.members.awaited.left:
            wake_at = min(wake_at, self.members.awaited.next_look())
        return has_work, wake_at

    def next_wake(self, after: float) -> float:
        """As `outlook`, of what is due later than ``after``, whatever was due before and waits for room."""
        times = (self.resync.at, self.lot.next_due(after), self.members.awaited.next_look())
        return min((at for at in times if at > after), default=_NEVER)
