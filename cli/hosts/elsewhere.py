"""What ``deltawire status`` shows of all hosts: places of workers, who leads which informer, whether all is ready."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from deltawire.cli.output.table import align
from deltawire.cli.supervisor.shape import GroupShape
from deltawire.cli.supervisor.standbys import STANDBY
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError
from deltawire.common.store.host import host_of
from deltawire.handlers.core import CorePlan


@dataclass(frozen=True, slots=True)
class Hosts:
    """``overview``: None where there is one host only, or, with ``error``, where the servers could not be asked.
    ``claims``: what holds over all hosts; None where there is one only."""

    overview: Any = None
    claims: Any = None
    error: str = ""

    def is_ready(self, here: bool) -> bool:
        """Over all hosts; where there is one only, as it is itself: ``here``."""
        return here if self.claims is None else bool(self.claims.ready)

    def as_plain(self) -> dict[str, Any]:
        """Fields of the status; none where there is one host only."""
        if self.claims is None:
            return {}
        plain = {"hosts": msgspec.to_builtins(self.claims)}
        if self.error:
            return {**plain, "places": None, "places_error": self.error}
        return {**plain, "places": msgspec.to_builtins(self.overview.places)}

    def lines(self, snapshot: Snapshot) -> list[str]:
        """Tables and errors, each behind an empty line."""
        lines: list[str] = []
        led = [[name, i.led_by] for name, i in snapshot.informers.items() if i.led_by]
        if led:
            lines += ["", *align([["INFORMER", "LED BY"], *led])]
        if self.claims is None:
            return lines
        from deltawire.cli.view.hosts import claim_lines, place_lines, verdict_lines

        if self.error:
            lines += ["", f"ERROR the other hosts' places are not known: {self.error}"]
        else:
            lines += ["", *place_lines(self.overview)]
        if self.claims.informers:
            lines += ["", *claim_lines(self.claims)]
        return [*lines, "", *verdict_lines(self.claims)]


def of_this_host_only(waiting: Iterable[str]) -> str:
    """What is to be said beside an answer of this host's workers where some wait: others have their shards."""
    names = sorted(waiting)
    if not names:
        return ""
    return (
        f"this is of this host only: {', '.join(names)} {'waits' if len(names) == 1 else 'wait'} here"
        " (`deltawire shards list` says which hosts have the other shards)"
    )


def standbys_of(status: Snapshot | str) -> list[str]:
    """Workers that wait for a place, by a status; none where there is no status."""
    if isinstance(status, str):
        return []
    return [name for name, process in status.processes.items() if process.state == STANDBY]


def _groups(here: dict[str, Any]) -> dict[str, GroupShape]:
    """As the supervisor knows them, who has asked plug-ins what they watch."""
    found: dict[str, Any] = here.get("groups") or {}
    return {name: GroupShape(of.get("informers") or [], is_off=bool(of.get("off"))) for name, of in found.items()}


def of_all_hosts(plan: Plan, clock: Clock, here: dict[str, Any]) -> Hosts:
    """By the servers of the archive, or of the queue, that the config names. ``here``: the status of this host."""
    if isinstance(plan, CorePlan) or (plan.config.archive is None and plan.nats is None):
        return Hosts()
    # Imported when needed: it brings NATS.
    from deltawire.cli.hosts import claims, overview

    try:
        connection = overview.connect(plan, clock, timeout_s=overview.STATUS_S)
        try:
            found = overview.look(plan, connection, clock, shards=False, groups=_groups(here))
        finally:
            connection.close()
    except DeltawireError as error:
        return Hosts(claims=claims.unknown("the other hosts' places are not known"), error=str(error))
    if found.hosts is not None:
        return Hosts(found, found.hosts)
    return Hosts(found, claims.by_places(found.places, host_of(plan.store_dir), here))
