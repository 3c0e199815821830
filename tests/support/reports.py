"""Roles' reports as a healthy pipeline makes them, for tests of the status model; and the model's clock."""

from typing import Any

from deltawire.cli.supervisor.shape import GroupShape, Shape
from deltawire.cli.supervisor.status_model import StatusModel
from deltawire.cli.supervisor.status_types import ProcessStatus, Snapshot

INFORMER = "dev/pods"
GROUP = "printer"
START_US = 1_000_000_000
SILENT_S = 6.0
BOUND_US = 150_000_000

SHAPE = Shape({INFORMER: {"*": "reflector-0"}}, ["worker-0", "worker-1"], {GROUP: GroupShape([INFORMER])})


def us(now_s: float) -> int:
    """The epoch's µs at the monotonic instant ``now_s`` of these tests."""
    return START_US + int(now_s * 1_000_000)


def reflector(at_s: float, pid: int = 1, **stream: Any) -> dict[str, Any]:
    said = {"state": "watching", "watching": True, **stream}
    return {"role": "reflector", "pid": pid, "at": us(at_s), "streams": {f"{INFORMER}@*": said}}


def fifo(at_s: float, pid: int = 1, **informer: Any) -> dict[str, Any]:
    return {
        "role": "fifo",
        "pid": pid,
        "at": us(at_s),
        "informers": {INFORMER: {"shards_open": 2, "depth": 0, "leased": 0, **informer}},
    }


def worker(
    shard: int,
    at_s: float,
    *,
    pid: int = 1,
    as_of_s: float | None = None,
    informer: dict[str, Any] | None = None,
    shards: dict[str, Any] | None = None,
    **group: Any,
) -> dict[str, Any]:
    """``as_of_s``: of informer and group, by default just before the report; -1: not known."""
    as_of = us(at_s) - 1 if as_of_s is None else us(as_of_s) if as_of_s >= 0 else 0
    proof = {"as_of": as_of, "proof_at": as_of, "stale_at": as_of + BOUND_US if as_of else 0}
    objects = {"objects": 10, "bytes": 100, "listed": True, "stored": True, **(shards or {})}
    return {
        "role": "informer",
        "pid": pid,
        "at": us(at_s),
        "broker": {"open": True},
        "informers": {INFORMER: {"shards": {str(shard): objects}, **proof, **(informer or {})}},
        "groups": {GROUP: {INFORMER: {"synced": True, "as_of": as_of, "replicas": [f"{GROUP}-0"], **group}}},
    }


def handler(at_s: float, name: str = GROUP, **fields: Any) -> dict[str, Any]:
    return {"role": "handler", "pid": 1, "at": us(at_s), "group": name, **fields}


class Watched:
    """A model with its clock: ``say`` is a report that arrives now."""

    def __init__(self, shape: Shape = SHAPE) -> None:
        self.model = StatusModel(shape, silent_s=SILENT_S, started_us=START_US)
        self.now_s = 0.0

    def later(self, seconds: float) -> None:
        self.now_s += seconds
        self.model.tick(self.now_s, us(self.now_s))

    def say(self, name: str, report: dict[str, Any]) -> None:
        self.model.on_status(name, report, self.now_s, us(self.now_s))

    def gone(self, name: str) -> None:
        self.model.on_gone(name, us(self.now_s))

    def all_say(self, *, but: tuple[str, ...] = ()) -> None:
        """Everybody reports that all is well."""
        said = {
            "reflector-0": reflector(self.now_s),
            "fifo": fifo(self.now_s),
            "worker-0": worker(0, self.now_s),
            "worker-1": worker(1, self.now_s),
            f"{GROUP}-0": handler(self.now_s),
        }
        for name, report in said.items():
            if name not in but:
                self.say(name, report)

    def snapshot(self, **processes: ProcessStatus) -> Snapshot:
        self.model.tick(self.now_s, us(self.now_s))
        return self.model.snapshot(up_s=self.now_s, wall_us=us(self.now_s), processes=processes, kills={})


def healthy() -> Watched:
    """All has been well for some seconds."""
    watched = Watched()
    for _ in range(3):
        watched.later(1.0)
        watched.all_say()
    return watched
