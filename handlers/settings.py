"""How a group is run: the config's word first, then the plug-in's, then the defaults.

Not here: what the group watches (``api``, ``loader``).
"""

from dataclasses import dataclass
from typing import Any

from deltawire.common.config.schema import HandlerProcess
from deltawire.common.meta.units import parse_bytes, parse_duration_s
from deltawire.handlers.api import Handler
from deltawire.handlers.pace import Pace

WORKERS = 4
# 16 failures take five and a half minutes at 5 ms · 2^n; then a person should look.
ATTEMPTS_MAX = 16
DEADLINE_S = 300.0


@dataclass(frozen=True, slots=True)
class Settings:
    """A group's settings, all known. ``window`` keys and ``window_bytes`` may be in flight per replica."""

    name: str
    delivery: str
    workers: int
    resync_s: float
    deadline_s: float
    attempts_max: int
    window: int
    window_bytes: int
    # Updates bring the object as it was before.
    wants_old: bool = True
    # Calls that may begin in a second in one process, and at once; None = no limit, and what a second brings.
    rate_per_s: float | None = None
    burst: int | None = None

    def pace(self, now_s: float) -> Pace | None:
        """What keeps calls to their rate; None where there is none."""
        return None if self.rate_per_s is None else Pace(self.rate_per_s, self.burst, now_s)


def settle(options: HandlerProcess, handler: Handler | None) -> Settings:
    """The settings of a process of the config; ``handler`` is its plug-in's, None for a command."""

    def of_plugin(name: str) -> Any:
        return None if handler is None else getattr(handler, name)

    return Settings(
        name=options.name,
        delivery=_first(options.delivery, of_plugin("delivery"), "latest"),
        workers=_first(options.workers, of_plugin("workers"), WORKERS),
        resync_s=_first(_seconds(options.resync), of_plugin("resync_s"), 0.0),
        deadline_s=_first(_seconds(options.deadline), of_plugin("deadline_s"), DEADLINE_S),
        attempts_max=_first(options.attempts_max, of_plugin("attempts_max"), ATTEMPTS_MAX),
        window=options.window,
        window_bytes=parse_bytes(options.window_bytes),
        wants_old=handler is None or handler.needs_old,
        rate_per_s=_first(options.rate_per_s, of_plugin("rate_per_s"), 0.0) or None,
        burst=_first(options.burst, of_plugin("burst"), 0) or None,
    )


def _seconds(duration: str | float | None) -> float | None:
    return None if duration is None else parse_duration_s(duration)


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)
