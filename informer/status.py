"""The worker's own part of `status` (docs/status.md). Counters are totals since its start."""

from typing import Any

import msgspec

from deltawire.common.errors import DeltawireError
from deltawire.informer import synctrack
from deltawire.informer.claims import Claims
from deltawire.informer.groups.group import Group
from deltawire.informer.shard import Shard
from deltawire.informer.shared_informer import SharedInformer

_COUNTED = ("delivered", "acknowledged", "failed", "late", "coalesced", "filtered", "gaps")


def status_of(informers: dict[str, SharedInformer], claims: Claims) -> dict[str, Any]:
    """``informers`` and ``groups`` of a worker's status."""
    return {
        "informers": {name: _informer(informer, claims) for name, informer in informers.items()},
        "groups": _groups(informers, claims),
    }


def _informer(informer: SharedInformer, claims: Claims) -> dict[str, Any]:
    shards = list(informer.shards.values())
    proof = claims.of(informer)
    return {
        "as_of": proof.as_of_us if proof else 0,
        "proof_at": proof.proof_us if proof else 0,
        "stale_at": proof.stale_us if proof else 0,
        "shards": {str(shard.number): _shard(informer, shard) for shard in shards},
        "cluster_id": informer.cluster_id,
        "applied": sum(shard.counters.applied for shard in shards),
        "listed": synctrack.listed(shards),
        "stored": synctrack.stored(shards),
        "lag_ms": max((shard.lag_ms for shard in shards), default=0.0),
        "error": informer.error,
        "warning": informer.warning or next((s.ledger_error for s in shards if s.ledger_error), ""),
        "discarded": informer.discarded,
    }


def _archive(shard: Shard) -> dict[str, Any]:
    """Nothing without an archive."""
    kept = shard.archive
    if kept is None:
        return {}
    return {
        "restoring": shard.is_restoring,
        "archived": kept.records,
        "archived_bytes": kept.bytes,
        "copies": kept.copies,
    }


def _shard(informer: SharedInformer, shard: Shard) -> dict[str, Any]:
    functions = shard.indexer.functions
    return {
        **_sizes(shard),
        "seq": shard.seq,
        "listed": shard.is_listed,
        "stored": shard.is_stored,
        "version": {name: stream.resume for name, stream in shard.progress.streams.items()},
        "pinned_by": shard.pinned_by,
        "ledger_late": shard.keeper.late if shard.keeper is not None else 0,
        **_archive(shard),
        "index_errors": functions.errors,
        "index_error": functions.last_error,
        "error": informer.error,
        **msgspec.structs.asdict(shard.counters),
    }


def _sizes(shard: Shard) -> dict[str, int]:
    try:
        return {"objects": shard.indexer.count(), "bytes": shard.indexer.used_bytes()}
    except DeltawireError:
        # The informer's own error or warning says why.
        return {"objects": 0, "bytes": 0}


def _groups(informers: dict[str, SharedInformer], claims: Claims) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for name, informer in informers.items():
        shards = list(informer.shards.values())
        for group in sorted({group for shard in shards for group in shard.groups}):
            as_of = claims.handled_us(informer, group)
            found.setdefault(group, {})[name] = _group(shards, group) | {"as_of": as_of}
    return found


def group_of(shards: list[Shard], name: str) -> tuple[bool, int, list[str]]:
    """Whether a group has seen all that was stored when it came, what it has still to acknowledge, and its replicas."""
    groups = [(shard, shard.groups[name]) for shard in shards if name in shard.groups]
    replicas = {replica.known.name for _, group in groups for replica in group.members.here.values()}
    pending = sum(_pending(shard, group) for shard, group in groups)
    return synctrack.handled(shards, name), pending, sorted(replicas)


def _pending(shard: Shard, group: Group) -> int:
    try:
        return shard.pending(group)
    except DeltawireError:
        return group.pending(shard.seq, shard.seq)


def _group(shards: list[Shard], name: str) -> dict[str, Any]:
    totals: dict[str, Any] = dict.fromkeys((*_COUNTED, "in_flight", "retry", "dead", "owed"), 0)
    clauses: dict[str, None] = {}
    for shard in shards:
        group = shard.groups.get(name)
        if group is None:
            continue
        for counter in _COUNTED:
            totals[counter] += getattr(group.counters, counter)
        totals["in_flight"] += len(group.in_flight)
        totals["retry"] += group.waiting
        totals["dead"] += len(group.lot.dead)
        totals["owed"] += group.notes.owed
        if group.scope is not None:
            clauses.update(dict.fromkeys(group.scope.clauses.bits))
    synced, pending, replicas = group_of(shards, name)
    return {
        **totals,
        "pending": pending,
        "filter": [msgspec.json.decode(text) for text in clauses],
        "synced": synced,
        "replicas": replicas,
    }
