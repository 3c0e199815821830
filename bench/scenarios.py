"""The scenarios that each contender runs. Each returns its figures as a dictionary, for the results' JSON."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pipeline
from contenders import OURS, Contender
from machinery import (
    FULL,
    REST,
    Records,
    Source,
    burst,
    family,
    family_cpu_s,
    memory_kb,
    process,
    source,
    wait_until,
    window,
)

Row = dict[str, object]
SETTLE_DEADLINE_S = 30
START_DEADLINE_S = 60


@dataclass(frozen=True)
class Settings:
    """``seconds``: of a window. ``sync_deadline_s``: who has not handled a first list by then did not finish it."""

    folder: Path
    seconds: float
    warm_up_s: float
    objects: int
    rates: tuple[str, ...]
    sync_deadline_s: float


@dataclass
class Runner:
    """A running contender: its records, its processes by role, how it comes to rest."""

    records: Records
    pids: dict[str, list[int]]
    ours: pipeline.Pipeline | None = None

    def settle(self) -> None:
        """Until nothing is handled any more; what is left after the deadline stays."""
        self.records.wait_quiet(SETTLE_DEADLINE_S)


@contextmanager
def other(contender: Contender, folder: Path, feed: Source) -> Iterator[tuple[int, Records]]:
    out = folder / f"{contender.name}-{time.monotonic_ns()}.records"
    environment = {"BENCH_OUT": str(out), **contender.environment(feed.kubeconfig)}
    log = folder / f"{contender.name}.log"
    with process(contender.command(feed.kubeconfig), log, environment) as pid:
        yield pid, Records(out)


@contextmanager
def running(who: Contender | None, settings: Settings, feed: Source) -> Iterator[Runner]:
    """A contender (None: ours) that has handled its first list."""
    if who is None:
        with pipeline.running(settings.folder, feed) as ours:
            records = ours.records["bench"]
            records.wait_for(settings.objects, START_DEADLINE_S, "deltawire's first list")
            yield Runner(records, ours.pids(), ours)
    else:
        with other(who, settings.folder, feed) as (pid, records):
            records.wait_for(settings.objects, START_DEADLINE_S, f"{who.name}'s first list")
            yield Runner(records, {"process": [pid]})


def rates(who: Contender | None, settings: Settings) -> Row:
    """At each rate and at 0.8 × the contender's own full speed: events/s, CPU, ages; and of a burst."""
    rows: Row = {}
    with source(settings.folder, settings.objects) as feed, running(who, settings, feed) as runner:
        full = 0.0
        for rate in (*settings.rates, "full", "full80"):
            per_s = {"full": FULL, "full80": 0.8 * full}.get(rate) if rate.startswith("full") else float(rate)
            feed.set_rate(per_s or FULL)
            time.sleep(settings.warm_up_s)
            seen = window(runner.records, runner.pids, settings.seconds)
            sent = feed.ask()
            feed.set_rate(REST)
            runner.settle()
            full = seen.events / seen.seconds if rate == "full" else full
            rows[rate] = {**seen.row(), "sent": sent["sent"], "sent_late": sent["late"]}
        rows["burst"] = burst(feed, runner.records, runner.pids, settings.seconds).row()
    return rows


def first_sync(who: Contender | None, settings: Settings, objects: int) -> Row:
    """From the start of the program to the last object of the first list handled; then its memory at rest."""
    with source(settings.folder, objects) as feed:
        began = time.monotonic()
        if who is None:
            with pipeline.started(settings.folder, feed, pipeline.Shape(), cgroup=True) as ours:
                row = _sync(OURS, ours.supervisor, ours.records["bench"], objects, settings, began)
                return {**row, **ours.memory_at_rest()}
        with other(who, settings.folder, feed) as (pid, records):
            return _sync(who.name, pid, records, objects, settings, began)


def _sync(name: str, pid: int, records: Records, objects: int, settings: Settings, began: float) -> Row:
    records.wait_for(objects, settings.sync_deadline_s, f"{name}'s first list")
    took, used = time.monotonic() - began, family_cpu_s(pid)
    time.sleep(settings.warm_up_s)
    memory = [memory_kb(member) for member in family(pid)]
    return {
        "objects": objects,
        "seconds": round(took, 2),
        "cpu_us": round(used / objects * 1e6, 1),
        "pss_mb": round(sum(found.get("Pss", 0) for found in memory) / 1024, 1),
        "anon_mb": round(sum(found.get("Pss_Anon", 0) for found in memory) / 1024, 1),
    }


def idle(who: Contender | None, settings: Settings) -> Row:
    """At rest: CPU of a core, memory. Ours with two workers."""
    with source(settings.folder, settings.objects) as feed:
        if who is None:
            shape = pipeline.Shape(workers=2)
            with pipeline.running(settings.folder, feed, shape) as ours:
                return _idle(Runner(ours.records["bench"], ours.pids()), settings)
        with running(who, settings, feed) as runner:
            return _idle(runner, settings)


def _idle(runner: Runner, settings: Settings) -> Row:
    time.sleep(2 * settings.warm_up_s)
    row = window(runner.records, runner.pids, 2 * settings.seconds).row()
    memory = {
        role: round(sum(memory_kb(pid).get("Pss", 0) for pid in pids) / 1024, 1)
        for role, pids in runner.pids.items()
    }
    return {
        "cpu_percent": row["cpu_percent"],
        "pss_mb": round(sum(memory.values()), 1),
        "pss_by_role": memory,
    }


def one_rate(who: Contender | None, settings: Settings, rate_per_s: float) -> Row:
    """A rate of its own, for the comparison with handlers and informers of ours."""
    with source(settings.folder, settings.objects) as feed, running(who, settings, feed) as runner:
        feed.set_rate(rate_per_s)
        time.sleep(settings.warm_up_s)
        return window(runner.records, runner.pids, settings.seconds).row()


def first_event(who: Contender | None, settings: Settings) -> Row:
    """From the start of the program to the first call of its handler."""
    with source(settings.folder, settings.objects) as feed:
        began = time.monotonic()
        if who is None:
            with pipeline.started(settings.folder, feed, pipeline.Shape()) as ours:
                return _first_event(ours.records["bench"], began)
        with other(who, settings.folder, feed) as (_, records):
            return _first_event(records, began)


def _first_event(records: Records, began: float) -> Row:
    wait_until(lambda: records.count() > 0, START_DEADLINE_S, "no event was handled")
    return {"seconds": round(time.monotonic() - began, 2)}
