"""The parts of a pipeline: the processes whose reports an informer's or a group's readiness needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deltawire.common.config.plan import Plan

BROKER = "fifo"


@dataclass(frozen=True, slots=True)
class GroupShape:
    """The informers that a group gets events of. ``is_off``: it has no replicas, by the config.

    ``wanted``: as many replicas as there are to be.
    """

    informers: Sequence[str]
    is_off: bool = False
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """``informers``: name → stream → the reflector's process. ``workers``: the worker's process of each shard."""

    informers: Mapping[str, Mapping[str, str]]
    workers: Sequence[str]
    groups: Mapping[str, GroupShape]

    def shards_of(self, worker: str) -> list[int]:
        return [shard for shard, owner in enumerate(self.workers) if owner == worker]


def shape_of(plan: Plan, wanted: Mapping[str, int] | None = None) -> Shape:
    """As the roles themselves derive it from the config. ``wanted``: replicas of groups that have more or fewer now."""
    informers: dict[str, dict[str, str]] = {name: {} for name in plan.informers}
    for index in range(plan.config.runtime.reflectors):
        for informer, stream in plan.streams_of_reflector(index):
            informers[informer][stream] = f"reflector-{index}"
    groups = {
        name: GroupShape(
            handler.informers, is_off=not handler.replicas, wanted=(wanted or {}).get(name, handler.replicas)
        )
        for name, handler in plan.handlers.items()
    }
    return Shape(informers, [f"worker-{owner}" for owner in plan.shard_owners], groups)
