"""``deltawire status`` as text: tables that `grep` and `awk` can read."""

from pathlib import Path
from textwrap import wrap
from typing import Any

from deltawire.cli.output.table import align
from deltawire.cli.stores import cached_resources, clusters_of, open_cache, shards_of
from deltawire.cli.supervisor.kill_lines import describe
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.cli.view.text import clock_time, known, milliseconds, readiness
from deltawire.cli.view.units import format_age, format_bytes


def render(snapshot: Snapshot, *, columns: int | None = None) -> list[str]:
    """The whole status, and at its end a line for each thing that is wrong.

    ``columns``: of a terminal. Then a row of a table is cut there, so that each part has one line, what counts most
    in front; other lines are broken between words. Without it nothing is cut.
    """
    totals = snapshot.totals
    head = [
        f"{snapshot.state} for {format_age(snapshot.up_s)}, {readiness(snapshot)}, "
        f"{totals.objects} objects, {totals.events_per_s:.0f} events/s, "
        f"lag p50 {milliseconds(snapshot.lag_p50_ms)} p99 {milliseconds(snapshot.lag_p99_ms)}, "
        f"state in {snapshot.store} (durable: {'yes' if snapshot.durable else 'no'})",
    ]
    if snapshot.descriptors:
        parts = [f"{name} may need {need} of {limit}" for name, need, limit in snapshot.descriptors]
        head.append(f"open files: {', '.join(parts)}")
    lines = _broken(head, columns)
    for table in (_processes(snapshot), _streams(snapshot), _informers(snapshot), _groups(snapshot)):
        lines += ["", *_cut(align(table), columns)]
    for paragraph in (
        [describe(name, kill) for name, kill in snapshot.kills.items()],
        [f"NOT READY {line}" for line in snapshot.unready],
        [f"STANDBY {name}: {p.standby}" for name, p in snapshot.processes.items() if p.standby],
        [f"WARNING {line}" for line in snapshot.warnings],
        [f"LAST FAILURE of {line}" for line in last_failures(snapshot)],
        [f"ERROR {line}" for line in snapshot.errors],
    ):
        if paragraph:
            lines += ["", *_broken(paragraph, columns)]
    return lines


def _cut(lines: list[str], columns: int | None) -> list[str]:
    if columns is None:
        return lines
    return [line if len(line) <= columns else f"{line[: columns - 1]}…" for line in lines]


def _broken(lines: list[str], columns: int | None) -> list[str]:
    if columns is None:
        return lines
    return [part for line in lines for part in wrap(line, columns, subsequent_indent="  ")]


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
    """Errors are long, and stand below."""
    return [
        ["STREAM", "STATE", "VERSION", "PROGRESS", "LISTS", "WATCHES", "EVENTS", "REFLECTOR"],
        *(
            [
                name,
                s.state if s.retry_in_s is None else f"{s.state} {s.retry_in_s:.1f}s",
                s.version or "-",
                "-" if s.progress_s_ago is None else f"{s.progress_s_ago:.1f}s ago",
                str(s.lists),
                str(s.watches),
                str(s.events),
                s.reflector,
            ]
            for name, s in snapshot.streams.items()
        ),
    ]


def _informers(snapshot: Snapshot) -> list[list[str]]:
    return [
        ["INFORMER", "SYNCED", "FRESH", "AS OF", "OBJECTS", "QUEUED", "LAG", "SIZE", "PUBLISHED", "APPLIED"],
        *(
            [
                name,
                "yes" if i.synced else "no",
                "yes" if i.fresh else "no",
                clock_time(i.as_of),
                str(i.objects),
                known(i.depth),
                milliseconds(i.lag_ms),
                format_bytes(i.bytes),
                str(i.published),
                str(i.applied),
            ]
            for name, i in snapshot.informers.items()
        ),
    ]


def _groups(snapshot: Snapshot) -> list[list[str]]:
    return [
        [
            *("HANDLER", "SYNCED", "AS OF", "PENDING", "RETRY", "DEAD", "LAG P99", "REPLICAS", "DELIVERED"),
            "ACKNOWLEDGED",
        ],
        *(
            [
                name,
                "off" if g.off else "yes" if g.synced else "no",
                clock_time(g.as_of),
                known(g.pending),
                known(g.retry),
                known(g.dead),
                milliseconds(g.lag_p99_ms),
                g.replicas_text,
                str(g.delivered),
                str(g.acknowledged),
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


def last_failures(snapshot: Snapshot) -> list[str]:
    """``printer at 14:02:11: default/web, attempt 3: KeyError: 'spec'`` for each group with one."""
    return [
        f"{name} at {clock_time(e.at)}: {e.key}, attempt {e.attempt}: {e.error}"
        for name, group in snapshot.groups.items()
        if (e := group.last_error) is not None
    ]
