"""The status of processes, streams, informers, groups and clusters, out of what the roles report. Pure."""

from typing import Any

import msgspec

from deltawire.cli.supervisor.counters import Carried
from deltawire.cli.supervisor.machine import Phase
from deltawire.cli.supervisor.readiness import Claim, Readiness
from deltawire.cli.supervisor.report_maps import length, map_at, seconds_ago, weighted_median
from deltawire.cli.supervisor.reported import Reported
from deltawire.cli.supervisor.shape import BROKER, Shape
from deltawire.cli.supervisor.standbys import STANDBY, owner_words
from deltawire.cli.supervisor.status_types import (
    ClusterStatus,
    GroupStatus,
    InformerStatus,
    ProcessStatus,
    StreamStatus,
    filters_of,
    newest_error,
)


class Summaries:
    """What is said of each part of a pipeline of this shape. ``shape`` may be set anew."""

    def __init__(self, shape: Shape, reported: Reported, readiness: Readiness) -> None:
        self.shape = shape
        self._reported = reported
        self._readiness = readiness

    def process(self, name: str, process: ProcessStatus) -> ProcessStatus:
        """With what it tells itself. One that is said to be ready and does not report is silent: its beats alone
        prove nothing."""
        if name not in self._reported:
            return process
        carried = self._reported.of(name)
        is_silent = process.state == Phase.READY.value and not self._readiness.is_heard(name)
        files = map_at(carried.latest, "descriptors")
        standby = owner_words(self._readiness.report_of(name)) if process.state == Phase.READY.value else ""
        return msgspec.structs.replace(
            process,
            state=Phase.SILENT.value if is_silent else STANDBY if standby else process.state,
            standby=standby,
            unanswered=int(carried.latest.get("unanswered") or 0) + carried.before("unanswered"),
            connections_refused=int(carried.latest.get("connections_refused") or 0)
            + carried.before("connections_refused"),
            descriptors_need=files.get("need"),
            descriptors_limit=files.get("limit"),
            error=str(map_at(carried.latest, "nats").get("problem") or "") if self._readiness.is_heard(name) else "",
        )

    def clusters(self) -> dict[str, ClusterStatus]:
        found: dict[str, ClusterStatus] = {}
        for name, carried in self._reported.of_role("reflector"):
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

    def streams(self, wall_us: int) -> dict[str, StreamStatus]:
        streams: dict[str, StreamStatus] = {}
        for name, carried in self._reported.of_role("reflector"):
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

    def informer(
        self, name: str, streams: dict[str, StreamStatus], wall_us: int, events_per_s: float
    ) -> InformerStatus:
        """``events_per_s``: that the broker has taken of late."""
        claim = self._readiness.informer(name)
        is_broker_heard = self._readiness.is_heard(BROKER)
        shards: dict[str, dict[str, Any]] = {}
        lags = []
        errors = []
        warnings = []
        for _, carried in self._reported.of_role("informer"):
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
            published=self._reported.sum("fifo", "informers", name, "published"),
            applied=self._reported.sum("informer", "informers", name, "applied"),
            events_per_s=round(events_per_s, 1),
            depth=self._reported.sum("fifo", "informers", name, "depth") if is_broker_heard else None,
            leased=self._reported.sum("fifo", "informers", name, "leased") if is_broker_heard else None,
            blocked_streams=length(self._reported.first("fifo", "informers", name, "blocked_streams")),
            lag_ms=max(lags, default=None),
            warning="; ".join(dict.fromkeys(filter(None, warnings))),
            error=max(errors, default=""),
            led_by=str(map_at(dict(self._readiness.report_of(BROKER)), "nats", "led_by").get(name) or ""),
            # The slowest stream: an informer is as fresh as its oldest part.
            progress_s_ago=max(progress, default=None),
        )

    def error(self, name: str) -> str:
        """Why a worker cannot use its cache of an informer; "" where all can."""
        reports = [map_at(carried.latest, "informers", name) for _, carried in self._reported.of_role("informer")]
        return max((str(mine.get("error") or "") for mine in reports), default="")

    def pending(self, name: str) -> int | None:
        """What a group has still to acknowledge, from the broker on. Zero only as of a time that is proven."""
        return self._pending(name, None)

    def _pending(self, name: str, claim: Claim | None) -> int | None:
        watched = self.shape.groups[name].informers
        waiting = [self.depth(informer) for informer in watched]
        if not self._readiness.is_pending_known(name) or None in waiting:
            return None
        pending = sum(depth or 0 for depth in waiting)
        pending += sum(self._reported.sum("informer", "groups", name, informer, "pending") for informer in watched)
        if not pending and claim is None:
            claim = self._readiness.group(name)
        return pending if pending or (claim is not None and claim.as_of_us is not None) else None

    def group(self, name: str, informers: dict[str, InformerStatus]) -> GroupStatus:
        """``informers``: those of its informers whose status is known."""
        watched = self.shape.groups[name].informers
        claim = Claim() if self.shape.groups[name].is_off else self._readiness.group(name)
        is_known = self._readiness.is_pending_known(name)

        # Looked up once: of many groups each has many figures.
        reports = [
            (map_at(carried.latest, "groups", name, informer), carried, informer)
            for _, carried in self._reported.of_role("informer")
            for informer in watched
        ]

        def total(field: str) -> int:
            return sum(int(r.get(field) or 0) + c.before("groups", name, i, field) for r, c, i in reports)

        known = [r for r, _, _ in reports if r]
        handlers = self._reported.of_group(name)
        lags = [map_at(c.latest, "lag_ms") for c in handlers]
        p50s = [(float(lag["p50"]), int(lag.get("count") or 1)) for lag in lags if lag.get("p50") is not None]
        p99s = [float(lag["p99"]) for lag in lags if lag.get("p99") is not None]
        return GroupStatus(
            off=self.shape.groups[name].is_off,
            informers=list(watched),
            clusters=self._readiness.by_cluster(name, {n for n, i in informers.items() if i.fresh}),
            ready=claim.is_synced and all(i.fresh for n, i in informers.items() if n in watched),
            synced=claim.is_synced,
            as_of=claim.as_of_us,
            why=claim.why,
            wanted=self.shape.groups[name].wanted,
            replicas=len({str(replica) for r in known for replica in r.get("replicas") or ()}),
            delivered=total("delivered"),
            acknowledged=total("acknowledged"),
            pending=self._pending(name, None if self.shape.groups[name].is_off else claim),
            in_flight=total("in_flight") if is_known else None,
            retry=total("retry") if is_known else None,
            dead=total("dead") if is_known else None,
            coalesced=total("coalesced"),
            filtered=total("filtered"),
            filter=filters_of(name, [c.latest for _, c in self._reported.of_role("informer")]),
            gaps=total("gaps"),
            failed=sum(int(c.latest.get("failed") or 0) + c.before("failed") for c in handlers),
            last_error=newest_error([c.latest for c in handlers]),
            lag_p50_ms=weighted_median(p50s),
            lag_p99_ms=max(p99s, default=None),
        )

    def depth(self, informer: str) -> int | None:
        """What waits in the broker, or was taken out and is not stored; None where that is not known."""
        if not self._readiness.is_heard(BROKER):
            return None
        return self._reported.sum("fifo", "informers", informer, "depth") + self._reported.sum(
            "fifo", "informers", informer, "leased"
        )
