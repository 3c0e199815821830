"""All benchmarks: every contender through every scenario, in interleaved rounds.

    python bench/run.py [--quick] [--fresh] [--only SCENARIO …] [--contender NAME …] [--rounds 2] [--seconds 4]

Writes docs/performance.json, the tables in docs/performance.md and the pictures beside it; ``--quick`` (ours and the
official client, short windows, under 3 minutes) only prints. A run that was ended goes on where it stopped, as long as
commit and options are the same; ``--fresh`` begins anew. What fails is written down and tried again by the next run.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import own_scenarios as own
import scenarios
from about import described
from contenders import BUILD, OTHERS, OURS, Contender, prepare, prepare_quick
from figures import Results
from machinery import HERE, BenchError
from plots import pictures
from report import render
from scenarios import Row, Settings

ROOT = HERE.parent
JSON_FILE = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "performance"
BEGIN, END = "<!-- figures: written by make bench -->\n", "<!-- end of figures -->\n"
LOAD_QUIET = 0.5


@dataclass(frozen=True)
class Step:
    """One start of one contender."""

    scenario: str
    who: str
    run: Callable[[], Row]


@dataclass(frozen=True)
class Sizes:
    """How large a run is."""

    rates: tuple[str, ...]
    syncs: dict[str, int]
    informers: tuple[int, ...]
    handlers: tuple[int, ...]
    warm: int
    lister: int
    many: tuple[str, ...]


WHOLE = Sizes(
    ("100", "500", "2000"),
    {"10k": 10_000, "50k": 50_000},
    (1, 10, 30),
    (4, 16),
    10_000,
    10_000,
    ("fields", "none"),
)
QUICK = Sizes(("100", "500"), {"10k": 1000}, (1, 30), (16,), 1000, 1000, ())


def in_every_round(ready: list[Contender], settings: Settings, sizes: Sizes) -> Iterator[Step]:
    """What is compared most closely; contenders take turns inside each scenario."""
    everybody: list[tuple[str, Contender | None]] = [(OURS, None), *((c.name, c) for c in ready)]
    for name, who in everybody:
        yield Step("rates", name, partial(scenarios.rates, who, settings))
    for name, who in everybody:
        yield Step("sync 10k", name, partial(scenarios.first_sync, who, settings, sizes.syncs["10k"]))
    for name, who in everybody:
        yield Step("first event", name, partial(scenarios.first_event, who, settings))


def once(ready: list[Contender], settings: Settings, sizes: Sizes) -> Iterator[Step]:
    """What takes long, or is of ours alone: in the first round."""
    everybody: list[tuple[str, Contender | None]] = [(OURS, None), *((c.name, c) for c in ready)]
    # Too few objects would say nothing of memory: a quick run has no larger list.
    for name, who in everybody if "50k" in sizes.syncs else ():
        yield Step("sync 50k", name, partial(scenarios.first_sync, who, settings, sizes.syncs["50k"]))
    for name, who in everybody:
        yield Step("idle", name, partial(scenarios.idle, who, settings))
        if name == "official":
            yield Step("65", name, partial(scenarios.one_rate, who, settings, own.RATE_PER_S))
    for count in sizes.informers:
        yield Step(f"informers {count}", OURS, partial(own.informers, settings, count))
    for count in sizes.handlers:
        yield Step(f"handlers {count}", OURS, partial(own.handlers, settings, count))
    for kind in ("none", "fields", "changed"):
        yield Step(f"filters {kind}", OURS, partial(own.filters, settings, kind))
    for kind in sizes.many:
        yield Step(f"many {kind}", OURS, partial(own.many, settings, kind))
    yield Step("slow", OURS, partial(own.slow_beside_fast, settings))
    yield Step("warm", OURS, partial(own.restart_warm, settings, sizes.warm))
    yield Step("source", OURS, partial(own.source_alone, settings))
    yield Step("lister", OURS, partial(own.lister, settings, sizes.lister))


def resumed(said: dict[str, Any], partial: Path, fresh: bool) -> dict[str, Any]:
    """With the runs of a run that was ended, where it was of the same commit and options."""
    if fresh or not partial.exists():
        return said
    before = json.loads(partial.read_text())
    same = ("commit", "rounds", "seconds", "quick", "contenders")
    if any(before[name] != said[name] for name in same):
        return said
    runs = {
        scenario: {who: [row for row in rows if "error" not in row] for who, rows in found.items()}
        for scenario, found in before["runs"].items()
    }
    return {**before, "runs": runs}


def save(path: Path, said: dict[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    draft.rename(path)


def carry_out(step: Step, number: int, said: dict[str, Any], partial: Path) -> None:
    """Unless it was done; what it gives, or why it failed, is kept at once."""
    rows = said["runs"].setdefault(step.scenario, {}).setdefault(step.who, [])
    if sum("error" not in row for row in rows) > number:
        return
    began = time.monotonic()
    try:
        row: Row = step.run()
    except (BenchError, OSError, subprocess.SubprocessError) as error:
        row = {"error": str(error)}
    rows.append(row)
    save(partial, said)
    shown = row.get("error", "done")
    print(
        f"round {number + 1}, {step.scenario}, {step.who}: {shown} ({time.monotonic() - began:.0f} s)",
        flush=True,
    )


def publish(said: dict[str, Any]) -> None:
    """docs/performance.json, the tables between the marks of docs/performance.md, and the pictures."""
    results = Results(said)
    save(JSON_FILE, said)
    PICTURES.mkdir(exist_ok=True)
    drawn = pictures(results)
    for file, (_, drawing) in drawn.items():
        (PICTURES / file).write_text(drawing)
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n{tables(results)}\n{END}{tail}")


def tables(results: Results) -> str:
    """What stands between the marks."""
    return render(results, {title: f"performance/{file}" for file, (title, _) in pictures(results).items()})


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--only", action="append", help="a scenario's name or its beginning")
    parser.add_argument(
        "--contender", action="append", help="beside ours; default: all, with --quick official"
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--print", action="store_true", help="print the tables, write no documents")
    parser.add_argument(
        "--tables", action="store_true", help="only print the tables of docs/performance.json"
    )
    parser.add_argument("--render", action="store_true", help="only write page and pictures from it again")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 2)
    options.seconds = options.seconds or (2 if options.quick else 4)
    options.contender = options.contender or (
        ["official"] if options.quick else [contender.name for contender in OTHERS]
    )
    return options


def main() -> None:
    options = parsed()
    if options.render:
        publish(json.loads(JSON_FILE.read_text()))
        return
    if options.tables:
        print(tables(Results(json.loads(JSON_FILE.read_text()))), end="")
        return
    # So that what was started is stopped, too, when this is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    BUILD.mkdir(exist_ok=True)
    ready, skipped = (prepare_quick if options.quick else prepare)(options.contender)
    for name, reason in skipped.items():
        print(f"{name} is skipped: {reason}", flush=True)
    partial = BUILD / ("quick.json" if options.quick else "run.json")
    said = resumed(
        described(options.rounds, options.seconds, options.quick, ready, skipped),
        partial,
        options.fresh or options.quick,
    )
    if said["machine"]["load"] > LOAD_QUIET:
        print(f"the machine is not quiet (load {said['machine']['load']}): compare ratios only", flush=True)
    sizes = QUICK if options.quick else WHOLE
    with tempfile.TemporaryDirectory(prefix="dw-bench-") as name:
        settings = Settings(
            folder=Path(name),
            seconds=options.seconds,
            warm_up_s=1.0 if options.quick else 1.5,
            objects=1000,
            rates=sizes.rates,
            sync_deadline_s=60 if options.quick else 90,
        )
        for number in range(options.rounds):
            rest = once(ready, settings, sizes) if number == 0 else ()
            for step in (*in_every_round(ready, settings, sizes), *rest):
                if not options.only or any(step.scenario.startswith(name) for name in options.only):
                    carry_out(step, number, said, partial)
    if options.quick or options.print or options.only:
        print(render(Results(said)))
    else:
        publish(said)
        print(f"written: {JSON_FILE}, {PAGE}")


if __name__ == "__main__":
    main()
