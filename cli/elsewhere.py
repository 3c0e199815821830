"""The caches of a core on another host, read by asking its workers."""

from contextlib import ExitStack

from deltawire.cli.stores import Cache
from deltawire.common.clock import SystemClock
from deltawire.handlers.core import CorePlan
from deltawire.handlers.following import FollowedShard
from deltawire.handlers.reader import Reader


def cache_elsewhere(plan: CorePlan, informer: str) -> Cache:
    """The cache of an informer; nothing is asked yet. Raises ConfigError where there is no key."""
    stack = ExitStack()
    reader = stack.enter_context(Reader(plan, plan.owner, clock=SystemClock()))
    indexes = plan.informers[informer].options.indexes
    shards = {
        shard: FollowedShard(reader, worker, informer, shard, indexes=indexes)
        for shard, worker in enumerate(plan.shard_owners)
    }
    return Cache(shards, plan.shards, stack)
