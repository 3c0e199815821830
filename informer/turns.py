"""Who is served first changes each turn.

A replica's window is shared by all shards of a worker: the shard that always came first would fill it under
load, and the others' groups would stand still until the load ends.
"""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def rotated(items: Iterable[T], turn: int) -> list[T]:
    """The items, beginning with another one each turn."""
    every = list(items)
    start = turn % len(every) if every else 0
    return every[start:] + every[:start]
