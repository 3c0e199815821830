"""The scenarios of ours alone: what no contender has, or what grows with our processes."""

import json
import socket
import time
from dataclasses import replace

import pipeline
from machinery import FULL, HERE, REST, Records, ages_ms, memory_kb, source, wait_until, window
from scenarios import Row, Settings

RATE_PER_S = 65.0
SLOW_RATE_PER_S = 100.0
SLOW_MS = 200
SLOW_OBJECTS = 20
# Handlers with a filter, and as many as are promised to run at once on two cores; nodes of the source's pods.
FILTERED = 8
MANY = 100
MANY_OBJECTS = 200
MANY_RATE_PER_S = {"none": 10.0, "fields": 50.0}
MANY_WINDOW_S = 10.0
MANY_SETTLE_S = 20.0
NODES = 100
WARM_DEADLINE_S = 60
LISTER_DEADLINE_S = 90
# Built-in kinds that no list of the source has objects of: informers that are idle.
IDLE_KINDS = (
    "configmaps",
    "services",
    "endpoints",
    "nodes",
    "namespaces",
    "serviceaccounts",
    "replicationcontrollers",
    "persistentvolumes",
    "persistentvolumeclaims",
    "resourcequotas",
    "limitranges",
    "podtemplates",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "controllerrevisions.apps",
    "jobs.batch",
    "cronjobs.batch",
    "ingresses.networking.k8s.io",
    "ingressclasses.networking.k8s.io",
    "networkpolicies.networking.k8s.io",
    "poddisruptionbudgets.policy",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "storageclasses.storage.k8s.io",
    "leases.coordination.k8s.io",
    "endpointslices.discovery.k8s.io",
)


def _at_rate(settings: Settings, shape: pipeline.Shape, rate_per_s: float) -> Row:
    with (
        source(settings.folder, settings.objects) as feed,
        pipeline.running(settings.folder, feed, shape) as ours,
    ):
        feed.set_rate(rate_per_s)
        time.sleep(settings.warm_up_s)
        seen = window(ours.records["bench"], ours.pids(), settings.seconds)
        return {**seen.row(), "worker_percent": round(seen.cpu_s["worker"] / seen.seconds * 100, 2)}


def informers(settings: Settings, count: int) -> Row:
    """One busy informer and ``count`` - 1 idle ones, one worker."""
    return _at_rate(settings, pipeline.Shape(more=IDLE_KINDS[: count - 1]), RATE_PER_S)


def handlers(settings: Settings, count: int) -> Row:
    """So many groups of the same informer; CPU is a source event's, in all processes."""
    names = ["bench", *(f"bench-{i}" for i in range(2, count + 1))]
    return _at_rate(settings, pipeline.Shape(handlers={name: {} for name in names}), RATE_PER_S)


def filters(settings: Settings, kind: str) -> Row:
    """Eight groups at `SLOW_RATE_PER_S` that want one pod in fifty: what a filter costs the worker, beside none.

    ``kind``: ``none``: all pods to each group, ``fields``: one decode an event, ``changed``: two.
    """
    shape = pipeline.Shape(handlers=_picky(FILTERED, kind), handler_file=HERE / "programs" / "ours_filtered.py")
    row = _at_rate(settings, shape, SLOW_RATE_PER_S)
    # Of an event of the source, whether it was wanted or not.
    for name in ("cpu", "worker"):
        row[f"{name}_us"] = round(float(row[f"{name}_percent"]) / 100 / SLOW_RATE_PER_S * 1e6, 1)
    return row


def many(settings: Settings, kind: str) -> Row:
    """A hundred handler processes: until they are ready, the memory of each, whether they keep up (``behind``)."""
    shape = pipeline.Shape(handlers=_picky(MANY, kind), handler_file=HERE / "programs" / "ours_filtered.py")
    with source(settings.folder, MANY_OBJECTS) as feed, pipeline.started(settings.folder, feed, shape) as ours:
        began = time.monotonic()
        ours.wait_synced(every_s=1.0)
        ready_s = time.monotonic() - began
        pids = ours.pids()
        pss_mb = [memory_kb(pid).get("Pss", 0) / 1024 for pid in pids["handler"]]
        feed.set_rate(MANY_RATE_PER_S[kind])
        time.sleep(settings.warm_up_s)
        seen = window(ours.records["bench"], pids, MANY_WINDOW_S)
        # What is late now was sent before: with the source at rest only a queue that grew takes time to empty.
        feed.set_rate(REST)
        left = pipeline.settle(ours, MANY_SETTLE_S)
        found: list[tuple[int, int]] = [r for out in ours.records.values() for r in out.read(0, out.count())]
        expected = feed.ask()["sent_ever"] * (2 / NODES * MANY if kind != "none" else MANY)
        return {
            "ready_s": round(ready_s, 1),
            "pss_mb_mean": round(sum(pss_mb) / len(pss_mb), 1),
            "pss_mb_max": round(max(pss_mb), 1),
            "rate_per_s": MANY_RATE_PER_S[kind],
            "handled_share": round(len(found) / expected, 4) if expected else 0.0,
            "pending_at_end": left,
            "cpu_percent": seen.row()["cpu_percent"],
            "cpu_percent_by_role": {r: round(used / seen.seconds * 100, 1) for r, used in seen.cpu_s.items()},
            **ages_ms(found),
        }


def _picky(count: int, kind: str) -> dict[str, dict[str, str]]:
    """Groups of `programs/ours_filtered.py`, each with two nodes of its own."""
    found = {}
    for number in range(count):
        environment = {} if kind == "none" else {"BENCH_NODES": f"{number % NODES},{(number + NODES // 2) % NODES}"}
        if kind == "changed":
            environment["BENCH_CHANGED"] = "{.metadata.annotations}"
        found["bench" if not number else f"bench-{number + 1}"] = environment
    return found


def slow_beside_fast(settings: Settings) -> Row:
    """A fast group's ages beside one that takes ``SLOW_MS`` a call, from when that one has its first list."""
    groups = {"bench": {}, "slow": {"BENCH_SLEEP_MS": str(SLOW_MS)}}
    few = replace(settings, objects=SLOW_OBJECTS)
    return _at_rate(few, pipeline.Shape(handlers=groups), SLOW_RATE_PER_S)


def restart_warm(settings: Settings, objects: int) -> Row:
    """Started again on its state: until the first new event is handled, what was listed, which calls came again."""
    shape = pipeline.Shape()
    state = settings.folder / f"state-{time.monotonic_ns()}"
    with source(settings.folder, objects) as feed:
        with pipeline.started(settings.folder, feed, shape, state) as ours:
            ours.records["bench"].wait_for(objects, WARM_DEADLINE_S, "the first list")
            ours.wait_synced()
        feed.set_rate(SLOW_RATE_PER_S)
        began, began_us = time.monotonic(), time.time_ns() // 1000
        with pipeline.started(settings.folder, feed, shape, state) as ours:
            records = ours.records["bench"]
            wait_until(lambda: records.count() > 0, WARM_DEADLINE_S, "no event after the restart")
            took = time.monotonic() - began
            ours.wait_synced()
            again = sum(sent < began_us for sent, _ in records.read(0, records.count()))
            totals = ours.status["totals"]
            return {
                "seconds": round(took, 2),
                "objects": objects,
                "lists": totals["lists"],
                "watches": totals["watches"],
                "calls_again": again,
            }


def source_alone(settings: Settings) -> Row:
    """How fast the source is where its bytes are read and dropped: it must not be what limits anybody."""
    with source(settings.folder, settings.objects) as feed:
        host, _, port = feed.url.rpartition("/")[2].partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET /api/v1/pods?watch=true HTTP/1.1\r\nHost: bench\r\n\r\n")
            feed.set_rate(FULL)
            buffer = bytearray(1 << 20)
            began = time.monotonic()
            while time.monotonic() < began + settings.seconds:
                connection.recv_into(buffer)
            took, said = time.monotonic() - began, feed.ask()
        return {"events_per_s": round(said["sent"] / took, 1)}


def lister(settings: Settings, objects: int) -> Row:
    """CPU of reads of the cache in a handler's process."""
    shape = pipeline.Shape(handler_file=HERE / "programs" / "ours_lister.py")
    with (
        source(settings.folder, objects) as feed,
        pipeline.started(settings.folder, feed, shape) as ours,
    ):
        out: Records = ours.records["bench"]
        wait_until(out.path.exists, LISTER_DEADLINE_S, "the lister was not timed")
        row: Row = json.loads(out.path.read_text())
        return {**row, "objects": objects}
