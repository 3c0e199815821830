"""What the figures are of: the machine, the commit, the contenders."""

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from contenders import OTHERS, OURS, Contender
from machinery import HERE


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=HERE.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"


def machine() -> dict[str, Any]:
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cores": os.cpu_count(),
        "cpu": cpus[0].partition(":")[2].strip() if cpus else platform.machine(),
        "memory_gb": round(memory_kb / 1024**2),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def described(
    rounds: int, seconds: float, quick: bool, ready: list[Contender], skipped: dict[str, str]
) -> dict[str, Any]:
    """Results without runs."""
    known = {contender.name: {"what": contender.what} for contender in OTHERS}
    for contender in ready:
        known[contender.name]["version"] = contender.version()
    for name, reason in skipped.items():
        known[name]["skipped"] = reason
    return {
        "when": time.strftime("%Y-%m-%d"),
        "commit": git("rev-parse", "--short", "HEAD"),
        # What the run itself writes is no change.
        "dirty": git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/performance*")
        != "?",
        "machine": machine(),
        "rounds": rounds,
        "seconds": seconds,
        "quick": quick,
        "contenders": {OURS: {"what": "one worker, `every`, `old=False`", "version": "this commit"}, **known},
        "runs": {},
    }
