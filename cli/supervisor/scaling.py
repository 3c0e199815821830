"""How many replicas a group should have, by what waits for it and the CPU it takes. Pure: figures in, decision out.

More come when the figures have asked for them for `GROW_AFTER_S` without a break, at most twice as many at a time, and
only when all that are there are ready. Fewer stay when the figures would allow it for a whole cool-down, with room to
spare: half of what a replica is meant for. Figures that are not known change nothing.

Not here: where the figures come from (`loads`), starting and ending replicas (`fleet`).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from deltawire.common.config.schema import Scaling
from deltawire.common.meta.units import parse_duration_s

GROW_AFTER_S = 5.0
# A group shrinks only to so many replicas that each has at most this share of what it is meant for.
ROOM = 0.5
# Sums of shares of CPU are not exact.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Load:
    """What a group has to do. None: not known.

    ``backlog``: changes that it has not acknowledged. ``cpu``: cores that a replica takes, on average.
    ``is_settled``: all replicas that are wanted are there and ready.
    """

    backlog: int | None = None
    cpu: float | None = None
    is_settled: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """So many replicas from now on, with the figure that says so."""

    replicas: int
    why: str


@dataclass(slots=True)
class _Wish:
    """What was asked for without a break: the least that would do, the most that was needed."""

    since_s: float
    least: int
    most: int


class Scaler:
    """One group's. Call `look` about once a second."""

    def __init__(self, rule: Scaling) -> None:
        self._rule = rule
        self._cool_down_s = parse_duration_s(rule.cool_down)
        self._more: _Wish | None = None
        self._fewer: _Wish | None = None

    @property
    def rule(self) -> Scaling:
        return self._rule

    def look(self, now_s: float, replicas: int, load: Load) -> Decision | None:
        """``replicas``: as many as are wanted now."""
        bounded = self._bounded(replicas)
        if bounded != replicas:
            return self._decide(bounded, f"the config says {self._rule.min} to {self._rule.max}")
        needed = self._bounded(max(self._needed(replicas, load, 1.0), default=replicas))
        self._more = _lasting(self._more, needed, now_s, is_asked=needed > replicas and load.is_settled)
        if self._more is not None and now_s - self._more.since_s >= GROW_AFTER_S:
            return self._decide(min(self._more.least, 2 * replicas), self._figures(load))
        enough = list(self._needed(replicas, load, ROOM))
        is_all_known = len(enough) == (self._rule.backlog is not None) + (self._rule.cpu is not None)
        spare = self._bounded(max(enough, default=replicas))
        self._fewer = _lasting(self._fewer, spare, now_s, is_asked=is_all_known and spare < replicas)
        if self._fewer is not None and now_s - self._fewer.since_s >= self._cool_down_s:
            return self._decide(self._fewer.most, self._figures(load))
        return None

    def _needed(self, replicas: int, load: Load, share: float) -> Iterable[int]:
        """Replicas by each figure that counts and is known, if each takes ``share`` of what it is meant for."""
        if self._rule.backlog is not None and load.backlog is not None:
            yield math.ceil(load.backlog / (self._rule.backlog * share) - _ROUNDING)
        if self._rule.cpu is not None and load.cpu is not None:
            yield math.ceil(replicas * load.cpu / (self._rule.cpu * share) - _ROUNDING)

    def _bounded(self, replicas: int) -> int:
        return min(max(replicas, self._rule.min), self._rule.max)

    def _decide(self, replicas: int, why: str) -> Decision:
        self._more = self._fewer = None
        return Decision(replicas, why)

    def _figures(self, load: Load) -> str:
        said = []
        if self._rule.backlog is not None and load.backlog is not None:
            said.append(f"{load.backlog} changes wait")
        if self._rule.cpu is not None and load.cpu is not None:
            said.append(f"a replica takes {load.cpu:.2f} cores")
        return ", ".join(said)


def _lasting(wish: _Wish | None, replicas: int, now_s: float, *, is_asked: bool) -> _Wish | None:
    if not is_asked:
        return None
    if wish is None:
        return _Wish(now_s, replicas, replicas)
    return _Wish(wish.since_s, min(wish.least, replicas), max(wish.most, replicas))
