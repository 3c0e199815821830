"""Workers that wait for a place which another host has (docs/nats.md): what they report, in words. Pure."""

from collections.abc import Mapping
from typing import Any

from deltawire.cli.supervisor.report_maps import map_at
from deltawire.jetstream.hosts import words_for

STANDBY = "standby"


def owner_words(report: Mapping[str, Any]) -> str:
    """Who has the shards of a worker that waits; "" of one that does not."""
    if not isinstance(report.get(STANDBY), dict):
        return ""
    said = map_at(dict(report), STANDBY)
    if said.get("waits_for"):
        return (
            f"its archive is new: host {said['waits_for']}, which had its shards last, is waited for"
            f" ({said.get('left_s') or 0} s more; `deltawire shards move --anew` begins without it)"
        )
    if said.get("problem"):
        return f"it is not known which host has its shards: {said['problem']}"
    if said.get("host"):
        return f"host {words_for(str(said['host']), str(said.get('node') or ''))} has its shards"
    return "no host has its shards"


def has_owner(report: Mapping[str, Any]) -> bool:
    """True unless it waits, and no other host is known to have the place."""
    said = map_at(dict(report), STANDBY)
    return not owner_words(report) or bool(said.get("host") and not said.get("problem"))
