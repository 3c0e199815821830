"""The end of a run: as one JSON object, and as a few lines."""

from typing import Any

from deltawire.cli.supervisor.status_types import GroupStatus, Snapshot
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
                "retry": g.retry,
                "off": g.off,
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
        waits = [line for name, g in snapshot.groups.items() for line in _waits(name, g)]
        said = "every other handler" if len(waits) < len(snapshot.groups) else "no handler"
        lines += waits
        lines.append(
            f"every cache equals the API server, {said if waits else 'every handler'} has acknowledged everything"
        )
    return lines


def _waits(name: str, group: GroupStatus) -> list[str]:
    """What waits for a group though nothing is wrong: it is off, or the time of a retry has not come."""
    found = []
    if group.off and group.pending != 0:
        number = "it is not known how many" if group.pending is None else str(group.pending)
        found.append(f"{number} events wait, since it is off: 0 replicas (`deltawire handlers scale {name} 1`)")
    if group.retry:
        found.append(f"{plural(group.retry, 'event')} will be tried again (`deltawire status` has the last error)")
    return [f"  {name}: {'; '.join(found)}"] if found else []
