"""A group's row: what the shard remembers of it, and whether that must be written (pure)."""

from deltawire.informer.groups.gap_notices import Gap
from deltawire.informer.groups.scope import Scope
from deltawire.informer.groups.state import EVERY, GroupState, KnownReplica

# How exactly `last_seen` is kept on disk; `forget_after` is days.
_SEEN_EVERY_S = 60.0


class GroupRecord:
    """``state`` is changed here only. ``is_dirty``: the row must be written; ``is_urgent``: before anything more is
    sent, since only what was acknowledged may be committed late. ``is_every``: each stored version must
    reach the group, not only the newest."""

    __slots__ = ("is_dirty", "is_every", "is_urgent", "state", "told_synced")

    def __init__(self, state: GroupState) -> None:
        self.state = state
        state.epoch += 1
        self.told_synced = False
        self.is_dirty = self.is_urgent = True
        self.is_every = state.delivery == EVERY

    # ---- the group's view

    @property
    def every_since(self) -> int:
        """The newest change when the group's view of all versions began."""
        return self.state.every_since if self.state.every_since >= 0 else self.state.birth

    def is_past(self, replaced_by: int) -> bool:
        """True if a version, which was replaced by this change, is from before the group's view of all versions."""
        return 0 < replaced_by <= self.every_since

    def follow(self, delivery: str, seq: int) -> None:
        """Set the mode that the group's replicas ask for; ``seq``: the newest change."""
        if delivery == EVERY and not self.is_every:
            # What other groups' history has of before, this one may have seen, or a later version of it.
            self.state.every_since = seq
            self.touch()
        self.state.delivery = delivery
        self.is_every = delivery == EVERY

    def begin_anew(self, seq: int) -> None:
        """Its view begins now, as a new group's does. ``seq``: the newest change."""
        state = self.state
        state.forgotten = False
        state.birth = state.every_since = seq
        if state.listed_at >= 0:
            state.listed_at = state.synced_at = seq
        self.told_synced = False
        self.touch()

    # ---- synced

    def listed(self, seq: int) -> None:
        """The shard is complete for the first time since the group came."""
        if self.state.listed_at < 0:
            self.state.listed_at = self.state.synced_at = seq
            self.is_dirty = True

    def is_of_first_list(self, born: int) -> bool:
        """True if the object is one of those that existed before the group did."""
        return self.state.listed_at < 0 or born <= self.state.listed_at

    def must_reach(self, seq: int) -> None:
        """The group is not synced before it has this change."""
        self.state.synced_at = max(self.state.synced_at, seq)
        self.touch()

    def is_synced(self, position: int) -> bool:
        """Everything that was stored when the group came is acknowledged or parked; true from then on."""
        if not self.told_synced and self.state.listed_at >= 0 and position >= self.state.synced_at:
            self.told_synced = True
        return self.told_synced

    # ---- marks, presence

    def mark_all(self, seq: int, *, is_gap: bool) -> None:
        """Events of changes up to ``seq`` say that versions were merged into them, or (``is_gap``) lost."""
        self.state.coalesced_to = max(self.state.coalesced_to, seq)
        if is_gap:
            self.state.gap_to = max(self.state.gap_to, seq)
        self.touch()

    def know(self, replicas: list[KnownReplica], now: float) -> None:
        """These may be in a call when the worker comes back. ``now``: wall s."""
        self.state.replicas = replicas
        self.state.last_seen = now
        self.touch()

    def see(self, now: float) -> None:
        """The group is still here: `forget_after` counts from now."""
        if now - self.state.last_seen > _SEEN_EVERY_S:
            self.state.last_seen = now
            self.is_dirty = True

    def forget_if_away(self, now: float, forget_after_s: float) -> bool:
        """The group, which has no replica, pins nothing any more if that is so for too long. True if found now."""
        if self.state.forgotten or now - self.state.last_seen <= forget_after_s:
            return False
        self.state.forgotten = True
        self.is_dirty = True
        return True

    # ---- the row

    def touch(self) -> None:
        """`state`, or what belongs into it, was changed and must be committed before more is sent."""
        self.is_dirty = self.is_urgent = True

    def fill(self, position: int, done: list[int], sent_to: int, gaps: list[Gap]) -> GroupState:
        """The row as it is to be written."""
        state = self.state
        state.position, state.done, state.sent_to, state.gaps = position, done, sent_to, gaps
        return state

    def fill_scope(self, scope: Scope) -> None:
        """The part of the row that is about its filter."""
        state = self.state
        state.clauses, state.rescan = scope.clauses.bits, scope.rescan
        state.adopt_to, state.lost_to, state.open_to = scope.adopt_to, scope.lost_to, scope.open_to

    def was_written(self) -> None:
        self.is_dirty = self.is_urgent = False
