"""What a group asks for when a replica of it comes."""

import msgspec

from deltawire.common.meta.clauses import Clause
from deltawire.informer.groups import state as group_state


class GroupOptions(msgspec.Struct, frozen=True):
    """What a group's hello asks for."""

    delivery: str = group_state.LATEST
    resync_s: float = 0.0
    attempts_max: int = 0
    clauses: tuple[Clause, ...] = ()
