"""The shape of a role's report, checked where it arrives: what is counted on later is a number then.

A field that is missing has its default and one that is unknown is left alone: roles may be of another version.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class StreamReport(msgspec.Struct):
    """A stream, from its reflector."""

    state: str = ""
    watching: bool = False
    version: str = ""
    error: str = ""
    error_code: str = ""
    retry_in_s: float | None = None
    lists: Count = 0
    watches: Count = 0
    events: Count = 0
    bytes: Count = 0
    refused: Count = 0
    last_progress_at: Count = 0


class ShardReport(msgspec.Struct):
    """A shard, from its worker."""

    objects: Count = 0
    bytes: Count = 0
    listed: bool = False
    stored: bool = True
    pinned_by: list[Count] = []


class InformerReport(msgspec.Struct):
    """An informer, as broker, workers and handlers each know a part of it."""

    shards: dict[str, ShardReport] = {}
    shards_open: Count = 0
    as_of: Count = 0
    proof_at: Count = 0
    stale_at: Count = 0
    published: Count = 0
    popped: Count = 0
    depth: Count = 0
    leased: Count = 0
    redelivered: Count = 0
    dedup_deletes: Count = 0
    dedup_updates: Count = 0
    blocked_streams: list[str] | Count = 0
    applied: Count = 0
    lag_ms: float | None = None
    error: str = ""
    warning: str = ""


class GroupReport(msgspec.Struct):
    """A group and one informer, from a worker."""

    delivered: Count = 0
    acknowledged: Count = 0
    pending: Count = 0
    in_flight: Count = 0
    retry: Count = 0
    dead: Count = 0
    coalesced: Count = 0
    filtered: Count = 0
    filter: list[Any] = []
    gaps: Count = 0
    synced: bool = False
    as_of: Count = 0
    replicas: list[str] = []


class LagReport(msgspec.Struct):
    """From the read of a change to the end of its call, ms; over the last ``count`` calls."""

    p50: float | None = None
    p99: float | None = None
    count: Count = 0


class ErrorReport(msgspec.Struct):
    """The last call of a handler's process that failed; ``at`` in µs since 1970."""

    key: str = ""
    error: str = ""
    attempt: Count = 0
    at: Count = 0


class ClusterReport(msgspec.Struct):
    """A cluster, from a reflector that has streams of it."""

    id: str = ""
    warning: str = ""
    error: str = ""
    reads: Count = 0


class DescriptorsReport(msgspec.Struct):
    """Open files of a reflector: what it may need, and what it may have."""

    need: Count = 0
    limit: Count = 0


class BrokerReport(msgspec.Struct):
    """A worker's line to the broker."""

    open: bool = False


class NatsReport(msgspec.Struct):
    """The queue of a broker, where it is on NATS; ``problem``: why it stands still, with what to do. ``stuck``: the
    same by informer, of those that do. ``led_by``: informer → the broker that leads it, where that is known."""

    problem: str = ""
    led_by: dict[str, str] = {}
    stuck: dict[str, str] = {}


class StandbyReport(msgspec.Struct):
    """A worker that waits for its place. ``host``, ``node``: of who has it, "" if nobody does or it is not known;
    ``problem``: why it is not known. ``waits_for``: it has the place, and waits so long for that host, in words, which
    had it last."""

    host: str = ""
    node: str = ""
    problem: str = ""
    waits_for: str = ""
    left_s: float = 0


class RoleReport(msgspec.Struct):
    """All that is read of a report."""

    role: str = ""
    name: str = ""
    nonce: Annotated[str, Meta(pattern="^([0-9a-f]{8})?$")] = ""
    group: str = ""
    pid: Count = 0
    turns: Count = 0
    at: Count = 0
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    malformed: Count = 0
    refused: Count = 0
    unanswered: Count = 0
    connections_refused: Count = 0
    calls: Count = 0
    succeeded: Count = 0
    failed: Count = 0
    first_ended_at: Count = 0
    last_error: ErrorReport | None = None
    lag_ms: LagReport = msgspec.field(default_factory=LagReport)
    broker: BrokerReport | str = ""
    streams: dict[str, StreamReport] = {}
    informers: dict[str, InformerReport] = {}
    groups: dict[str, dict[str, GroupReport]] = {}
    clusters: dict[str, ClusterReport] = {}
    descriptors: DescriptorsReport = msgspec.field(default_factory=DescriptorsReport)
    nats: NatsReport = msgspec.field(default_factory=NatsReport)
    standby: StandbyReport | None = None


def fault_of(report: Any) -> str | None:
    """What is wrong with a `status` message's body; None if it can be believed."""
    try:
        msgspec.convert(report, RoleReport)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def rejected_of(report: Mapping[str, Any]) -> int:
    """Messages, hellos and lines that reached a role and broke the rules."""
    return int(report.get("malformed") or 0) + int(report.get("refused") or 0)
