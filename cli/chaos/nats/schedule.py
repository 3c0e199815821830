"""A seed's schedule for two hosts and three NATS servers: the same actions each time. Pure."""

import random

from deltawire.cli.chaos.actions import Action, Kind
from deltawire.cli.chaos.schedule import drawn, weighted

# Processes that are killed and stopped, by kind, with their weights.
VICTIMS = {"reflector": 4, "fifo": 6, "worker": 8, "handler": 4, "command": 2}
# Mean distance of two actions.
EVERY_S = 1.6
# A lease ends 6 s after its holder was heard last: about half of the stops and partitions are longer.
AWAY_S_MAX = 12.0
HELD = ("held", "held-there", "held-back", "refused", "slow")
SLOW_S = (0.02, 0.4)

_WEIGHTS: dict[Kind, int] = {
    Kind.KILL: 30,
    Kind.STOP: 14,
    Kind.KILL_ALL: 3,
    Kind.HOST_KILL: 4,
    Kind.HOST_LOSS: 4,
    Kind.NATS_KILL: 9,
    Kind.NATS_STOP: 9,
    Kind.NATS_KILL_ALL: 2,
    Kind.NATS_WIPE: 3,
    Kind.PARTITION: 16,
    Kind.SERVER_KILL: 2,
    Kind.SERVER_STOP: 2,
    Kind.COMPACT_BEHIND: 2,
    Kind.CUT: 3,
}


def schedule(seed: int, for_s: float, *, stop_s_max: float = AWAY_S_MAX) -> tuple[Action, ...]:
    """The actions of ``for_s`` seconds. ``stop_s_max``: the longest SIGSTOP or partition, seconds."""
    rng = random.Random(f"nats {seed}")
    return tuple(_of_kind(rng, at_s, kind, stop_s_max) for at_s, kind in drawn(rng, for_s, EVERY_S, _WEIGHTS))


def _of_kind(rng: random.Random, at_s: float, kind: Kind, stop_s_max: float) -> Action:
    pick = rng.randrange(1000)
    short = round(rng.uniform(0.1, 3.0), 2)
    # Half of them are short: no peer counts as gone, and what waits arrives in a burst.
    away = round(rng.uniform(0.1, 2.0 if rng.random() < 0.5 else stop_s_max), 2)
    match kind:
        case Kind.KILL:
            return Action(at_s=at_s, kind=kind, target=weighted(rng, VICTIMS), pick=pick)
        case Kind.STOP:
            return Action(at_s=at_s, kind=kind, target=weighted(rng, VICTIMS), pick=pick, amount=away)
        case Kind.PARTITION:
            return Action(
                at_s=at_s, kind=kind, target=_ends(rng), pick=pick, amount=away, mode=rng.choice(HELD)
            )
        case Kind.HOST_KILL | Kind.HOST_LOSS | Kind.NATS_KILL | Kind.NATS_STOP | Kind.NATS_WIPE:
            return Action(at_s=at_s, kind=kind, pick=pick, amount=away)
        case Kind.KILL_ALL | Kind.NATS_KILL_ALL | Kind.SERVER_KILL | Kind.SERVER_STOP:
            return Action(at_s=at_s, kind=kind, amount=short)
        case _:
            return Action(at_s=at_s, kind=kind)


def _ends(rng: random.Random) -> str:
    """One end, which is cut off from all NATS servers, or two: ``host-0``, ``host-1>nats-2``, ``nats-0>nats-1``."""
    server, other = rng.sample(range(3), 2)
    host = rng.randrange(2)
    return rng.choice(
        (f"host-{host}", f"nats-{server}", f"host-{host}>nats-{server}", f"nats-{server}>nats-{other}")
    )
