"""The end of a run: as one JSON object, and as a few lines."""

from typing import Any

from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.cli.view.text import count, known, milliseconds, plural


def as_json(snapshot: Snapshot) -> dict[str, Any]:
    """The object of ``up --json`` (docs/cli.md). Times are seconds unless the name says ms."""
    totals = snapshot.totals
    return {
        "seconds": round(snapshot.up_s, 1),
        "first_event_s": snapshot.first_event_s,
        "objects": totals.objects,
        "events": {
            "published": totals.published,
            "delivered": totals.delivered,
            "acknowledged": totals.acknowledged,
        },
        "lag_ms": {"p50": snapshot.lag_p50_ms, "p99": snapshot.lag_p99_ms},
        "restarts": totals.restarts,
        "synced": snapshot.synced,
        "ready": snapshot.ready,
        "fresh": snapshot.fresh,
        "as_of": snapshot.as_of,
        "handlers": {
            name: {
                "delivered": g.delivered,
                "acknowledged": g.acknowledged,
                "pending": g.pending,
                "dead": g.dead,
                "as_of": g.as_of,
            }
            for name, g in snapshot.groups.items()
        },
        "processes": {
            name: {"pid": p.pid, "restarts": p.restarts, "rss_mb": p.rss_mb, "cpu_s": p.cpu_s}
            for name, p in snapshot.processes.items()
        },
        "lists": totals.lists,
        "watches": totals.watches,
    }


def as_lines(snapshot: Snapshot, failures: list[str], *, is_checked: bool) -> list[str]:
    """What a person wants to know after a run. ``is_checked``: the caches were compared with the server."""
    totals = snapshot.totals
    first = "none" if snapshot.first_event_s is None else f"{snapshot.first_event_s:.2f} s after the start"
    lines = [
        "",
        f"ran {snapshot.up_s:.1f} s: {count(totals.objects)} objects in "
        f"{plural(len(snapshot.informers), 'informer')}, {totals.published} changes from the API server "
        f"({plural(totals.lists, 'list')}, {plural(totals.watches, 'watch').replace('watchs', 'watches')})",
        f"first event handled: {first}; lag p50 {milliseconds(snapshot.lag_p50_ms)}, "
        f"p99 {milliseconds(snapshot.lag_p99_ms)}; {plural(totals.restarts, 'restart')}",
    ]
    lines += [
        f"  {name}: {g.acknowledged} of {g.delivered} events acknowledged, "
        f"{known(g.pending)} pending, {known(g.dead)} dead"
        for name, g in snapshot.groups.items()
    ]
    if failures:
        lines += [f"FAILED: {failure}" for failure in failures]
    elif is_checked:
        lines.append("every cache equals the API server, every handler has acknowledged everything")
    return lines
