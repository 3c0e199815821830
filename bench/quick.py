"""For who works on the hot path: CPU by role, events/s and ages of ours at some rates, in a run of a minute.

    python bench/quick.py [--rate 100 --rate burst …] [--seconds 8] [--official] [--objects 1000] [--json]

``--official`` measures the official Python client's informer in the same way (it must be installed where this
runs). Without ``--rate``: 100, 500, full, and burst: full speed, until all that was sent is handled. Prints a
line for each rate; ages in ms, from the object's making to the call.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from machinery import FULL, HERE, REST, Records, Source, Window, burst, process, source, window
from pipeline import running, settle

WARM_UP_S = 2.0
SYNC_DEADLINE_S = 60
DRAIN_DEADLINE_S = 60
ROLES = ("supervisor", "reflector", "broker", "worker", "handler")
HEAD = ["who", "rate", "events/s", "CPU µs", "% of a core", *ROLES, "p50", "p99", "max", "pending"]


def row(who: str, rate: str, seen: Window, pending: int | None) -> list[str]:
    by_role, used = seen.cpu_us_an_event(), sum(seen.cpu_s.values())
    return [
        who,
        rate,
        f"{seen.events / seen.seconds:,.0f}",
        f"{used / max(seen.events, 1) * 1e6:,.0f}",
        f"{used / seen.seconds * 100:.1f}",
        *(f"{by_role[role]:,.0f}" if role in by_role else "" for role in ROLES),
        *(f"{seen.ages.get(name, float('nan')):,.2f}" for name in ("p50_ms", "p99_ms", "max_ms")),
        "?" if pending is None else f"{pending:,}",
    ]


def at_rate(feed: Source, rate: str, seconds: float, records: Records, pids: dict[str, list[int]]) -> Window:
    if rate == "burst":
        return burst(feed, records, pids, seconds)
    feed.set_rate(FULL if rate == "full" else float(rate))
    time.sleep(WARM_UP_S)
    return window(records, pids, seconds)


def ours(folder: Path, options: argparse.Namespace, report: Callable[[list[str]], None]) -> None:
    with source(folder, options.objects) as feed, running(folder, feed) as pipeline:
        for rate in options.rate:
            seen = at_rate(feed, rate, options.seconds, pipeline.records["bench"], pipeline.pids())
            pending = pipeline.pending()
            feed.set_rate(REST)
            report(row("deltawire", rate, seen, pending))
            settle(pipeline, DRAIN_DEADLINE_S)


def official(folder: Path, options: argparse.Namespace, report: Callable[[list[str]], None]) -> None:
    out = folder / "official.records"
    with source(folder, options.objects) as feed:
        command = [sys.executable, str(HERE / "programs" / "official.py"), str(feed.kubeconfig)]
        with process(command, folder / "official.log", {"BENCH_OUT": str(out)}) as pid:
            records = Records(out)
            records.wait_for(options.objects, SYNC_DEADLINE_S, "the official informer's first list")
            for rate in options.rate:
                seen = at_rate(feed, rate, options.seconds, records, {"handler": [pid]})
                feed.set_rate(REST)
                report(row("official", rate, seen, None))
                records.wait_quiet(DRAIN_DEADLINE_S)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", action="append", help="events a second, full, or burst; may be given again")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--official", action="store_true")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each rate")
    options = parser.parse_args()
    options.rate = options.rate or ["100", "500", "full", "burst"]
    # So that what was started is stopped, too, when this is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def report(cells: list[str]) -> None:
        if options.json:
            print(json.dumps(dict(zip(HEAD, cells, strict=True))), flush=True)
        else:
            print("| " + " | ".join(cells) + " |", flush=True)

    if not options.json:
        print("| " + " | ".join(HEAD) + " |\n|" + " --- |" * len(HEAD), flush=True)
    with tempfile.TemporaryDirectory(prefix="dw-bench-") as name:
        ours(Path(name), options, report)
        if options.official:
            official(Path(name), options, report)


if __name__ == "__main__":
    main()
