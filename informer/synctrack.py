"""Synced on three levels: listed by the reflector, stored by the worker, handled by each group (P8)."""

from deltawire.informer.shard import Shard


def listed(shards: list[Shard]) -> bool:
    """Every stream has been listed to its end once: what is stored is a state that existed."""
    return bool(shards) and all(shard.is_listed for shard in shards)


def stored(shards: list[Shard]) -> bool:
    """Every stream is complete up to a version now, and no list is under way."""
    return bool(shards) and all(shard.is_stored for shard in shards)


def handled(shards: list[Shard], group: str) -> bool:
    """The group has acknowledged, or parked, everything that was stored when it came."""
    return bool(shards) and all(group in shard.groups and shard.groups[group].is_synced for shard in shards)
