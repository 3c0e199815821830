"""The status of a whole pipeline as values: what `status --json` prints and every view reads (docs/status.md)."""

from collections.abc import Iterable
from typing import Any

import msgspec


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process. ``state`` is a `Phase` of the supervisor; ``turns`` counts its main loop.

    ``rejected``: messages, hellos and lines that reached this life of it and broke the rules. ``unanswered``: messages
    without a session beyond what is answered, of all lives. ``connections_refused``: for their key, of all lives.
    ``hung``: how often it was killed because its main loop stood still.
    ``descriptors_need``, ``descriptors_limit``: open files that it may need and may have; None: unknown.
    ``error``: why a broker's queue on NATS stands still. ``standby``: who has the shards of a worker in state
    ``standby``, in words.
    """

    role: str
    state: str
    pid: int = 0
    restarts: int = 0
    hung: int = 0
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    turns: int = 0
    rejected: int = 0
    unanswered: int = 0
    connections_refused: int = 0
    descriptors_need: int | None = None
    descriptors_limit: int | None = None
    error: str = ""
    standby: str = ""
    last_end: str = ""
    last_words: str = ""


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One list+watch. Counters are totals over all lives of its reflector. ``state``: unknown if it does not report."""

    reflector: str
    state: str
    watching: bool = False
    version: str = ""
    error: str = ""
    error_code: str = ""
    retry_in_s: float | None = None
    lists: int = 0
    watches: int = 0
    events: int = 0
    bytes: int = 0
    refused: int = 0
    progress_s_ago: float | None = None


class ClusterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster, by the reports of the reflectors.

    ``id``: its uid, or the address that stands for it; ``warning``: why an id that cannot be read is believed.
    ``reads`` of the id are counted over all lives.
    """

    id: str = ""
    warning: str = ""
    error: str = ""
    reads: int = 0


class InformerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One cache with the queue before it.

    ``synced``, ``fresh``: as of ``as_of`` (µs since 1970); ``why`` it is not synced. None: not known. ``led_by``: with
    `engine: nats`, the broker that fills its queue, "" if that is not known.
    """

    synced: bool = False
    fresh: bool = False
    as_of: int | None = None
    proof_s_ago: float | None = None
    why: str = ""
    objects: int = 0
    bytes: int = 0
    published: int = 0
    applied: int = 0
    events_per_s: float = 0.0
    depth: int | None = 0
    leased: int | None = 0
    blocked_streams: int = 0
    lag_ms: float | None = None
    warning: str = ""
    error: str = ""
    led_by: str = ""
    progress_s_ago: float | None = None


class ErrorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The last call of a handler that failed. ``at``: µs since 1970; ``error``: its first line."""

    key: str = ""
    error: str = ""
    attempt: int = 0
    at: int = 0


def newest_error(reports: Iterable[dict[str, Any]]) -> ErrorStatus | None:
    """The newest ``last_error`` of a group's replicas."""
    told = [msgspec.convert(r["last_error"], ErrorStatus) for r in reports if r.get("last_error")]
    return max(told, key=lambda error: error.at, default=None)


class ClusterClaim(msgspec.Struct, frozen=True, kw_only=True):
    """What holds of a group's informers in one cluster, as the fields of `GroupStatus` say of all."""

    ready: bool = False
    synced: bool = False
    as_of: int | None = None
    why: str = ""


class GroupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One handler group over all workers and informers.

    ``synced``: it has handled all that was read until ``as_of`` (µs since 1970); ``why`` it is not. ``ready``: and its
    ``informers`` are fresh. ``off``: it has no replicas, by the config. ``replicas``: those that workers hear,
    ``wanted``: as many as there are to be. ``pending`` counts from the broker on. None: not known. ``clusters``: the
    claims for each, of a group with more than one.
    """

    informers: list[str] = []
    clusters: dict[str, ClusterClaim] = {}
    off: bool = False
    ready: bool = False
    synced: bool = False
    as_of: int | None = None
    why: str = ""
    replicas: int = 0
    wanted: int = 0
    delivered: int = 0
    acknowledged: int = 0
    pending: int | None = 0
    in_flight: int | None = 0
    retry: int | None = 0
    dead: int | None = 0
    coalesced: int = 0
    filtered: int = 0
    filter: dict[str, list[Any]] = {}
    gaps: int = 0
    failed: int = 0
    last_error: ErrorStatus | None = None
    lag_p50_ms: float | None = None
    lag_p99_ms: float | None = None

    @property
    def replicas_text(self) -> str:
        """``2``, or ``2/4`` while more are to be there."""
        return f"{self.replicas}/{self.wanted}" if self.wanted > self.replicas else str(self.replicas)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over everything, restarts included."""

    published: int = 0
    delivered: int = 0
    acknowledged: int = 0
    restarts: int = 0
    lists: int = 0
    watches: int = 0
    objects: int = 0
    events_per_s: float = 0.0


class KillStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a `kill` did. ``lost`` is None until it is known: keys whose stored state is not the server's."""

    restarts: int
    took_s: float | None = None
    lost: int | None = None
    error: str = ""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment. ``state`` is starting, running or draining.

    ``ready``: all is synced and fresh, as of ``as_of`` (µs since 1970, of the slowest part; None: not known); else
    ``unready`` says why. ``core_faults``: processes that do not report, caches that cannot be used.
    ``rejected``, ``unanswered``: what reached the control socket and broke the rules, or got no answer;
    ``connections_refused``: connections to it that were refused for their key.
    ``durable``: the state folder is not on
    a file system that goes with the machine's or the container's restart.
    """

    state: str
    up_s: float
    first_event_s: float | None
    synced: bool
    ready: bool = False
    fresh: bool = False
    as_of: int | None = None
    unready: list[str] = []
    core_faults: list[str] = []
    totals: Totals
    lag_p50_ms: float | None
    lag_p99_ms: float | None
    processes: dict[str, ProcessStatus]
    streams: dict[str, StreamStatus]
    informers: dict[str, InformerStatus]
    groups: dict[str, GroupStatus]
    clusters: dict[str, ClusterStatus] = {}
    kills: dict[str, KillStatus] = {}
    rejected: int = 0
    unanswered: int = 0
    connections_refused: int = 0
    server: str = ""
    store: str = ""
    durable: bool = True

    @property
    def errors(self) -> list[str]:
        """One line for each thing that is wrong now."""
        lines = [f"{name}: {s.error}" for name, s in self.streams.items() if s.error]
        lines += [f"{name}: {i.error}" for name, i in self.informers.items() if i.error]
        lines += [f"{name}: {p.error}" for name, p in self.processes.items() if p.error]
        lines += [
            f"{name}: {p.state} ({p.last_words or p.last_end})"
            for name, p in self.processes.items()
            if p.state == "gave up" or (p.state == "waiting" and p.last_end)
        ]
        return lines

    @property
    def warnings(self) -> list[str]:
        """One line for each condition that needs attention but is no error."""
        return [text for _, text in self.warnings_by_cluster]

    @property
    def warnings_by_cluster(self) -> list[tuple[str, str]]:
        """(cluster, line) for each of `warnings`; "" for what is of no cluster."""
        found = [(name, f"{name}: {c.warning}") for name, c in self.clusters.items() if c.warning]
        found += [
            (name.partition("/")[0], f"{name}: {i.warning}") for name, i in self.informers.items() if i.warning
        ]
        found += [
            ("", f"{name}: may need {need} open files, the limit is {limit}: raise it with ulimit -n")
            for name, need, limit in self.descriptors
            if need > limit
        ]
        return found

    @property
    def descriptors(self) -> list[tuple[str, int, int]]:
        """(process, need, limit) of open files, of each process that reports them."""
        return [
            (name, p.descriptors_need, p.descriptors_limit)
            for name, p in self.processes.items()
            if p.descriptors_need is not None and p.descriptors_limit is not None
        ]

    def as_plain(self) -> dict[str, Any]:
        """Maps, lists, numbers and strings only."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def with_claims_of(snapshot: Snapshot, earlier: Snapshot) -> Snapshot:
    """The figures of ``snapshot``, with the processes and the claims of an ``earlier`` one."""
    kept = {
        name: getattr(earlier, name)
        for name in ("processes", "up_s", "state", "synced", "ready", "fresh", "as_of", "unready")
    }
    informers = {
        name: msgspec.structs.replace(
            now,
            synced=then.synced,
            fresh=then.fresh,
            as_of=then.as_of,
            proof_s_ago=then.proof_s_ago,
            why=then.why,
        )
        for (name, now), then in zip(snapshot.informers.items(), earlier.informers.values(), strict=True)
    }
    groups = {
        name: msgspec.structs.replace(
            now,
            synced=then.synced,
            ready=then.ready,
            as_of=then.as_of,
            why=then.why,
            pending=then.pending,
            in_flight=then.in_flight,
            retry=then.retry,
            dead=then.dead,
        )
        for (name, now), then in zip(snapshot.groups.items(), earlier.groups.values(), strict=True)
    }
    return msgspec.structs.replace(snapshot, informers=informers, groups=groups, **kept)


def filters_of(group: str, reports: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """The clauses of a group's filter by informer, of those that have one, from what workers said."""
    found: dict[str, list[Any]] = {}
    for report in reports:
        for informer, told in report.get("groups", {}).get(group, {}).items():
            if told.get("filter"):
                found[informer] = list(told["filter"])
    return found
