"""The one status model: merges what the roles report into a `Snapshot`. Pure.

Reports are the maps of docs/status.md, one a second from each role, as `reports.check` lets them pass. They come
from our own processes, but of any version, so a field that is missing counts as zero.
"""

from typing import Any

import msgspec

from deltawire.cli.supervisor.counters import COUNTERS, Carried, Rate
from deltawire.cli.supervisor.machine import Phase
from deltawire.cli.supervisor.readiness import Claim, Readiness
from deltawire.cli.supervisor.report_maps import length, map_at, seconds_ago, weighted_median
from deltawire.cli.supervisor.reports import rejected_of
from deltawire.cli.supervisor.shape import BROKER, Shape
from deltawire.cli.supervisor.status_types import (
    ClusterStatus,
    GroupStatus,
    InformerStatus,
    KillStatus,
    ProcessStatus,
    Snapshot,
    StreamStatus,
    Totals,
    filters_of,
    newest_error,
)

_US = 1_000_000


class StatusModel:
    """The merged status of a pipeline of this shape: figures and readiness.

    ``silent_s``: a process whose last report is older counts as silent. ``started_us``: the start in µs since 1970.
    """

    def __init__(self, shape: Shape, *, silent_s: float, started_us: int = 0) -> None:
        self._shape = shape
        self._started_us = started_us
        self._roles: dict[str, tuple[str, Carried]] = {}
        self._rates: dict[str, Rate] = {name: Rate() for name in shape.informers}
        self._first_event_s: float | None = None
        self._was_ready = False
        self._readiness = Readiness(shape, silent_s=silent_s, wall_us=started_us)

    # -- events

    def reshape(self, shape: Shape) -> None:
        """The pipeline has other informers or groups from now on; what is known of the rest stays."""
        self._shape = shape
        self._rates = {name: self._rates.get(name) or Rate() for name in shape.informers}
        self._readiness.reshape(shape)

    def on_status(self, name: str, report: dict[str, Any], now_s: float, wall_us: int) -> None:
        """A role's `status` message, at the monotonic instant ``now_s``; ``wall_us``: the same in µs since 1970."""
        role = str(report.get("role", ""))
        known_role, carried = self._roles.setdefault(name, (role, Carried()))
        carried.take(int(report.get("pid", 0)), report, now_s, COUNTERS)
        self._readiness.on_report(name, int(report.get("pid", 0)), report, now_s, wall_us)
        if known_role == "fifo":
            for informer in self._rates:
                self._rates[informer].take(now_s, self._sum("fifo", "informers", informer, "published"))
        first_us = report.get("first_ended_at")
        if isinstance(first_us, int) and first_us >= self._started_us > 0:
            at_s = (first_us - self._started_us) / _US
            self._first_event_s = min(at_s, at_s if self._first_event_s is None else self._first_event_s)

    def on_gone(self, name: str, wall_us: int) -> None:
        """The process has ended, or its connection has."""
        if name in self._roles:
            self._readiness.on_gone(name, wall_us)

    def tick(self, now_s: float, wall_us: int) -> None:
        """Find processes that fell silent. Call before waiting messages are taken, and before anything is read."""
        self._readiness.tick(now_s, wall_us)

    # -- what is known

    def reported_since(self, since_s: float, role: str) -> bool:
        """True if every known process of ``role`` has reported after ``since_s``."""
        carried = [c for r, c in self._roles.values() if r == role]
        return bool(carried) and all(c.received_at_s > since_s for c in carried)

    def have_all_reported_since(self, since_s: float) -> bool:
        """As `reported_since`, for every role that a pipeline has."""
        is_any_group = any(not group.is_off for group in self._shape.groups.values())
        roles = ["reflector", "fifo", "informer", *(["handler"] if is_any_group else [])]
        return all(self.reported_since(since_s, role) for role in roles)

    def are_queues_empty(self) -> bool:
        """Nothing waits before the workers, nothing in a group, as last reported; False where that is not known."""
        known = [self._depth(name) for name in self._shape.informers]
        pending = [self.pending(name) for name, group in self._shape.groups.items() if not group.is_off]
        return all(number == 0 for number in (*known, *pending))

    def is_heard(self, name: str) -> bool:
        """True if the process lives and has reported of late."""
        return self._readiness.is_heard(name)

    def turns(self, name: str) -> int:
        """How often the main loop of a process has turned, as last reported."""
        known = self._roles.get(name)
        return int(known[1].latest.get("turns") or 0) if known else 0

    def usage(self, name: str, pid: int) -> tuple[float, float] | None:
        """(resident MB, CPU seconds) as last reported by this life of a process that is heard; None: not known."""
        known = self._roles.get(name)
        if known is None or not self.is_heard(name) or known[1].latest.get("pid") != pid:
            return None
        return float(known[1].latest.get("rss_mb") or 0), float(known[1].latest.get("cpu_s") or 0)

    def rejected(self, name: str) -> int:
        """What a process has rejected in its present life, as last reported."""
        known = self._roles.get(name)
        return rejected_of(known[1].latest) if known else 0

    def unfinished(self) -> list[tuple[str, int | None, int | None]]:
        """(group, pending, dead) of each group that has either, or of which it is not known (None)."""
        found = []
        for name, shape in self._shape.groups.items():
            group = self._group(name, {})
            if not shape.is_off and (group.pending != 0 or group.dead != 0):
                found.append((name, group.pending, group.dead))
        return found

    def not_synced(self) -> list[str]:
        """A line for each informer and each group that is not synced, with why."""
        claims = [(name, self._readiness.informer(name)) for name in self._shape.informers]
        claims += [(n, self._readiness.group(n)) for n, g in self._shape.groups.items() if not g.is_off]
        return [f"{name}: {claim.why}" for name, claim in claims if not claim.is_synced]

    def core_faults(self) -> list[str]:
        """A line for each reflector, broker or worker that does not report, and each cache that cannot be used."""
        owners = {owner for streams in self._shape.informers.values() for owner in streams.values()}
        names = dict.fromkeys([*sorted(owners), BROKER, *self._shape.workers])
        faults = [f"{name} is not heard" for name in names if not self._readiness.is_heard(name)]
        for name in self._shape.informers:
            error = self._informer(name, {}, 0).error
            faults += [f"{name}: {error}"] if error else []
        return faults

    def snapshot(
        self,
        *,
        state: str = "",
        up_s: float,
        wall_us: int,
        processes: dict[str, ProcessStatus],
        kills: dict[str, KillStatus],
        rejected: int = 0,
        unanswered: int = 0,
        server: str = "",
        store: str = "",
        durable: bool = True,
    ) -> Snapshot:
        """Everything now, ``up_s`` seconds after the start. ``wall_us`` is µs since 1970, as the roles' time stamps.

        ``state`` "": starting until all was ready once, then running.
        """
        streams = self._stream_statuses(wall_us)
        informers = {name: self._informer(name, streams, wall_us) for name in self._shape.informers}
        groups = {name: self._group(name, informers) for name in self._shape.groups}
        is_synced = all(i.synced for i in informers.values()) and all(
            g.synced or g.off for g in groups.values()
        )
        is_fresh = all(i.fresh for i in informers.values())
        as_ofs = [i.as_of for i in informers.values()] + [g.as_of for g in groups.values() if not g.off]
        self._was_ready = self._was_ready or (is_synced and is_fresh)
        lags = [(g.lag_p50_ms, g.lag_p99_ms) for g in groups.values() if g.lag_p50_ms is not None]
        return Snapshot(
            state=state or ("running" if self._was_ready else "starting"),
            ready=is_synced and is_fresh,
            fresh=is_fresh,
            as_of=None if None in as_ofs else min((a for a in as_ofs if a), default=None),
            unready=self._unready(informers, groups),
            core_faults=self.core_faults(),
            up_s=round(up_s, 3),
            first_event_s=None if self._first_event_s is None else round(self._first_event_s, 3),
            synced=is_synced,
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
            processes={name: self._process(name, process) for name, process in processes.items()},
            streams=streams,
            informers=informers,
            groups=groups,
            clusters=self._clusters(),
            kills=kills,
            rejected=rejected,
            unanswered=unanswered,
            server=server,
            store=store,
            durable=durable,
        )

    # -- inside

    def _process(self, name: str, process: ProcessStatus) -> ProcessStatus:
        """With what it tells itself. One that is said to be ready and does not report is silent: its beats alone
        prove nothing."""
        if name not in self._roles:
            return process
        _, carried = self._roles[name]
        is_silent = process.state == Phase.READY.value and not self._readiness.is_heard(name)
        files = map_at(carried.latest, "descriptors")
        return msgspec.structs.replace(
            process,
            state=Phase.SILENT.value if is_silent else process.state,
            unanswered=int(carried.latest.get("unanswered") or 0) + carried.before("unanswered"),
            descriptors_need=files.get("need"),
            descriptors_limit=files.get("limit"),
        )

    def _clusters(self) -> dict[str, ClusterStatus]:
        found: dict[str, ClusterStatus] = {}
        for name, carried in self._of_role("reflector"):
            for cluster, c in sorted(map_at(carried.latest, "clusters").items()):
                known = found.get(cluster, ClusterStatus())
                reads = known.reads + int(c.get("reads") or 0) + carried.before("clusters", cluster, "reads")
                said = c if self._readiness.is_heard(name) else {}
                found[cluster] = ClusterStatus(
                    id=known.id or str(said.get("id") or ""),
                    warning=known.warning or str(said.get("warning") or ""),
                    error=known.error or str(said.get("error") or ""),
                    reads=reads,
                )
        return found

    def _unready(self, informers: dict[str, InformerStatus], groups: dict[str, GroupStatus]) -> list[str]:
        lines = self.not_synced()
        lines += [
            f"{name}: the API server was last heard {i.proof_s_ago or 0:.0f} s ago"
            for name, i in informers.items()
            if i.synced and not i.fresh
        ]
        return lines

    def _stream_statuses(self, wall_us: int) -> dict[str, StreamStatus]:
        streams: dict[str, StreamStatus] = {}
        for name, carried in self._of_role("reflector"):
            for stream, s in sorted(map_at(carried.latest, "streams").items()):

                def total(
                    counter: str, s: dict[str, Any] = s, stream: str = stream, c: Carried = carried
                ) -> int:
                    return int(s.get(counter) or 0) + c.before("streams", stream, counter)

                is_heard = self._readiness.is_heard(name)
                streams[stream] = StreamStatus(
                    reflector=name,
                    state=str(s.get("state", "")) if is_heard else "unknown",
                    watching=is_heard and bool(s.get("watching")),
                    version=str(s.get("version") or ""),
                    error=str(s.get("error") or ""),
                    error_code=str(s.get("error_code") or ""),
                    retry_in_s=s.get("retry_in_s"),
                    lists=total("lists"),
                    watches=total("watches"),
                    events=total("events"),
                    bytes=total("bytes"),
                    refused=total("refused") + total("unsupported"),
                    progress_s_ago=seconds_ago(s.get("last_progress_at"), wall_us),
                )
        return streams

    def _informer(self, name: str, streams: dict[str, StreamStatus], wall_us: int) -> InformerStatus:
        claim = self._readiness.informer(name)
        is_broker_heard = self._readiness.is_heard(BROKER)
        shards: dict[str, dict[str, Any]] = {}
        lags = []
        errors = []
        warnings = []
        for _, carried in self._of_role("informer"):
            mine = map_at(carried.latest, "informers", name)
            errors.append(str(mine.get("error") or ""))
            warnings.append(str(mine.get("warning") or ""))
            shards.update(map_at(mine, "shards"))
            pids = {pid for shard in map_at(mine, "shards").values() for pid in shard.get("pinned_by") or ()}
            warnings += [
                f"process {pid} holds an old state of the cache, which grows" for pid in sorted(pids)
            ]
            if mine.get("lag_ms") is not None:
                lags.append(float(mine["lag_ms"]))
        own = [s for key, s in streams.items() if key.rpartition("@")[0] == name]
        progress = [s.progress_s_ago for s in own if s.progress_s_ago is not None]
        return InformerStatus(
            synced=claim.is_synced,
            fresh=claim.is_synced and wall_us < claim.stale_us,
            as_of=claim.as_of_us,
            proof_s_ago=seconds_ago(claim.proof_us, wall_us),
            why=claim.why,
            objects=sum(int(s.get("objects") or 0) for s in shards.values()),
            bytes=sum(int(s.get("bytes") or 0) for s in shards.values()),
            published=self._sum("fifo", "informers", name, "published"),
            applied=self._sum("informer", "informers", name, "applied"),
            events_per_s=round(self._rates[name].per_s(), 1),
            depth=self._sum("fifo", "informers", name, "depth") if is_broker_heard else None,
            leased=self._sum("fifo", "informers", name, "leased") if is_broker_heard else None,
            blocked_streams=length(self._first("fifo", "informers", name, "blocked_streams")),
            lag_ms=max(lags, default=None),
            warning="; ".join(dict.fromkeys(filter(None, warnings))),
            error=max(errors, default=""),
            # The slowest stream: an informer is as fresh as its oldest part.
            progress_s_ago=max(progress, default=None),
        )

    def _depth(self, informer: str) -> int | None:
        """What waits in the broker, or was taken out and is not stored; None where that is not known."""
        if not self._readiness.is_heard(BROKER):
            return None
        return self._sum("fifo", "informers", informer, "depth") + self._sum(
            "fifo", "informers", informer, "leased"
        )

    def pending(self, name: str) -> int | None:
        """What a group has still to acknowledge, from the broker on. Zero only as of a time that is proven."""
        watched = self._shape.groups[name].informers
        waiting = [self._depth(informer) for informer in watched]
        if not self._readiness.is_pending_known(name) or None in waiting:
            return None
        pending = sum(depth or 0 for depth in waiting)
        pending += sum(self._sum("informer", "groups", name, informer, "pending") for informer in watched)
        return pending if pending or self._readiness.group(name).as_of_us is not None else None

    def _group(self, name: str, informers: dict[str, InformerStatus]) -> GroupStatus:
        watched = self._shape.groups[name].informers
        claim = Claim() if self._shape.groups[name].is_off else self._readiness.group(name)
        is_known = self._readiness.is_pending_known(name)

        def total(field: str) -> int:
            return sum(self._sum("informer", "groups", name, informer, field) for informer in watched)

        reports = [
            map_at(carried.latest, "groups", name, informer)
            for _, carried in self._of_role("informer")
            for informer in watched
            if name in map_at(carried.latest, "groups")
        ]
        known = [r for r in reports if r]
        handlers = [c for _, c in self._of_role("handler") if c.latest.get("group") == name]
        lags = [map_at(c.latest, "lag_ms") for c in handlers]
        p50s = [(float(lag["p50"]), int(lag.get("count") or 1)) for lag in lags if lag.get("p50") is not None]
        p99s = [float(lag["p99"]) for lag in lags if lag.get("p99") is not None]
        return GroupStatus(
            off=self._shape.groups[name].is_off,
            informers=list(watched),
            clusters=self._readiness.by_cluster(name, {n for n, i in informers.items() if i.fresh}),
            ready=claim.is_synced and all(i.fresh for n, i in informers.items() if n in watched),
            synced=claim.is_synced,
            as_of=claim.as_of_us,
            why=claim.why,
            wanted=self._shape.groups[name].wanted,
            replicas=len({str(replica) for r in known for replica in r.get("replicas") or ()}),
            delivered=total("delivered"),
            acknowledged=total("acknowledged"),
            pending=self.pending(name),
            in_flight=total("in_flight") if is_known else None,
            retry=total("retry") if is_known else None,
            dead=total("dead") if is_known else None,
            coalesced=total("coalesced"),
            filtered=total("filtered"),
            filter=filters_of(name, [c.latest for _, c in self._of_role("informer")]),
            gaps=total("gaps"),
            failed=sum(int(c.latest.get("failed") or 0) + c.before("failed") for c in handlers),
            last_error=newest_error([c.latest for c in handlers]),
            lag_p50_ms=weighted_median(p50s),
            lag_p99_ms=max(p99s, default=None),
        )

    def _of_role(self, role: str) -> list[tuple[str, Carried]]:
        return [(name, carried) for name, (r, carried) in self._roles.items() if r == role]

    def _sum(self, role: str, *path: str) -> int:
        """A number over all processes of a role; of a counter, with what earlier lives had counted."""
        return sum(
            int(map_at(carried.latest, *path[:-1]).get(path[-1]) or 0) + carried.before(*path)
            for _, carried in self._of_role(role)
        )

    def _first(self, role: str, *path: str) -> Any:
        for _, carried in self._of_role(role):
            return map_at(carried.latest, *path[:-1]).get(path[-1])
        return None
