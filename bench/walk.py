"""An event's way: the project's functions that an update passes, from the watch's line to the handler's ack.

    python bench/walk.py [--updates 20] [--summary]

A profile hook in reflector, broker, worker and handler notes each call of a function of the project. The source sends
an update every half second to one group that asks for no old objects. A function is on the way when it is called at
least ``SHARE`` times more in the quarter of a second after an update than in one without any: so what beats, reports
and timers call is not counted. A **hop** is such a function, in a role, that has the object in its hands: an argument
or the result holds its key or bytes. The others on the way (turns, clocks, counters) are **beside** it. Prints them in
the order of their first call, then how many hops and modules there are, which functions are longer than 40 lines, and
their mean length.
"""

import argparse
import signal
import statistics
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pipeline
from figures import table
from machinery import HERE, REST, source

HOOK = HERE / "programs" / "walk_hook"
WINDOW_US = 250_000
RATE_PER_S = 2.0
# Let the first list's late work pass.
REST_S = 3.0
SHARE = 0.6
LONG_LINES = 40
ROLES = {"reflector": "reflector", "fifo": "broker", "informer": "worker", "handlers": "handler"}


@dataclass(frozen=True)
class Function:
    """A function of the project in a role. ``lines``: its length."""

    role: str
    file: str
    first: int
    lines: int
    name: str


@dataclass(frozen=True)
class Hop:
    """One function on the way. ``carries``: it is a hop, not beside it. ``calls``: for one event, the mean.

    ``after_ms``: of the first call, from the object's making, the median.
    """

    function: Function
    carries: bool
    calls: float
    after_ms: float


@dataclass
class Noted:
    """Times in µs: of calls, and of those where the object was an argument or the result."""

    calls: list[int] = field(default_factory=list)
    carried: list[int] = field(default_factory=list)


def calls_of(file: Path) -> dict[Function, Noted]:
    """What one process noted."""
    role, numbers = ROLES[file.name.partition("-")[0]], {}
    found: dict[Function, Noted] = defaultdict(Noted)
    for line in file.read_text().splitlines():
        if line.startswith("= "):
            _, number, path, first, lines, name = line.split(" ", 5)
            numbers[number] = Function(role, path, int(first), int(lines), name)
        else:
            at, number = line.removeprefix("! ").split()
            noted = found[numbers[number]]
            (noted.carried if line.startswith("!") else noted.calls).append(int(at))
    return found


def within(times: list[int], start_us: int) -> list[int]:
    """The calls of one window."""
    return times[bisect_left(times, start_us) : bisect_left(times, start_us + WINDOW_US)]


def way(calls: dict[Function, Noted], sent: list[int], quiet: list[int]) -> list[Hop]:
    """The functions that updates call and quiet times do not, in order. ``sent``, ``quiet``: starts of windows, µs."""
    hops = []
    for function, noted in calls.items():
        times, carried = sorted(noted.calls), sorted(noted.carried)
        busy = [within(times, start) for start in sent]
        mean = sum(map(len, busy)) / len(sent)
        beside = sum(len(within(times, start)) for start in quiet) / len(quiet)
        if mean - beside >= SHARE:
            after = [found[0] - start for found, start in zip(busy, sent, strict=True) if found]
            carries = sum(bool(within(carried, start)) for start in sent) / len(sent) >= SHARE
            hops.append(Hop(function, carries, mean - beside, statistics.median(after) / 1000))
    return sorted(hops, key=lambda hop: hop.after_ms)


def observed(updates: int, folder: Path) -> list[Hop]:
    """Run the pipeline, first at rest, then with so many updates."""
    notes = folder / "notes"
    notes.mkdir()
    environment = {"BENCH_WALK": str(notes), "PYTHONPATH": str(HOOK)}
    with (
        source(folder, 10) as feed,
        pipeline.started(folder, feed, pipeline.Shape(), environment=environment) as ours,
    ):
        ours.wait_synced()
        records = ours.records["bench"]
        time.sleep(REST_S)
        quiet_from, first = time.time_ns() // 1000, records.count()
        time.sleep(updates / RATE_PER_S)
        quiet = list(range(quiet_from, time.time_ns() // 1000 - WINDOW_US, WINDOW_US))
        feed.set_rate(RATE_PER_S)
        records.wait_for(first + updates, 4 * updates / RATE_PER_S + 30, "the updates")
        feed.set_rate(REST)
        time.sleep(1)
        sent = [stamp for stamp, _ in records.read(first, first + updates)]
    calls: dict[Function, Noted] = {}
    for file in notes.glob("*.calls"):
        calls |= calls_of(file)
    return way(calls, sent, quiet)


def summary(hops: list[Hop]) -> str:
    functions = [hop.function for hop in hops if hop.carries]
    beside = [hop.function for hop in hops if not hop.carries]
    long = [f"{f.file}:{f.first} {f.name} ({f.lines})" for f in functions if f.lines > LONG_LINES]
    carried = sum(hop.calls for hop in hops if hop.carries)
    by_role = Counter(f.role for f in functions)
    lines = [
        f"hops: {len(functions)} ({', '.join(f'{role} {by_role[role]}' for role in ROLES.values())})",
        f"modules: {len({f.file for f in functions})}",
        f"beside: {len(beside)} functions more, of {len({f.file for f in beside})} modules",
        f"calls: {carried:.0f} of hops, {sum(hop.calls for hop in hops):.0f} in all",
        f"functions over {LONG_LINES} lines: {', '.join(long) or 'none'}",
        f"mean length: {statistics.mean(f.lines for f in functions):.1f} lines" if functions else "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--summary", action="store_true", help="only the counts")
    options = parser.parse_args()
    # So that what was started is stopped, too, when this is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="dw-bench-") as name:
        hops = observed(options.updates, Path(name))
    if not options.summary:
        rows = [
            [
                f"{hop.after_ms:.2f}",
                hop.function.role,
                f"{hop.function.file}:{hop.function.first}",
                hop.function.name,
                "" if hop.carries else "beside",
                str(hop.function.lines),
                f"{hop.calls:.1f}",
            ]
            for hop in hops
        ]
        print(table(["ms", "role", "where", "function", "", "lines", "calls"], rows) + "\n")
    print(summary(hops))


if __name__ == "__main__":
    main()
