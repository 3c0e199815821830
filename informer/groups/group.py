"""One handler group on one shard: its position, its events in flight, and their outcomes (pure).

There is no queue of a group's own: ``delivery`` scans the shard's changes above its position, which moves to
where everything below is acknowledged or parked (docs/design.md §5). Time is wall seconds, since retries outlive
the process.
"""

from collections import deque
from collections.abc import Callable, Sequence

from deltawire.common.store import layout
from deltawire.common.store.layout import Row
from deltawire.informer.groups import births, held_calls
from deltawire.informer.groups import state as group_state
from deltawire.informer.groups.awaited import AwaitedReplicas
from deltawire.informer.groups.events import (
    ADD,
    DEAD,
    DELETE,
    DONE,
    RETRY,
    Changes,
    Counters,
    Flight,
    Write,
)
from deltawire.informer.groups.gap_notices import Gap, GapNotices
from deltawire.informer.groups.memory import LifeNotes, OldVersions
from deltawire.informer.groups.parking import ParkingLot, parked_of
from deltawire.informer.groups.replica import Departure, Replica
from deltawire.informer.groups.sent_ahead import SentAhead
from deltawire.informer.groups.state import EVERY, GroupState, KnownReplica

AFTER_S_MAX = 7 * 86_400.0
# What a key waits after its handler died on it: doubled each time.
_DEATH_WAIT_S = 0.2
_DEATH_WAIT_S_MAX = 30.0
# A handler says hello each 2 s until it is welcome.
_HELLO_WAIT_S = 2.5
# How exactly `last_seen` is kept on disk; `forget_after` is days.
_SEEN_EVERY_S = 60.0


class Group:
    """The state of one (group, shard); `delivery.collect` decides what it is sent next."""

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
        self.state = state
        self.attempts_max = 0
        self.resync_s = 0.0
        self.counters = Counters()
        self.replicas: dict[bytes, Replica] = {}
        self.in_flight: dict[str, Flight] = {}
        self.lot = ParkingLot()
        self.notes = LifeNotes()
        self.olds = OldVersions()
        # Everything up to `position` is acknowledged or parked; up to `cursor` it was scanned.
        self.position = self.cursor = state.position
        # What was scanned above the position, in order; what of it (or beyond it) is acknowledged or parked.
        self.order: deque[int] = deque()
        self.done = group_state.from_ranges(state.done)
        self.sent = SentAhead(state.sent_to, newest)
        self.gaps = GapNotices(state.gaps)
        # Changes (seq, is a deletion) of keys in flight; keys of these that are in flight no more.
        self.blocked: dict[str, deque[tuple[int, bool]]] = {}
        self.blocked_count = 0
        self.ready: deque[str] = deque()
        self.resync_after: str | None = None
        self.resync_at = float("inf")
        self._awaited = AwaitedReplicas(state.replicas, now + lease_s, is_dead)
        self._fence = 0
        self.told_synced = False
        state.epoch += 1
        # Whether its row must be written, and whether before anything more is sent: only what was acknowledged may be
        # committed late.
        self._dirty = self._is_urgent = True

    @property
    def is_every(self) -> bool:
        """True if each stored version must reach the group, not only the newest."""
        return self.state.delivery == EVERY

    @property
    def every_since(self) -> int:
        """The newest change when the group's view of all versions began."""
        return self.state.every_since if self.state.every_since >= 0 else self.state.birth

    @property
    def wants_old(self) -> bool:
        """True if some replica asks for the version before."""
        return any(replica.wants_old for replica in self.replicas.values())

    # ---- what is on disk

    def writes(self) -> list[Write]:
        """What must reach the disk; handed out again until it was `written`."""
        out: list[Write] = []
        for seq, parked in self.lot.writes.items():
            data = None if parked is None else group_state.encode(parked)
            out.append((layout.PARKED, group_state.parked_key(self.name, seq), data))
        for born, note in self.notes.writes.items():
            raw = group_state.note_key(self.name, born)
            out.append((layout.OWED, raw, bytes([note]) if note else None))
        if self._dirty:
            self.state.position, self.state.sent_to = self.position, self.sent.note
            self.state.gaps = self.gaps.waiting
            self.state.done = group_state.to_ranges(self.done)
            out.append((layout.GROUPS, group_state.group_key(self.name), group_state.encode(self.state)))
        return out

    def written(self) -> None:
        """All of `writes` is committed."""
        self.lot.writes.clear()
        self.notes.writes.clear()
        self.sent.was_committed()
        self._dirty = self._is_urgent = False

    @property
    def has_writes(self) -> bool:
        return self._dirty or bool(self.lot.writes) or bool(self.notes.writes)

    @property
    def has_urgent_writes(self) -> bool:
        """True if something waits that must not be lost with the worker before more is sent."""
        return self._is_urgent or bool(self.lot.writes)

    @property
    def retains_from(self) -> int | None:
        """Deletions and history above this must be kept for the group; None: nothing must."""
        return None if self.state.forgotten else self.position

    # ---- replicas

    def join(
        self, replica: Replica, held: Sequence[tuple[str, int, int]], changes: Changes, now: float
    ) -> None:
        """A replica is there. ``held``: (key, seq, fence) of this shard's calls that it is still in."""
        if self.state.forgotten:
            births.start_over(self, changes.seq, now)
        if self.replicas.get(replica.identity, replica) is not replica:
            # It came again without having left: what it held would have no owner.
            self.leave(replica.identity, "it came again", now, Departure.SESSION)
        self.replicas[replica.identity] = replica
        self._awaited.came(replica.known)
        self._know_replicas(now)
        for key, seq, fence in held:
            held_calls.take_held(self, replica, key, seq, fence, changes)
        if self.resync_s and self.resync_at == float("inf"):
            self.resync_at = now + self.resync_s

    @property
    def handled_to(self) -> int:
        """Everything up to here was acknowledged, or parked since a handler said so; `position` also passes what a lost
        replica, or session, left behind."""
        return min(self.position, min(self.lot.returned, default=self.position + 1) - 1)

    def leave(self, identity: bytes, reason: str, now: float, how: Departure = Departure.DIED) -> None:
        """A replica is gone; ``how`` decides what the keys that it held wait for."""
        replica = self.replicas.pop(identity, None)
        if replica is None:
            return
        if replica.awaited_by is self:
            replica.awaited_by = None
        self.gaps.left(identity)
        for flight in [f for f in self.in_flight.values() if f.replica is replica]:
            if how is not Departure.DIED:
                wait_s = _HELLO_WAIT_S if how is Departure.SESSION else 0.0
                # Who left began no call of these. Of a session that ended, acks may have been lost.
                again = flight.again or how is Departure.SESSION
                self._park(flight, flight.failures, now + wait_s, "", solo=flight.solo, again=again)
                self.lot.returned.add(flight.seq)
                continue
            failures = flight.failures + 1
            wait_s = min(_DEATH_WAIT_S_MAX, _DEATH_WAIT_S * 2 ** min(failures, 20))
            self.counters.failed += 1
            # Keys that were merely held beside a deadly one must not die with it: only one sent alone does.
            used_up = flight.solo and 0 < self.attempts_max <= failures
            error = f"the handler was lost while it held this key: {reason}"
            self._park(flight, failures, now + wait_s, error, dead=used_up, solo=True)
            if not used_up and failures == 1:
                # A key that kills again and again is one that waits for a retry; at first it is one that waits.
                self.lot.returned.add(flight.seq)
        self._know_replicas(now)

    def is_waiting(self, now: float) -> bool:
        """True while a replica that may still be in a call has neither come back nor is known to be dead."""
        if self._awaited.give_up(now):
            self._know_replicas(now)
        return self._awaited.are_there

    def see(self, now: float) -> None:
        """The group is (still) here: `forget_after` counts from now."""
        if self.replicas and now - self.state.last_seen > _SEEN_EVERY_S:
            self.state.last_seen = now
            self._dirty = True

    def forget_if_away(self, now: float, forget_after_s: float) -> bool:
        """A group that stayed away too long pins nothing any more. True if that was found now."""
        if self.replicas or self.state.forgotten or now - self.state.last_seen <= forget_after_s:
            return False
        self.state.forgotten = True
        self._dirty = True
        return True

    def tell(self, gap: Gap) -> None:
        """Changes are lost for this group: a replica will get a notice."""
        self.gaps.add(gap)
        self._dirty = self._is_urgent = True

    def listed(self, seq: int) -> None:
        """The shard is complete for the first time since the group came."""
        if self.state.listed_at < 0:
            self.state.listed_at = self.state.synced_at = seq
            self._dirty = True

    # ---- outcomes

    def acknowledge(
        self,
        identity: bytes,
        key: str,
        seq: int,
        fence: int,
        verdict: int,
        after_s: float,
        error: str,
        now: float,
    ) -> bool:
        """What became of an event. False if the replica does not hold it (any more): refused and counted."""
        flight = self.in_flight.get(key)
        if flight is None or (flight.seq, flight.fence, flight.replica.identity) != (seq, fence, identity):
            self.counters.late += 1
            return False
        if verdict == DONE:
            self._complete(flight)
            return True
        # A retry without an error is the handler's wish to be called again: no failure.
        failures = 0 if verdict == RETRY and not error else flight.failures + 1
        self.counters.failed += failures > 0
        dead = verdict == DEAD or 0 < self.attempts_max <= failures
        wait_s = min(max(after_s, 0.0), AFTER_S_MAX)
        self._park(flight, failures, now + wait_s, error, dead=dead)
        return True

    def finish(self, seq: int) -> None:
        """Change ``seq`` is acknowledged, parked, or nothing that the group must see."""
        self._dirty = True
        if seq > self.position:
            self.done.add(seq)
            self.advance()

    def touch(self) -> None:
        """`state` was changed: its row must be written."""
        self._dirty = self._is_urgent = True

    def advance(self) -> None:
        """Move the position to where everything below is done."""
        order, done = self.order, self.done
        before = self.position
        while order and order[0] in done:
            done.discard(order.popleft())
        self.position = order[0] - 1 if order else self.cursor
        if self.position != before:
            self._dirty = True
            if done and (not order or len(done) > len(order) + 64):
                # Acknowledged by a retry before the scan came to them, then overwritten: never scanned.
                self.done = {seq for seq in done if seq > self.position}

    def is_done(self, seq: int) -> bool:
        """True if the change is acknowledged or parked."""
        return seq <= self.position or seq in self.done

    def is_past(self, replaced_by: int) -> bool:
        """True if a version, which was replaced by this change, is from before the group's view of all versions."""
        return 0 < replaced_by <= self.every_since

    def is_add(self, row: Row) -> bool:
        """True if the group, which has not acknowledged this version, has not acknowledged an earlier one.

        That is so for a first version, for all that was stored before the group came, and for what is owed.
        """
        return row.seq == row.born or row.seq <= self.state.birth or self.notes.is_owed(row.born)

    def foresee(self, before: int, newest: int) -> None:
        """A batch is about to be committed, after which ``newest`` is the newest change: reserve with it."""
        if self.replicas and self.cursor >= before and not self.sent.allows(newest, newest):
            self.reserve()

    def reserve(self) -> bool:
        """True if there was no room to send for want of a note, which is to be committed now."""
        is_due = self.sent.reserve()
        if is_due:
            self._dirty = self._is_urgent = True
        return is_due

    def next_fence(self) -> int:
        """A number above all that were given out for any key, also by workers before this one."""
        self._fence += 1
        return self.state.epoch << 32 | self._fence

    # ---- what people ask

    @property
    def is_synced(self) -> bool:
        """Everything that was stored when the group came is acknowledged or parked; true from then on."""
        if not self.told_synced and self.state.listed_at >= 0 and self.position >= self.state.synced_at:
            self.told_synced = True
        return self.told_synced

    def pending(self, seq: int, bound: int) -> int:
        """Changes not acknowledged yet; exact at rest, else at most ``bound`` (the rows there are) too high."""
        unseen = min(bound, max(0, seq - self.cursor))
        return unseen + self.blocked_count + len(self.in_flight) + self.waiting

    @property
    def waiting(self) -> int:
        """Parked changes that are not being tried at the moment."""
        return len(self.lot) - sum(1 for flight in self.in_flight.values() if flight.parked_seq)

    def has_work(self, seq: int) -> bool:
        """True if a `collect` may find something to send."""
        return bool(self.replicas) and (
            self.cursor < seq or bool(self.ready) or self.resync_after is not None
        )

    def next_wake(self) -> float:
        """When there may be something to do without any event, wall s; infinity if never."""
        if not self.replicas:
            return float("inf")
        due = self.lot.next_due()
        return min(self.resync_at, self._awaited.next_look(), float("inf") if due is None else due)

    # ---- inside

    def _complete(self, flight: Flight) -> None:
        self.counters.acknowledged += 1
        key = flight.key
        if flight.parked_seq:
            self.lot.remove(flight.parked_seq)
        self.notes.acknowledged(flight.born)
        if flight.kind != DELETE:
            self.lot.forget_superseded(key, flight.uid, flight.seq)
        self.olds.drop(key)
        if flight.overwritten is not None and self.wants_old:
            self.olds.keep(key, flight.overwritten)
        self._release(flight)
        self.finish(flight.seq)

    def _park(
        self,
        flight: Flight,
        failures: int,
        not_before: float,
        error: str,
        *,
        dead: bool = False,
        solo: bool = False,
        again: bool = False,
    ) -> None:
        if flight.parked_seq and flight.parked_seq != flight.seq:
            self.lot.remove(flight.parked_seq)
        parked = parked_of(flight, failures, not_before, error, solo=solo)
        parked.again = again
        self.notes.came_back(flight.born)
        if dead and flight.kind == DELETE:
            self.notes.forget(flight.born)
        elif flight.kind == ADD:
            self.notes.owe(flight.born)
        if dead:
            self.lot.bury(parked)
        else:
            self.lot.add(parked)
        self._release(flight)
        self.finish(flight.seq)

    def _release(self, flight: Flight) -> None:
        del self.in_flight[flight.key]
        flight.replica.give_back(flight.size_bytes, alone=flight.solo)
        if flight.key in self.blocked:
            self.ready.append(flight.key)

    def _know_replicas(self, now: float) -> None:
        self.state.replicas = [*(r.known for r in self.replicas.values()), *self._awaited.known]
        self.state.last_seen = now
        self._dirty = self._is_urgent = True
