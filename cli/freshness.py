"""How fresh a cache is, for commands that read it: what `status` says of it, in a few words."""

from collections.abc import Callable

import msgspec

from deltawire.cli.requests import NotRunning, Supervision
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.cli.view.text import clock_time
from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError

# A command that goes on printing asks again so often.
ASK_EVERY_S = 2.0
NOBODY = "unknown: nothing runs, so it may be out of date"


def ask(plan: Plan) -> Snapshot | str:
    """The status now, or why there is none."""
    try:
        with Supervision(plan) as supervision:
            return msgspec.convert(supervision.ask("status"), Snapshot)
    except NotRunning as error:
        return NOBODY if error.is_free else f"unknown: {error}"
    except DeltawireError as error:
        return f"unknown: {error}"


def words(status: Snapshot | str, informer: str) -> str:
    """``as of 14:02:11, fresh``, ``as of 14:02:11, not fresh: last proof 21 s ago`` or ``unknown: …``."""
    if isinstance(status, str):
        return status
    found = status.informers.get(informer)
    if found is None:
        return "unknown: no informer that runs keeps it"
    if not found.synced:
        return f"unknown: {found.why or 'it is not synced'}"
    as_of = f"as of {clock_time(found.as_of)}"
    if found.fresh:
        return f"{as_of}, fresh"
    return f"{as_of}, not fresh: last proof {found.proof_s_ago or 0:.0f} s ago"


class FreshnessWatch:
    """For a command that goes on: says when what it shows becomes fresh, or is it no more. ``say`` prints a line."""

    def __init__(self, plan: Plan, informer: str, said: str, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._informer = informer
        self._kind = _kind(said)
        self._say = say
        self._asked_at_s = float("-inf")

    def turn(self, now_s: float) -> None:
        if now_s - self._asked_at_s < ASK_EVERY_S:
            return
        self._asked_at_s = now_s
        said = words(ask(self._plan), self._informer)
        if _kind(said) != self._kind:
            self._kind = _kind(said)
            self._say(f"cache of {self._informer}: {said}")


def _kind(said: str) -> str:
    """Times apart."""
    return said if said.startswith("unknown") else "not fresh" if "not fresh" in said else "fresh"
