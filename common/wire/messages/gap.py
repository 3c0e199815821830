"""What an informer worker tells a group of changes that nobody can tell any more (docs/wire.md §7, ``gap``)."""

from typing import Literal

import msgspec

Reason = Literal["relist", "forgotten"]


class GapNotice(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """``gap``, worker to handler: changes of a stream were lost for this group.

    ``relist``: the API server's history was lost. What changed after version ``lost_from`` ("?" = not known) up
    to ``version``, and is not among the events, is seen by nobody. ``forgotten``: the group stayed away for longer than
    ``store.forget_after`` and begins anew; no versions. ``number``: of the notice in its shard. ``generation``:
    the list's number, the same in all shards. ``at``: µs since the epoch when the worker found it. ``attempt``: of all
    that is told of a list only the first notice of shard 0 says 1. Others say 2 or more: somebody may have been told.
    """

    informer: str
    shard: int
    number: int
    reason: Reason
    stream: str
    generation: int
    lost_from: str
    version: str
    at: int
    attempt: int = 1


class GapSeen(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """``gap-seen``, handler to worker: the notice need not be told again."""

    informer: str
    shard: int
    number: int
