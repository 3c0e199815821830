"""The one status model: merges what the roles report into a `Snapshot`. Pure.

Not here: the reports (`reported`), what is said of each part (`summaries`), what may be claimed (`readiness`).
"""

from typing import Any

from deltawire.cli.supervisor.counters import Rate
from deltawire.cli.supervisor.readiness import Readiness
from deltawire.cli.supervisor.reported import Reported
from deltawire.cli.supervisor.shape import BROKER, Shape
from deltawire.cli.supervisor.standbys import has_owner, owner_words
from deltawire.cli.supervisor.status_types import (
    GroupStatus,
    InformerStatus,
    KillStatus,
    ProcessStatus,
    Snapshot,
    Totals,
)
from deltawire.cli.supervisor.summaries import Summaries

_US = 1_000_000


class StatusModel:
    """The merged status of a pipeline of this shape: figures and readiness.

    ``silent_s``: a process whose last report is older counts as silent. ``started_us``: the start in µs since 1970.
    """

    def __init__(self, shape: Shape, *, silent_s: float, started_us: int = 0) -> None:
        self._shape = shape
        self._started_us = started_us
        self._reported = Reported()
        self._rates: dict[str, Rate] = {name: Rate() for name in shape.informers}
        self._first_event_s: float | None = None
        self._was_ready = False
        self._readiness = Readiness(shape, silent_s=silent_s, wall_us=started_us)
        self._parts = Summaries(shape, self._reported, self._readiness)

    # -- events

    def reshape(self, shape: Shape) -> None:
        """The pipeline has other informers or groups from now on; what is known of the rest stays."""
        self._shape = self._parts.shape = shape
        self._rates = {name: self._rates.get(name) or Rate() for name in shape.informers}
        self._readiness.reshape(shape)

    def on_status(self, name: str, report: dict[str, Any], now_s: float, wall_us: int) -> None:
        """A role's `status` message, at the monotonic instant ``now_s``; ``wall_us``: the same in µs since 1970."""
        role = self._reported.take(name, report, now_s)
        self._readiness.on_report(name, int(report.get("pid", 0)), report, now_s, wall_us)
        if role == "fifo":
            for informer in self._rates:
                self._rates[informer].take(now_s, self._reported.sum("fifo", "informers", informer, "published"))
        first_us = report.get("first_ended_at")
        if isinstance(first_us, int) and first_us >= self._started_us > 0:
            at_s = (first_us - self._started_us) / _US
            self._first_event_s = min(at_s, at_s if self._first_event_s is None else self._first_event_s)

    def on_gone(self, name: str, wall_us: int) -> None:
        """The process has ended, or its connection has."""
        if name in self._reported:
            self._readiness.on_gone(name, wall_us)

    def tick(self, now_s: float, wall_us: int) -> None:
        """Find processes that fell silent. Call before waiting messages are taken, and before anything is read."""
        self._readiness.tick(now_s, wall_us)

    # -- what is known

    def reported_since(self, since_s: float, role: str) -> bool:
        """True if every known process of ``role`` has reported after ``since_s``."""
        return self._reported.since(since_s, role)

    def have_all_reported_since(self, since_s: float) -> bool:
        """As `reported_since`, for every role that a pipeline has."""
        is_any_group = any(not group.is_off for group in self._shape.groups.values())
        roles = ["reflector", "fifo", "informer", *(["handler"] if is_any_group else [])]
        return all(self.reported_since(since_s, role) for role in roles)

    def are_queues_empty(self) -> bool:
        """Nothing waits before the workers, nothing in a group, as last reported; False where that is not known."""
        known = [self._parts.depth(name) for name in self._shape.informers]
        pending = [self._parts.pending(name) for name, group in self._shape.groups.items() if not group.is_off]
        return all(number == 0 for number in (*known, *pending))

    def is_heard(self, name: str) -> bool:
        """True if the process lives and has reported of late."""
        return self._readiness.is_heard(name)

    def turns(self, name: str) -> int:
        """How often the main loop of a process has turned, as last reported."""
        return self._reported.turns(name)

    def usage(self, name: str, pid: int) -> tuple[float, float] | None:
        """(resident MB, CPU seconds) as last reported by this life of a process that is heard; None: not known."""
        latest = self._reported.latest(name)
        if latest.get("pid") != pid or not self.is_heard(name):
            return None
        return float(latest.get("rss_mb") or 0), float(latest.get("cpu_s") or 0)

    def rejected(self, name: str) -> int:
        """What a process has rejected in its present life, as last reported."""
        return self._reported.rejected(name)

    def pending(self, name: str) -> int | None:
        """What a group has still to acknowledge (`Summaries.pending`)."""
        return self._parts.pending(name)

    def unfinished(self) -> list[tuple[str, int | None, int | None]]:
        """(group, pending, dead) of each group that has either, or of which it is not known (None)."""
        found = []
        for name, shape in self._shape.groups.items():
            group = self._parts.group(name, {})
            if not shape.is_off and (group.pending != 0 or group.dead != 0):
                found.append((name, group.pending, group.dead))
        return found

    def not_synced(self) -> list[str]:
        """A line for each informer and each group that is not synced, with why."""
        claims = [(name, self._readiness.informer(name)) for name in self._shape.informers]
        claims += [(n, self._readiness.group(n)) for n, g in self._shape.groups.items() if not g.is_off]
        return [f"{name}: {claim.why}" for name, claim in claims if not claim.is_synced]

    @property
    def standbys(self) -> set[str]:
        """Workers whose shards another host has."""
        return {name for name in self._shape.workers if owner_words(self._readiness.report_of(name))}

    def core_faults(self) -> list[str]:
        """A line for each reflector, broker or worker that does not report, each cache that cannot be used, and each
        standby whose shards no other host is known to have."""
        owners = {owner for streams in self._shape.informers.values() for owner in streams.values()}
        names = dict.fromkeys([*sorted(owners), BROKER, *self._shape.workers])
        faults = [f"{name} is not heard" for name in names if not self._readiness.is_heard(name)]
        reports = {name: self._readiness.report_of(name) for name in names}
        faults += [f"{name} waits: {owner_words(said)}" for name, said in reports.items() if not has_owner(said)]
        for name in self._shape.informers:
            error = self._parts.error(name)
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
        connections_refused: int = 0,
        server: str = "",
        store: str = "",
        durable: bool = True,
    ) -> Snapshot:
        """Everything now, ``up_s`` seconds after the start. ``wall_us`` is µs since 1970, as the roles' time stamps.

        ``state`` "": starting until all was ready once, then running.
        """
        streams = self._parts.streams(wall_us)
        informers = {
            name: self._parts.informer(name, streams, wall_us, self._rates[name].per_s())
            for name in self._shape.informers
        }
        groups = {name: self._parts.group(name, informers) for name in self._shape.groups}
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
            processes={name: self._parts.process(name, process) for name, process in processes.items()},
            streams=streams,
            informers=informers,
            groups=groups,
            clusters=self._parts.clusters(),
            kills=kills,
            rejected=rejected,
            unanswered=unanswered,
            connections_refused=connections_refused,
            server=server,
            store=store,
            durable=durable,
        )

    # -- inside

    def _unready(self, informers: dict[str, InformerStatus], groups: dict[str, GroupStatus]) -> list[str]:
        lines = [f"{name}: {i.why}" for name, i in informers.items() if not i.synced]
        lines += [f"{name}: {g.why}" for name, g in groups.items() if not (g.synced or g.off)]
        lines += [
            f"{name}: the API server was last heard {i.proof_s_ago or 0:.0f} s ago"
            for name, i in informers.items()
            if i.synced and not i.fresh
        ]
        return lines
