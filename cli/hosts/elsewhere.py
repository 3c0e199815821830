"""What ``deltawire status`` shows of the other hosts: places of workers, and who leads which informer."""

from dataclasses import dataclass
from typing import Any

import msgspec

from deltawire.cli.output.table import align
from deltawire.cli.requests import Supervision
from deltawire.cli.supervisor.standbys import STANDBY
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError
from deltawire.handlers.core import CorePlan


@dataclass(frozen=True, slots=True)
class Hosts:
    """``overview``: None where there is one host only, or, with ``error``, where the servers could not be asked."""

    overview: Any = None
    error: str = ""

    def as_plain(self) -> dict[str, Any]:
        """Fields of the status; none where there is one host only."""
        if self.error:
            return {"places": None, "places_error": self.error}
        return {} if self.overview is None else {"places": msgspec.to_builtins(self.overview.places)}

    def lines(self, snapshot: Snapshot) -> list[str]:
        """Tables and errors, each behind an empty line."""
        lines: list[str] = []
        led = [[name, i.led_by] for name, i in snapshot.informers.items() if i.led_by]
        if led:
            lines += ["", *align([["INFORMER", "LED BY"], *led])]
        if self.error:
            lines += ["", f"ERROR the other hosts' places are not known: {self.error}"]
        elif self.overview is not None:
            from deltawire.cli.view.hosts import place_lines

            lines += ["", *place_lines(self.overview)]
        return lines


def of_this_host_only(plan: Plan) -> str:
    """What is to be said beside an answer of this host's workers where some wait: others have their shards."""
    if isinstance(plan, CorePlan) or plan.config.archive is None:
        return ""
    try:
        with Supervision(plan) as supervision:
            processes = supervision.ask("status").get("processes", {})
    except DeltawireError:
        return ""
    waiting = sorted(name for name, process in processes.items() if process.get("state") == STANDBY)
    if not waiting:
        return ""
    return (
        f"this is of this host only: {', '.join(waiting)} {'waits' if len(waiting) == 1 else 'wait'} here"
        " (`deltawire shards list` says which hosts have the other shards)"
    )


def of_all_hosts(plan: Plan, clock: Clock) -> Hosts:
    """By the servers of the archive, or of the queue, that the config names."""
    if isinstance(plan, CorePlan) or (plan.config.archive is None and plan.nats is None):
        return Hosts()
    # Imported when needed: it brings NATS.
    from deltawire.cli.hosts import overview

    try:
        connection = overview.connect(plan, clock, timeout_s=overview.STATUS_S)
        try:
            return Hosts(overview.look(plan, connection, clock, shards=False))
        finally:
            connection.close()
    except DeltawireError as error:
        return Hosts(error=str(error))
