"""The groups of one shard and their rows in its store: loaded when it is opened, written with each transaction."""

from collections.abc import Callable

from deltawire.common.clock import Clock
from deltawire.common.meta.clauses import Subject
from deltawire.common.store import layout
from deltawire.common.store.layout import Row
from deltawire.informer.changes import Hole
from deltawire.informer.groups import merging
from deltawire.informer.groups import state as group_state
from deltawire.informer.groups.gap_notices import Gap
from deltawire.informer.groups.group import Group
from deltawire.informer.groups.state import GroupState, KnownReplica
from deltawire.informer.store.batch import Batch
from deltawire.informer.store.indexer import Indexer
from deltawire.informer.store.lost import NO_CONTENT


class GroupBook:
    """``groups`` by name. ``lease_s``: how long a replica of before is waited for (`Group.is_waiting`)."""

    def __init__(self, *, lease_s: float, is_dead: Callable[[KnownReplica], bool], clock: Clock) -> None:
        self.groups: dict[str, Group] = {}
        # Those whose rows are in the transaction under way, and those with a filter.
        self._writing: list[Group] = []
        self._lease_s = lease_s
        self._is_dead = is_dead
        self._clock = clock

    def load(self, indexer: Indexer) -> None:
        """Bring back the groups that the store remembers, with what they have parked and are owed."""
        for raw, data in indexer.rows(layout.GROUPS):
            self._add(layout.text_of(raw), group_state.decode_group(data), indexer.state.seq)
        for raw, data in indexer.rows(layout.PARKED):
            owner = self.groups.get(group_state.group_of(raw))
            if owner is not None:
                parked = group_state.decode_parked(data)
                owner.lot.load(parked)
                owner.track.load_parked(parked.seq)
        for raw, data in indexer.rows(layout.OWED):
            owner = self.groups.get(group_state.group_of(raw))
            if owner is not None:
                owner.notes.load(group_state.born_of_note(raw), data)
        for raw, data in indexer.rows(layout.MATCHED):
            owner = self.groups.get(group_state.group_of(raw))
            if owner is not None and owner.scope is not None:
                owner.scope.lives.load(group_state.born_of_note(raw), group_state.decode_life(data))
        for group in self.groups.values():
            group.lot.may_have_been_sent(self._clock.wall_s())

    def add(self, name: str, delivery: str, birth: int) -> Group:
        """A group that is new; ``birth``: the newest change."""
        state = GroupState(birth=birth, delivery=delivery, last_seen=self._clock.wall_s(), sent_to=0)
        return self._add(name, state, 0)

    def forget_absent(self, forget_after_s: float) -> list[str]:
        """Groups that stayed away too long hold nothing back any more; the names of those of which it is so now."""
        now, found = self._clock.wall_s(), []
        for group in self.groups.values():
            if group.members.here:
                group.record.see(now)
            elif group.record.forget_if_away(now, forget_after_s):
                found.append(group.name)
        return found

    def _add(self, name: str, state: GroupState, newest: int) -> Group:
        now = self._clock.wall_s()
        group = Group(name, state, now=now, lease_s=self._lease_s, is_dead=self._is_dead, newest=newest)
        self.groups[name] = group
        return group

    def tell_of_hole(self, hole: Hole) -> None:
        """Changes are lost for the groups that want each version."""
        for group in self.groups.values():
            if group.record.is_every and not group.record.state.forgotten:
                group.tell(
                    Gap(0, "relist", hole.stream, hole.generation, hole.lost_from, hole.version, hole.at)
                )

    def are_concerned(self, replaced: int) -> bool:
        """False if what is stored in the place of change ``replaced`` (0: of none) is nothing to any group: all have
        it behind them, and hold nothing that it could change."""
        for group in self.groups.values():
            track = group.track
            if (
                group.in_flight
                or (replaced > track.position and replaced not in track.done)
                or group.lot.by_key
                or group.members.wants_old
                or group.scope is not None
            ):
                return True
        return False

    def stored(self, row: Row, old: Row | None) -> bool:
        """``row`` is about to be stored in the place of ``old``. True if that version must go to history."""
        keep_history = has_filters = False
        for group in self.groups.values():
            if old is not None and merging.overwritten(group, old, row.seq):
                keep_history = True
            has_filters = has_filters or group.scope is not None
        if has_filters:
            self._judge(row, old)
        return keep_history

    def _judge(self, row: Row, old: Row | None) -> None:
        """Have the groups' filters look at a version, stored in the place of ``old``; it is decoded once for all."""
        new = Subject(row.key, row.object)
        has_content = old is not None and not old.flags & NO_CONTENT
        before = None if old is None or not has_content else Subject(old.key, old.object)
        for group in self.groups.values():
            merging.stored(group, row, new, old, before)

    @property
    def has_writes(self) -> bool:
        return any(group.has_writes for group in self.groups.values())

    def seal(self, batch: Batch, before: int, newest: int) -> tuple[int, int]:
        """Put what changed into a transaction, after which ``newest`` is the newest change and ``before`` was.

        Up to which change no group needs deletions then, and none overwritten versions. `written` follows once it is
        committed.
        """
        self._writing = []
        kept = every = newest
        for group in self.groups.values():
            group.foresee(before, newest)
            if group.has_writes or group.scope is not None:
                self._writing.append(group)
                for db, key, data in group.writes():
                    if data is None:
                        batch.delete(db, key)
                    else:
                        batch.put(db, key, data)
            if not group.record.state.forgotten:
                position = group.track.position
                if position < kept:
                    kept = position
                if position < every and group.record.is_every:
                    every = position
        return kept, every

    def written(self) -> None:
        """The transaction of the last `seal` is committed."""
        for group in self._writing:
            group.written()

    def erase(self, indexer: Indexer, batch: Batch, name: str) -> None:
        """Remove all rows of a group. It leaves `groups` when the transaction is committed, by the caller."""
        batch.delete(layout.GROUPS, group_state.group_key(name))
        for db in (layout.PARKED, layout.OWED, layout.MATCHED):
            for raw, _ in indexer.rows(db):
                if group_state.group_of(raw) == name:
                    batch.delete(db, raw)
