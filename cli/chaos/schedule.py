"""A seed's schedule: the same actions each time. Pure."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from deltawire.cli.chaos.actions import Action, Kind

Name = TypeVar("Name", bound=str)

# Processes that are killed and stopped, by what the driver calls their kind, with their weights. `supervisor` alone
# leaves its children, which must end by themselves; `command` is the executable that a handler runs.
VICTIMS = {"reflector": 5, "fifo": 4, "worker": 6, "handler": 5, "command": 2, "supervisor": 2}
# What a restart changes.
CHANGES = (
    "workers",
    "reflectors",
    "scope",
    "indexes",
    "add-group",
    "remove-group",
    "rename-group",
    "replicas",
)
# Kind of a fault → (lowest, highest value, most requests).
FAULTS: dict[str, tuple[float, float, int]] = {
    "error": (500, 503, 4),
    "throttle": (1, 1, 2),
    "unauthorized": (0, 0, 2),
    "drop": (0, 0, 3),
    "cut": (1, 20, 4),
    "latency": (0.1, 0.8, 6),
    "no-bookmarks": (0, 0, 3),
}
FAULT_S = 4.0
# The longest SIGSTOP of a process, seconds.
STOP_S_MAX = 6.0
# Mean distance of two actions, and of two restarts of handlers, which are drawn beside the others.
EVERY_S = 1.2
HANDLER_RESTARTS_EVERY_S = 10.0

_WEIGHTS: dict[Kind, int] = {
    Kind.KILL: 46,
    Kind.STOP: 14,
    Kind.KILL_ALL: 5,
    Kind.RESTART: 8,
    Kind.SERVER_KILL: 3,
    Kind.SERVER_RESTART: 2,
    Kind.SERVER_STOP: 3,
    Kind.COMPACT: 4,
    Kind.COMPACT_BEHIND: 4,
    Kind.CUT: 5,
    Kind.FAULT: 5,
    Kind.FORBID: 1,
}


def schedule(seed: int, for_s: float, *, stop_s_max: float = STOP_S_MAX) -> tuple[Action, ...]:
    """The actions of ``for_s`` seconds. ``stop_s_max``: the longest SIGSTOP of a process, seconds."""
    rng = random.Random(f"schedule {seed}")
    actions = [_of_kind(rng, at_s, kind, stop_s_max) for at_s, kind in drawn(rng, for_s, EVERY_S, _WEIGHTS)]
    return tuple(sorted([*actions, *_handler_restarts(seed, for_s)], key=lambda action: action.at_s))


def drawn(
    rng: random.Random, for_s: float, every_s: float, weights: Mapping[Kind, int]
) -> Iterator[tuple[float, Kind]]:
    """Instants and kinds of actions. What an action is may be drawn from ``rng``, too, before the next one."""
    at_s = rng.uniform(0.2, every_s)
    while at_s < for_s:
        yield round(at_s, 3), weighted(rng, weights)
        at_s += min(rng.expovariate(1 / every_s), 4 * every_s)


def weighted(rng: random.Random, weights: Mapping[Name, int]) -> Name:
    """One of them."""
    [name] = rng.choices(list(weights), list(weights.values()))
    return name


def _handler_restarts(seed: int, for_s: float) -> Iterator[Action]:
    rng = random.Random(f"handlers {seed}")
    at_s = rng.expovariate(1 / HANDLER_RESTARTS_EVERY_S)
    while at_s < for_s:
        yield Action(
            at_s=round(at_s, 3), kind=Kind.HANDLER_RESTART, target="handler", pick=rng.randrange(1000)
        )
        at_s += rng.expovariate(1 / HANDLER_RESTARTS_EVERY_S)


def kills_and_stops(
    seed: int, kills: int, stops: int, *, stop_s_max: float = STOP_S_MAX
) -> tuple[Action, ...]:
    """So many kills and stops of processes, in any order and as fast as they can be carried out."""
    rng = random.Random(f"kills {seed}")
    kinds = [Kind.KILL] * kills + [Kind.STOP] * stops
    rng.shuffle(kinds)
    return tuple(_of_kind(rng, round(0.4 * i, 3), kind, stop_s_max) for i, kind in enumerate(kinds))


def lasts_s(actions: Sequence[Action]) -> float:
    """How long a run goes on after its start, so that the longest SIGSTOP is as long as it says; seconds."""
    ends = [action.at_s + (action.amount if action.kind is Kind.STOP else 0.0) for action in actions]
    return max(ends, default=0.0)


def fault_query(action: Action) -> dict[str, Any]:
    """What the API server's endpoint for faults is asked for, for an action of this kind."""
    query = {"kind": action.target, "verb": "watch", "count": action.count}
    if action.target in ("error", "throttle", "cut", "latency"):
        query["value"] = action.amount
    return query


def _of_kind(rng: random.Random, at_s: float, kind: Kind, stop_s_max: float) -> Action:
    seconds: Callable[[float, float], float] = lambda low, high: round(rng.uniform(low, high), 2)  # noqa: E731
    pick = rng.randrange(1000)
    match kind:
        case Kind.KILL:
            return Action(at_s=at_s, kind=kind, target=weighted(rng, VICTIMS), pick=pick)
        case Kind.STOP:
            # Half of them are short: no peer counts as gone, and what waits arrives in a burst.
            longest = 1.0 if rng.random() < 0.5 else stop_s_max
            return Action(
                at_s=at_s, kind=kind, target=weighted(rng, VICTIMS), pick=pick, amount=seconds(0.1, longest)
            )
        case Kind.RESTART:
            return Action(at_s=at_s, kind=kind, target=rng.choice(CHANGES), pick=pick)
        case Kind.FAULT:
            name = rng.choice(list(FAULTS))
            low, high, most = FAULTS[name]
            value = seconds(low, high) if name == "latency" else float(rng.randint(int(low), int(high)))
            return Action(at_s=at_s, kind=kind, target=name, amount=value, count=rng.randint(1, most))
        case Kind.KILL_ALL | Kind.SERVER_KILL | Kind.SERVER_RESTART | Kind.SERVER_STOP | Kind.FORBID:
            return Action(at_s=at_s, kind=kind, amount=seconds(0.0, 3.0))
        case _:
            return Action(at_s=at_s, kind=kind)
