"""The broker's own part of `status` (docs/status.md)."""

from typing import Any

from deltawire.fifo.broker import Broker
from deltawire.fifo.shards import Informer

_COUNTERS = ("published", "popped", "redelivered", "dedup_deletes", "dedup_updates")


def status_of(broker: Broker, wall_s: float) -> dict[str, Any]:
    """Counters are totals since the start; ``wall_s`` is seconds since 1970."""
    counters = broker.counters
    return {
        "informers": {name: _informer(informer, wall_s) for name, informer in broker.informers.items()},
        "reflectors": broker.reflectors.names,
        "workers": broker.workers.names,
        "shards_waiting": [
            f"{name}#{shard.number}"
            for name, informer in broker.informers.items()
            for shard in informer.shards
            if not shard.is_open
        ],
        "late": counters.late,
        "malformed": counters.malformed,
        "refused": counters.refused,
        "superseded": counters.superseded,
    }


def _informer(informer: Informer, wall_s: float) -> dict[str, Any]:
    queues = [shard.queue for shard in informer.shards]
    oldest = [at for queue in queues if (at := queue.oldest_at()) is not None]
    return {
        "depth": sum(queue.depth for queue in queues),
        "bytes": sum(queue.waiting_bytes + queue.leased_bytes for queue in queues),
        "leased": sum(queue.leased for queue in queues),
        **{name: sum(getattr(queue.counters, name) for queue in queues) for name in _COUNTERS},
        "blocked_streams": sorted(s.name for s in informer.streams.values() if s.is_blocked),
        "stopped_streams": {s.name: s.stopped_for for s in informer.streams.values() if s.stopped_for},
        "shards_open": sum(shard.is_open for shard in informer.shards),
        "oldest_s": round(max(0.0, wall_s - min(oldest) / 1e6), 3) if oldest else 0.0,
    }
