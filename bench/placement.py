"""Where shards lie and how they move when workers come and go: a simulation, seeded, without processes or I/O.

    python bench/placement.py [--workers 1000 --items 20000 --seed 1 --seconds-each 0.75]

An item is a shard with its cache, a worker is one process on some host. Rules that are compared:

deal            the pipeline's own (`common.config.plan.deal`): its rank, no worker above 1.1 times an equal share
even            the same rank, no worker above an equal share
no bound        the same rank
CRC-32          a rank that is no independent draw, without a bound

A worker reads the items that it takes over one after the other, ``seconds-each``.
"""

import argparse
import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

from deltawire.common.meta.keys import rendezvous_rank

Rank = Callable[[str, int], int]
# Workers of highest rank that are kept for each item; where none of them has room all are ranked again.
KEPT = 24


def crc_rank(item: str, owner: int) -> int:
    return crc32(f"{item}\0{owner}".encode())


# Name → rank, and a worker's room in hundredths of an equal share; None: no bound.
RULES: dict[str, tuple[Rank, int | None]] = {
    "deal": (rendezvous_rank, 110),
    "even": (rendezvous_rank, 100),
    "no bound": (rendezvous_rank, None),
    "CRC-32": (crc_rank, None),
}


class Ranks:
    """The workers of an item, best first, among all that ever exist."""

    def __init__(self, rank: Rank, owners_max: int) -> None:
        self._rank = rank
        self._owners = range(owners_max)
        self._kept: dict[str, list[int]] = {}

    def of(self, item: str) -> Iterator[int]:
        if item not in self._kept:
            self._kept[item] = heapq.nlargest(KEPT, self._owners, key=lambda o: self._rank(item, o))
        yield from self._kept[item]
        yield from sorted(self._owners, key=lambda o: self._rank(item, o), reverse=True)[KEPT:]


def place(ranks: Ranks, room: int | None, items: Sequence[str], owners: Sequence[int]) -> dict[str, int]:
    """The worker of each item, in the items' order."""
    count = len(items)
    each = count if room is None else max(math.ceil(count / len(owners)), room * count // (100 * len(owners)))
    left = dict.fromkeys(owners, each)
    found = {}
    for item in items:
        owner = next(o for o in ranks.of(item) if left.get(o))
        left[owner] -= 1
        found[item] = owner
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """The workers after a change, by one rule. ``least``, ``most``: items of a worker. ``moved``: items.

    ``needed``: those whose worker left, or an equal share for the new ones. ``recovery_s``: until the last one is read.
    """

    rule: str
    change: str
    least: int
    most: int
    moved: int = 0
    needed: int = 0
    recovery_s: float = 0.0


def changes(workers: int, seed: int) -> dict[str, list[int]]:
    """The workers after each change, every time from the full set."""
    draw, full = random.Random(seed), list(range(workers))
    few, many = max(2, workers // 100), max(2, workers // 10)
    return {
        "1 leaves": sorted(set(full) - {draw.choice(full)}),
        f"{few} leave": sorted(set(full) - set(draw.sample(full, few))),
        f"{many} leave": sorted(set(full) - set(draw.sample(full, many))),
        "1 more": [*full, workers],
        f"{many} more": [*full, *range(workers, workers + many)],
    }


def simulate(workers: int, items: int, seed: int, each_s: float) -> Iterator[Step]:
    """Each rule through the same changes."""
    names = [f"shard-{number}" for number in range(items)]
    full, after = list(range(workers)), changes(workers, seed)
    by_rank: dict[Rank, Ranks] = {}
    for rule, (rank, room) in RULES.items():
        ranks = by_rank.setdefault(rank, Ranks(rank, 1 + max(map(max, after.values()))))
        before = place(ranks, room, names, full)
        load = Counter(before.values())
        yield Step(rule, f"{workers} workers", min(load[o] for o in full), max(load.values()))
        for change, owners in after.items():
            now = place(ranks, room, names, owners)
            load = Counter(now.values())
            taken = Counter(owner for item, owner in now.items() if before[item] != owner)
            gone, new = set(full) - set(owners), set(owners) - set(full)
            needed = sum(o in gone for o in before.values()) + round(items * len(new) / len(owners))
            recovery_s = max(taken.values(), default=0) * each_s
            least, most = min(load[o] for o in owners), max(load.values())
            yield Step(rule, change, least, most, taken.total(), needed, recovery_s)


def table(steps: Iterable[Step]) -> str:
    rows = [
        "| rule | workers | items of one, least to most | moved | of these needed | all read again after |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for s in steps:
        moved = f"{s.moved:,} | {s.needed:,} | {s.recovery_s:.1f} s" if s.moved else " | | "
        rows.append(f"| {s.rule} | {s.change} | {s.least} to {s.most} | {moved} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds-each", type=float, default=0.75)
    options = parser.parse_args()
    print(table(simulate(options.workers, options.items, options.seed, options.seconds_each)))


if __name__ == "__main__":
    main()
