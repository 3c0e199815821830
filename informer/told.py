"""What a worker tells other hosts of itself: looked at each beat by the worker, and read by whoever answers a question.

Nothing is sent for it: it is told to who asks. A look costs what a status costs without the sizes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.informer import synctrack
from deltawire.informer.claims import Claims
from deltawire.informer.shared_informer import SharedInformer
from deltawire.informer.status import group_of
from deltawire.jetstream.states import GroupState, InformerState, WorkerState, bounded


@dataclass(frozen=True, slots=True)
class _Looked:
    at_s: float
    state: WorkerState


class Told:
    """`look` in the worker's thread, `state` in any."""

    def __init__(
        self,
        informers: Mapping[str, SharedInformer],
        claims: Claims,
        is_connected: Callable[[], bool],
        *,
        heartbeat_s: float,
        clock: Clock,
    ) -> None:
        """``is_connected``: to the broker."""
        self._informers = informers
        self._claims = claims
        self._is_connected = is_connected
        self._silent_s = SILENT_INTERVALS_MAX * heartbeat_s
        self._clock = clock
        # By informer: what it is complete as of, and since when, monotonic.
        self._reached: dict[str, tuple[int, float]] = {}
        self._looked: _Looked | None = None

    def look(self) -> None:
        now_s, wall_s = self._clock.now_s(), self._clock.wall_s()
        state = WorkerState(
            silent_s=self._silent_s,
            informers={
                name: self._informer(one, now_s, wall_s)
                for name, one in self._informers.items()
                if one.numbers  # none where there are more workers than shards
            },
            groups=self._groups(wall_s),
        )
        self._looked = _Looked(now_s, bounded(state))

    def state(self) -> WorkerState | None:
        """As it was looked at last, with its age; None before the first look."""
        looked = self._looked
        if looked is None:
            return None
        return msgspec.structs.replace(looked.state, age_s=round(self._clock.now_s() - looked.at_s, 3))

    def _informer(self, informer: SharedInformer, now_s: float, wall_s: float) -> InformerState:
        proof = self._claims.of(informer)
        shards = list(informer.shards.values())
        lag_ms = max((shard.lag_ms for shard in shards), default=0.0)
        why = self._why(informer)
        if proof is None:
            self._reached.pop(informer.name, None)
            return InformerState(why=why or "nothing of it was proven yet", lag_ms=lag_ms)
        reached = self._reached.get(informer.name)
        if reached is None or reached[0] != proof.as_of_us:
            reached = self._reached[informer.name] = (proof.as_of_us, now_s)
        still_s = round(now_s - reached[1], 3)
        if not why and still_s > self._silent_s:
            why = (
                f"nothing new of it was proven for {still_s:.0f} s: a stream that is not watched, its reflector,"
                " the broker, the queue, or a backlog"
            )
        return InformerState(
            why=why,
            fresh=not why and wall_s * 1e6 < proof.stale_us,
            behind_s=_age_s(proof.as_of_us, wall_s),
            still_s=still_s,
            lag_ms=lag_ms,
        )

    def _why(self, informer: SharedInformer) -> str:
        shards = list(informer.shards.values())
        if informer.error:
            return informer.error
        if len(shards) != len(informer.numbers):
            return "its cache is not open"
        if not self._is_connected():
            return "the worker has no connection to the broker"
        if not synctrack.listed(shards):
            return "it was not listed yet"
        return "" if synctrack.stored(shards) else "it is being listed again"

    def _groups(self, wall_s: float) -> dict[str, dict[str, GroupState]]:
        found: dict[str, dict[str, GroupState]] = {}
        for name, informer in self._informers.items():
            shards = list(informer.shards.values())
            for group in sorted({group for shard in shards for group in shard.groups}):
                synced, pending, replicas = group_of(shards, group)
                handled_us = self._claims.handled_us(informer, group)
                found.setdefault(group, {})[name] = GroupState(
                    synced=synced,
                    behind_s=_age_s(handled_us, wall_s) if handled_us else None,
                    pending=pending,
                    replicas=replicas,
                )
        return found


def _age_s(at_us: int, wall_s: float) -> float:
    """Of another host's instant; one that is still to come is of no age."""
    return round(max(0.0, wall_s - at_us / 1e6), 3)
