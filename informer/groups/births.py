"""When a group's view of a shard begins: at its birth, and anew after what broke it off (pure)."""

from typing import TYPE_CHECKING

from deltawire.informer.groups.gap_notices import Gap
from deltawire.informer.groups.state import EVERY

if TYPE_CHECKING:
    from deltawire.informer.groups.group import Group


def follow(group: "Group", delivery: str, seq: int) -> None:
    """Set the mode that the group's replicas ask for; ``seq``: the newest change."""
    if delivery == EVERY and not group.is_every:
        # What other groups' history has of before, this one may have seen, or a later version of it.
        group.state.every_since = seq
        group.touch()
    group.state.delivery = delivery


def start_over(group: "Group", seq: int, now: float) -> None:
    """It was away for too long: it begins anew, as a new group does, and gets a notice. Dead letters stay.

    ``seq``: the newest change; ``now``: wall s.
    """
    state = group.state
    state.forgotten = False
    state.birth = state.every_since = seq
    if state.listed_at >= 0:
        state.listed_at = state.synced_at = seq
    group.position = group.cursor = 0
    group.sent.start_over()
    group.done.clear()
    group.order.clear()
    group.blocked.clear()
    group.ready.clear()
    group.blocked_count = 0
    group.lot.clear()
    group.notes.clear()
    group.gaps.clear()
    group.told_synced = False
    group.tell(Gap(0, "forgotten", "*", 0, "", "", int(now * 1e6)))
