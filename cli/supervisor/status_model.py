"""The one status model: merges what the roles report into a `Snapshot`. Pure.

Reports are the maps of docs/status.md, one a second from each role, as `reports.check` lets them pass. They come
from our own processes, but of any version, so a field that is missing counts as zero.
"""

from typing import Any

from deltawire.cli.supervisor.counters import Carried, Rate
from deltawire.cli.supervisor.reports import rejected_of
from deltawire.cli.supervisor.status_types import (
    GroupStatus,
    InformerStatus,
    KillStatus,
    ProcessStatus,
    Snapshot,
    StreamStatus,
    Totals,
)

_COUNTERS = frozenset(
    (
        *("lists", "watches", "events", "bytes", "refused"),
        *("published", "popped", "dedup_deletes", "dedup_updates", "redelivered"),
        *("applied", "delivered", "acknowledged", "coalesced", "gaps"),
        *("calls", "succeeded", "failed"),
    )
)
_US = 1_000_000


class StatusModel:
    """What is known of a pipeline: its informers' names, its groups with the informers they watch.

    ``shards`` is the number per informer, ``started_us`` the start in µs since 1970.
    """

    def __init__(
        self, informers: list[str], groups: dict[str, list[str]], shards: int, *, started_us: int = 0
    ) -> None:
        self._informer_names = informers
        self._groups = groups
        self._shards = shards
        self._started_us = started_us
        self._roles: dict[str, tuple[str, Carried]] = {}
        self._rates: dict[str, Rate] = {name: Rate() for name in informers}
        self._first_event_s: float | None = None

    # -- events

    def on_status(self, name: str, report: dict[str, Any], now_s: float) -> None:
        """A role's `status` message, at the monotonic instant ``now_s``."""
        role = str(report.get("role", ""))
        known_role, carried = self._roles.setdefault(name, (role, Carried()))
        carried.take(int(report.get("pid", 0)), report, now_s, _COUNTERS)
        if known_role == "fifo":
            for informer in self._rates:
                self._rates[informer].take(now_s, self._sum("fifo", "informers", informer, "published"))
        first_us = report.get("first_ended_at")
        if isinstance(first_us, int) and first_us >= self._started_us > 0:
            at_s = (first_us - self._started_us) / _US
            self._first_event_s = min(at_s, at_s if self._first_event_s is None else self._first_event_s)

    # -- what is known

    def reported_since(self, since_s: float, role: str) -> bool:
        """True if every known process of ``role`` has reported after ``since_s``."""
        carried = [c for r, c in self._roles.values() if r == role]
        return bool(carried) and all(c.received_at_s > since_s for c in carried)

    def have_all_reported_since(self, since_s: float) -> bool:
        """As `reported_since`, for every role that a pipeline has."""
        roles = ["reflector", "fifo", "informer", *(["handler"] if self._groups else [])]
        return all(self.reported_since(since_s, role) for role in roles)

    def are_queues_empty(self) -> bool:
        """Nothing waits before the workers, nothing in a group; as last reported."""
        waiting = sum(
            self._sum("fifo", "informers", name, "depth") + self._sum("fifo", "informers", name, "leased")
            for name in self._informer_names
        )
        return waiting == 0 and not any(
            self._sum("informer", "groups", group, informer, "pending")
            for group, informers in self._groups.items()
            for informer in informers
        )

    def turns(self, name: str) -> int:
        """How often the main loop of a process has turned, as last reported."""
        known = self._roles.get(name)
        return int(known[1].latest.get("turns") or 0) if known else 0

    def rejected(self, name: str) -> int:
        """What a process has rejected in its present life, as last reported."""
        known = self._roles.get(name)
        return rejected_of(known[1].latest) if known else 0

    def unfinished(self) -> list[tuple[str, int, int]]:
        """(group, pending, dead) of each group that has either."""
        found = []
        for name, watched in self._groups.items():
            group = self._group(name, watched)
            if group.pending or group.dead:
                found.append((name, group.pending, group.dead))
        return found

    def not_synced(self) -> list[str]:
        """A line for each informer and each group that is not synced."""
        lines = []
        for name in self._informer_names:
            informer = self._informer(name, {})
            if not informer.synced:
                lines.append(f"{name}: not synced{f' ({informer.error})' if informer.error else ''}")
        lines += [
            f"{name}: has not seen everything"
            for name, watched in self._groups.items()
            if not self._group(name, watched).synced
        ]
        return lines

    def snapshot(
        self,
        *,
        state: str,
        up_s: float,
        wall_us: int,
        processes: dict[str, ProcessStatus],
        kills: dict[str, KillStatus],
        rejected: int = 0,
        server: str = "",
        store: str = "",
        durable: bool = True,
    ) -> Snapshot:
        """Everything now, ``up_s`` seconds after the start. ``wall_us`` is µs since 1970, as the roles' time stamps."""
        streams = self._stream_statuses(wall_us)
        informers = {name: self._informer(name, streams) for name in self._informer_names}
        groups = {name: self._group(name, watched) for name, watched in self._groups.items()}
        lags = [(g.lag_p50_ms, g.lag_p99_ms) for g in groups.values() if g.lag_p50_ms is not None]
        return Snapshot(
            state=state,
            up_s=round(up_s, 3),
            first_event_s=None if self._first_event_s is None else round(self._first_event_s, 3),
            synced=all(i.synced for i in informers.values()) and all(g.synced for g in groups.values()),
            totals=Totals(
                published=sum(i.published for i in informers.values()),
                delivered=sum(g.delivered for g in groups.values()),
                acknowledged=sum(g.acknowledged for g in groups.values()),
                restarts=sum(p.restarts for p in processes.values()),
                lists=sum(s.lists for s in streams.values()),
                watches=sum(s.watches for s in streams.values()),
                objects=sum(i.objects for i in informers.values()),
                events_per_s=round(sum(i.events_per_s for i in informers.values()), 1),
            ),
            lag_p50_ms=max((p50 for p50, _ in lags if p50 is not None), default=None),
            lag_p99_ms=max((p99 for _, p99 in lags if p99 is not None), default=None),
            processes=processes,
            streams=streams,
            informers=informers,
            groups=groups,
            kills=kills,
            rejected=rejected,
            server=server,
            store=store,
            durable=durable,
        )

    # -- inside

    def _stream_statuses(self, wall_us: int) -> dict[str, StreamStatus]:
        streams: dict[str, StreamStatus] = {}
        for name, carried in self._of_role("reflector"):
            for stream, s in sorted(_map(carried.latest, "streams").items()):

                def total(
                    counter: str, s: dict[str, Any] = s, stream: str = stream, c: Carried = carried
                ) -> int:
                    return int(s.get(counter) or 0) + c.before("streams", stream, counter)

                streams[stream] = StreamStatus(
                    reflector=name,
                    state=str(s.get("state", "")),
                    version=str(s.get("version") or ""),
                    error=str(s.get("error") or ""),
                    error_code=str(s.get("error_code") or ""),
                    retry_in_s=s.get("retry_in_s"),
                    lists=total("lists"),
                    watches=total("watches"),
                    events=total("events"),
                    bytes=total("bytes"),
                    refused=total("refused"),
                    progress_s_ago=_ago(s.get("last_progress_at"), wall_us),
                )
        return streams

    def _informer(self, name: str, streams: dict[str, StreamStatus]) -> InformerStatus:
        shards: dict[str, dict[str, Any]] = {}
        lags = []
        errors = []
        warnings = []
        for _, carried in self._of_role("informer"):
            mine = _map(carried.latest, "informers", name)
            errors.append(str(mine.get("error") or ""))
            warnings.append(str(mine.get("warning") or ""))
            shards.update(_map(mine, "shards"))
            pids = {pid for shard in _map(mine, "shards").values() for pid in shard.get("pinned_by") or ()}
            warnings += [
                f"process {pid} holds an old state of the cache, which grows" for pid in sorted(pids)
            ]
            if mine.get("lag_ms") is not None:
                lags.append(float(mine["lag_ms"]))
        own = [s for key, s in streams.items() if key.rpartition("@")[0] == name]
        progress = [s.progress_s_ago for s in own if s.progress_s_ago is not None]
        return InformerStatus(
            synced=len(shards) == self._shards
            and all(s.get("listed") and s.get("stored", True) for s in shards.values()),
            objects=sum(int(s.get("objects") or 0) for s in shards.values()),
            bytes=sum(int(s.get("bytes") or 0) for s in shards.values()),
            published=self._sum("fifo", "informers", name, "published"),
            applied=self._sum("informer", "informers", name, "applied"),
            events_per_s=round(self._rates[name].per_s(), 1),
            depth=self._sum("fifo", "informers", name, "depth"),
            leased=self._sum("fifo", "informers", name, "leased"),
            blocked_streams=_length(self._first("fifo", "informers", name, "blocked_streams")),
            lag_ms=max(lags, default=None),
            warning="; ".join(dict.fromkeys(filter(None, warnings))),
            error=max(errors, default=""),
            # The slowest stream: an informer is as fresh as the part that was heard of the longest ago.
            progress_s_ago=max(progress, default=None),
        )

    def _group(self, name: str, watched: list[str]) -> GroupStatus:
        def total(field: str) -> int:
            return sum(self._sum("informer", "groups", name, informer, field) for informer in watched)

        reports = [
            _map(carried.latest, "groups", name, informer)
            for _, carried in self._of_role("informer")
            for informer in watched
            if name in _map(carried.latest, "groups")
        ]
        known = [r for r in reports if r]
        handlers = [c for _, c in self._of_role("handler") if c.latest.get("group") == name]
        lags = [_map(c.latest, "lag_ms") for c in handlers]
        p50s = [(float(lag["p50"]), int(lag.get("count") or 1)) for lag in lags if lag.get("p50") is not None]
        p99s = [float(lag["p99"]) for lag in lags if lag.get("p99") is not None]
        return GroupStatus(
            synced=bool(known) and all(bool(r.get("synced")) for r in known),
            replicas=len({str(replica) for r in known for replica in r.get("replicas") or ()}),
            delivered=total("delivered"),
            acknowledged=total("acknowledged"),
            pending=total("pending"),
            in_flight=total("in_flight"),
            retry=total("retry"),
            dead=total("dead"),
            coalesced=total("coalesced"),
            gaps=total("gaps"),
            failed=sum(int(c.latest.get("failed") or 0) + c.before("failed") for c in handlers),
            lag_p50_ms=_weighted_median(p50s),
            lag_p99_ms=max(p99s, default=None),
        )

    def _of_role(self, role: str) -> list[tuple[str, Carried]]:
        return [(name, carried) for name, (r, carried) in self._roles.items() if r == role]

    def _sum(self, role: str, *path: str) -> int:
        """A number over all processes of a role; of a counter, with what earlier lives had counted."""
        return sum(
            int(_map(carried.latest, *path[:-1]).get(path[-1]) or 0) + carried.before(*path)
            for _, carried in self._of_role(role)
        )

    def _first(self, role: str, *path: str) -> Any:
        for _, carried in self._of_role(role):
            return _map(carried.latest, *path[:-1]).get(path[-1])
        return None


def _map(tree: dict[str, Any], *path: str) -> dict[str, Any]:
    """The map at ``path``; an empty one where there is none."""
    for step in path:
        inner = tree.get(step)
        if not isinstance(inner, dict):
            return {}
        tree = inner
    return tree


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else int(value or 0)


def _ago(at_us: Any, wall_us: int) -> float | None:
    if not isinstance(at_us, int | float) or at_us <= 0:
        return None
    return round(max(0.0, (wall_us - at_us) / _US), 3)


def _weighted_median(pairs: list[tuple[float, int]]) -> float | None:
    """The value that half of the weight lies at or below."""
    total = sum(weight for _, weight in pairs)
    passed = 0
    for value, weight in sorted(pairs):
        passed += weight
        if 2 * passed >= total:
            return value
    return None
