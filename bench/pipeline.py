"""Deltawire as a contender: its config, its start, its processes by role, what its status says."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machinery import HERE, BenchError, Records, Source, process, wait_until

DELTAWIRE = Path(sys.executable).with_name("deltawire")
HANDLER = HERE / "contenders" / "ours.py"
SYNC_DEADLINE_S = 120
STATUS_DEADLINE_S = 10
ROLES = {"fifo": "broker", "informer": "worker", "handlers": "handler"}


@dataclass(frozen=True)
class Shape:
    """What runs. ``handlers``: name → environment beside ``BENCH_OUT``. ``more``: informers of other resources."""

    workers: int = 1
    handlers: dict[str, dict[str, str]] = field(default_factory=lambda: {"bench": {}})
    more: tuple[str, ...] = ()
    handler_file: Path = HANDLER


@dataclass
class Pipeline:
    """A run of ours. ``records``: of each handler."""

    config: Path
    state: Path
    supervisor: int
    records: dict[str, Records]
    status: dict[str, Any] = field(default_factory=dict)

    def ask(self) -> dict[str, Any]:
        """``deltawire status --json``; {} while nobody answers."""
        command = [str(DELTAWIRE), "status", "-c", str(self.config), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return json.loads(done.stdout) if done.stdout.startswith("{") else {}

    def wait_synced(self) -> None:
        deadline = time.monotonic() + SYNC_DEADLINE_S
        while not (said := self.ask()).get("synced"):
            if time.monotonic() > deadline:
                raise BenchError(f"deltawire did not sync: {said.get('unready')}")
            time.sleep(0.2)
        self.status = said

    def pids(self) -> dict[str, list[int]]:
        """Process ids by role: supervisor, reflector, broker, worker, handler."""
        found: dict[str, list[int]] = {"supervisor": [self.supervisor]}
        for said in self.status["processes"].values():
            found.setdefault(ROLES.get(said["role"], said["role"]), []).append(said["pid"])
        return found

    def pending(self, group: str = "bench") -> int | None:
        """Versions that wait for a group; None where it is not known."""
        pending: int | None = self.ask().get("groups", {}).get(group, {}).get("pending")
        return pending


def plan(kubeconfig: Path, state: Path, shape: Shape, outs: dict[str, Path]) -> dict[str, Any]:
    informers = [{"resource": "pods", "indexes": {"by-node": ".spec.nodeName"}}]
    return {
        "version": 1,
        "clusters": {"bench": {"kubeconfig": str(kubeconfig)}},
        "store": {"dir": str(state)},
        "runtime": {"reflectors": 1, "workers": shape.workers},
        "informers": [*informers, *({"resource": name} for name in shape.more)],
        "handlers": [
            {
                "name": name,
                "run": str(shape.handler_file),
                "delivery": "every",
                "env": {"BENCH_OUT": str(outs[name]), **environment},
            }
            for name, environment in shape.handlers.items()
        ],
    }


@contextmanager
def started(folder: Path, source: Source, shape: Shape, state: Path | None = None) -> Iterator[Pipeline]:
    """``deltawire up``; what it needs in time is the caller's to see."""
    run = folder / f"run-{time.monotonic_ns()}"
    run.mkdir()
    outs = {name: run / f"{name}.records" for name in shape.handlers}
    config = run / "deltawire.yaml"
    config.write_text(json.dumps(plan(source.kubeconfig, state or run / "state", shape, outs)))
    with process([str(DELTAWIRE), "up", "-c", str(config)], folder / "deltawire.log") as pid:
        yield Pipeline(
            config, state or run / "state", pid, {name: Records(out) for name, out in outs.items()}
        )


@contextmanager
def running(folder: Path, source: Source, shape: Shape | None = None) -> Iterator[Pipeline]:
    """Ours, synced, its first list handled."""
    with ExitStack() as stack:
        pipeline = stack.enter_context(started(folder, source, shape or Shape()))
        pipeline.wait_synced()
        yield pipeline


def settle(pipeline: Pipeline, deadline_s: float) -> int | None:
    """Wait until nothing is pending; how much still is after ``deadline_s``."""

    def empty() -> bool:
        return pipeline.pending() == 0

    try:
        wait_until(empty, deadline_s, "")
    except BenchError:
        return pipeline.pending()
    return 0
