"""``deltawire status`` as text: tables that `grep` and `awk` can read."""

from pathlib import Path
from typing import Any

from deltawire.cli.output.table import align
from deltawire.cli.stores import cached_resources, clusters_of, open_cache, shards_of
from deltawire.cli.supervisor.kills import describe
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.cli.view.text import clock_time, known, milliseconds, readiness
from deltawire.cli.view.units import format_age, format_bytes


def render(snapshot: Snapshot) -> list[str]:
    """The whole status, and at its end a line for each thing that is wrong."""
    totals = snapshot.totals
    lines = [
        f"{snapshot.state} for {format_age(snapshot.up_s)}, {readiness(snapshot)}, "
        f"{totals.objects} objects, {totals.events_per_s:.0f} events/s, "
        f"lag p50 {milliseconds(snapshot.lag_p50_ms)} p99 {milliseconds(snapshot.lag_p99_ms)}, "
        f"state in {snapshot.store} (durable: {'yes' if snapshot.durable else 'no'})",
    ]
    for table in (_processes(snapshot), _streams(snapshot), _informers(snapshot), _groups(snapshot)):
        lines += ["", *align(table)]
    if snapshot.kills:
        lines += ["", *(describe(name, kill) for name, kill in snapshot.kills.items())]
    if snapshot.unready:
        lines += ["", *(f"NOT READY {line}" for line in snapshot.unready)]
    if snapshot.errors:
        lines += ["", *(f"ERROR {error}" for error in snapshot.errors)]
    return lines


def _processes(snapshot: Snapshot) -> list[list[str]]:
    return [
        ["PROCESS", "ROLE", "STATE", "PID", "RESTARTS", "MEMORY", "CPU", "LAST END"],
        *(
            [
                name,
                p.role,
                p.state,
                str(p.pid or "-"),
                str(p.restarts),
                f"{p.rss_mb:.0f}MB",
                f"{p.cpu_s:.1f}s",
                p.last_end or "-",
            ]
            for name, p in snapshot.processes.items()
        ),
    ]


def _streams(snapshot: Snapshot) -> list[list[str]]:
    return [
        ["STREAM", "REFLECTOR", "STATE", "VERSION", "LISTS", "WATCHES", "EVENTS", "PROGRESS", "ERROR"],
        *(
            [
                name,
                s.reflector,
                s.state if s.retry_in_s is None else f"{s.state} {s.retry_in_s:.1f}s",
                s.version or "-",
                str(s.lists),
                str(s.watches),
                str(s.events),
                "-" if s.progress_s_ago is None else f"{s.progress_s_ago:.1f}s ago",
                s.error or "-",
            ]
            for name, s in snapshot.streams.items()
        ),
    ]


def _informers(snapshot: Snapshot) -> list[list[str]]:
    return [
        ["INFORMER", "SYNCED", "FRESH", "AS OF", "OBJECTS", "SIZE", "PUBLISHED", "APPLIED", "QUEUED", "LAG"],
        *(
            [
                name,
                "yes" if i.synced else "no",
                "yes" if i.fresh else "no",
                clock_time(i.as_of),
                str(i.objects),
                format_bytes(i.bytes),
                str(i.published),
                str(i.applied),
                known(i.depth),
                milliseconds(i.lag_ms),
            ]
            for name, i in snapshot.informers.items()
        ),
    ]


def _groups(snapshot: Snapshot) -> list[list[str]]:
    return [
        [
            *("HANDLER", "SYNCED", "AS OF", "REPLICAS", "DELIVERED", "ACKNOWLEDGED", "PENDING", "RETRY"),
            *("DEAD", "LAG P99"),
        ],
        *(
            [
                name,
                "off" if g.off else "yes" if g.synced else "no",
                clock_time(g.as_of),
                str(g.replicas),
                str(g.delivered),
                str(g.acknowledged),
                known(g.pending),
                known(g.retry),
                known(g.dead),
                milliseconds(g.lag_p99_ms),
            ]
            for name, g in snapshot.groups.items()
        ),
    ]


def stored(store_dir: Path) -> list[dict[str, Any]]:
    """What a state folder holds: a map for each cache."""
    shards = shards_of(store_dir)
    found: list[dict[str, Any]] = []
    for cluster in clusters_of(store_dir):
        for resource in cached_resources(store_dir, cluster):
            cache = open_cache(store_dir, cluster, resource, shards)
            if cache is None:
                continue
            with cache:
                freshness = cache.freshness()
                found.append(
                    {
                        "cluster": cluster,
                        "resource": resource,
                        "objects": cache.count(),
                        "synced": all(s.synced for f in freshness for s in f.streams.values()),
                        "committed_at": max((f.committed_at for f in freshness), default=0),
                    }
                )
    return found


def stored_lines(store_dir: Path, caches: list[dict[str, Any]]) -> list[str]:
    """`stored` as text."""
    if not caches:
        return [f"{store_dir} holds no caches"]
    rows = [["CACHE", "SYNCED", "OBJECTS"]]
    rows += [
        [f"{c['cluster']}/{c['resource']}", "yes" if c["synced"] else "no", str(c["objects"])] for c in caches
    ]
    return ["", *align(rows)]
