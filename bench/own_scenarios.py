"""The scenarios of ours alone: what no contender has, or what grows with our processes."""

import json
import socket
import time
from dataclasses import replace

import pipeline
from machinery import FULL, HERE, Records, source, wait_until, window
from scenarios import Row, Settings

RATE_PER_S = 65.0
SLOW_RATE_PER_S = 100.0
SLOW_MS = 200
SLOW_OBJECTS = 20
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
