"""The plug-in of the benchmark: touches the decoded object, counts, and notes the age of what it sees."""

import atexit
import json
import os
import time
from pathlib import Path
from typing import Any

from deltawire import Handler

OUT = Path(os.environ["BENCH_OUT"])
handler = Handler("counting", workers=1)
ages_us: list[int] = []
state = {"calls": 0, "began": 0.0}


@handler.on_add("pods")
def added(obj: dict[str, Any]) -> None:
    count(obj)


@handler.on_update("pods", old=False)
def updated(new: dict[str, Any]) -> None:
    count(new)


def count(obj: dict[str, Any]) -> None:
    now = time.monotonic()
    if not state["began"]:
        state["began"] = now
    state["calls"] += 1
    ages_us.append(time.time_ns() // 1000 - int(obj["metadata"]["annotations"]["bench/sent-us"]))
    if state["calls"] % 500 == 0:
        write(now)


def write(now: float) -> None:
    tail = sorted(ages_us[-1000:])
    report = {
        "calls": state["calls"],
        "at": now,
        "p50_ms": tail[len(tail) // 2] / 1000 if tail else 0,
        "p99_ms": tail[int(len(tail) * 0.99)] / 1000 if tail else 0,
    }
    draft = OUT.with_suffix(".draft")
    draft.write_text(json.dumps(report))
    draft.rename(OUT)


atexit.register(lambda: write(time.monotonic()))
