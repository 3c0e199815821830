"""Deltawire as a contender: its config, its start, its processes by role, what its status says."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cgroup import Cgroup, made_cgroup
from machinery import HERE, BenchError, Records, Source, memory_kb, process, wait_until

DELTAWIRE = Path(sys.executable).with_name("deltawire")
HANDLER = HERE / "programs" / "ours.py"
MB = 1024 * 1024
SYNC_DEADLINE_S = 120
STATUS_DEADLINE_S = 10
ROLES = {"fifo": "broker", "informer": "worker", "handlers": "handler"}


@dataclass(frozen=True)
class Shape:
    """What runs. ``handlers``: name → environment beside ``BENCH_OUT``. ``more``: informers of other resources.
    ``engine``: as the config has it."""

    workers: int = 1
    handlers: dict[str, dict[str, str]] = field(default_factory=lambda: {"bench": {}})
    more: tuple[str, ...] = ()
    handler_file: Path = HANDLER
    engine: object = "memory"


@dataclass
class Pipeline:
    """A run of ours. ``records``: of each handler."""

    config: Path
    state: Path
    supervisor: int
    records: dict[str, Records]
    cgroup: Cgroup | None = None
    status: dict[str, Any] = field(default_factory=dict)

    def ask(self) -> dict[str, Any]:
        """``deltawire status --json``; {} while nobody answers."""
        command = [str(DELTAWIRE), "status", "-c", str(self.config), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return json.loads(done.stdout) if done.stdout.startswith("{") else {}

    def wait_synced(self, every_s: float = 0.2) -> None:
        """Ask every so often: each question is a process of its own, which takes CPU from those that start."""
        deadline = time.monotonic() + SYNC_DEADLINE_S
        while not (said := self.ask()).get("synced"):
            if time.monotonic() > deadline:
                raise BenchError(f"deltawire did not sync: {said.get('unready')}")
            time.sleep(every_s)
        self.status = said

    def pids(self) -> dict[str, list[int]]:
        """Process ids by role: supervisor, reflector, broker, worker, handler."""
        found: dict[str, list[int]] = {"supervisor": [self.supervisor]}
        for said in self.status["processes"].values():
            found.setdefault(ROLES.get(said["role"], said["role"]), []).append(said["pid"])
        return found

    def memory_at_rest(self) -> dict[str, Any]:
        """Object bytes, memory of the worker that is no file's, working set of the control group of all processes."""
        self.wait_synced()
        worker_kb = sum(memory_kb(pid).get("Pss_Anon", 0) for pid in self.pids()["worker"])
        found = {
            "object_mb": round(self.status["informers"]["bench/pods"]["bytes"] / MB, 1),
            "worker_anon_mb": round(worker_kb / 1024, 2),
        }
        if self.cgroup is not None:
            found["working_set_mb"] = round(self.cgroup.working_set() / MB, 1)
        return found

    def pending(self, group: str = "bench") -> int | None:
        """Versions that wait for a group; None where it is not known."""
        pending: int | None = self.ask().get("groups", {}).get(group, {}).get("pending")
        return pending


def plan(kubeconfig: Path, state: Path, shape: Shape, outs: dict[str, Path]) -> dict[str, Any]:
    informers = [{"resource": "pods", "indexes": {"by-node": ".spec.nodeName"}}]
    return {
        "version": 1,
        "engine": shape.engine,
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
def started(
    folder: Path,
    source: Source,
    shape: Shape,
    state: Path | None = None,
    *,
    cgroup: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Pipeline]:
    """``deltawire up``, not waited for. ``cgroup``: in a control group of its own, where one can be made."""
    run = folder / f"run-{time.monotonic_ns()}"
    run.mkdir()
    state = state or run / "state"
    outs = {name: run / f"{name}.records" for name in shape.handlers}
    config = run / "deltawire.yaml"
    config.write_text(json.dumps(plan(source.kubeconfig, state, shape, outs)))
    command = [str(DELTAWIRE), "up", "-c", str(config)]
    with ExitStack() as stack:
        group = stack.enter_context(made_cgroup(run.name)) if cgroup else None
        command = group.starting(command) if group else command
        pid = stack.enter_context(process(command, folder / "deltawire.log", environment))
        yield Pipeline(config, state, pid, {name: Records(out) for name, out in outs.items()}, group)


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
