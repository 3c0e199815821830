"""The config that a run changes: how many processes, which groups, which scope. Pure."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

RESOURCES = ("pods", "configmaps")
NAMESPACES = ("alpha", "beta", "gamma")
# The group of a Python handler that compares each event with the cache. It stays in all shapes.
LISTER_GROUP = "lister"
GROUPS_MAX = 6


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One group of recorders. ``pause_ms``: how long each call takes."""

    name: str
    delivery: str
    replicas: int = 1
    pause_ms: float = 0.0


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One config. ``namespaces`` () means all; ``selector`` is a label selector of configmaps."""

    workers: int = 2
    reflectors: int = 2
    namespaces: tuple[str, ...] = ()
    selector: str = ""
    indexes: tuple[str, ...] = ()
    groups: tuple[Group, ...] = (
        Group(name="latest", delivery="latest"),
        Group(name="every", delivery="every"),
        Group(name="slow", delivery="every", replicas=2, pause_ms=15.0),
    )
    serial: int = 0


def changed(shape: Shape, change: str, pick: int) -> Shape:
    """The shape after a change of `schedule.CHANGES`; ``pick`` decides what becomes of it."""
    rng = random.Random(pick)
    replace = msgspec.structs.replace
    groups = shape.groups
    match change:
        case "workers":
            return replace(shape, workers=rng.choice([n for n in (1, 2, 3) if n != shape.workers]))
        case "reflectors":
            return replace(shape, reflectors=3 - shape.reflectors)
        case "scope":
            if rng.random() < 0.5:
                return replace(shape, selector="" if shape.selector else "tier=web")
            return replace(
                shape, namespaces=() if shape.namespaces else tuple(sorted(rng.sample(NAMESPACES, 2)))
            )
        case "indexes":
            return replace(shape, indexes=() if shape.indexes else (".metadata.labels.tier",))
        case "add-group" if len(groups) < GROUPS_MAX:
            return replace(shape, groups=(*groups, _new_group(shape, rng)), serial=shape.serial + 1)
        case "remove-group" | "add-group" if len(groups) > 1:
            return replace(shape, groups=_without(groups, rng.randrange(len(groups))))
        case "rename-group":
            index = rng.randrange(len(groups))
            new = replace(groups[index], name=f"{groups[index].name.split('-')[0]}-{shape.serial}")
            return replace(shape, groups=(*_without(groups, index), new), serial=shape.serial + 1)
        case _:
            index = rng.randrange(len(groups))
            new = replace(groups[index], replicas=3 - groups[index].replicas)
            return replace(shape, groups=(*_without(groups, index), new))


def config(shape: Shape, run: "Places", *, hang_after_s: float | None = None) -> Mapping[str, Any]:
    """The config file of ``deltawire up`` for the shape."""
    informers = []
    for resource in RESOURCES:
        informer: dict[str, Any] = {"resource": resource}
        if shape.namespaces:
            informer["namespaces"] = list(shape.namespaces)
        if shape.selector and resource == "configmaps":
            informer["label_selector"] = shape.selector
        if shape.indexes:
            informer["indexes"] = {f"index-{i}": path for i, path in enumerate(shape.indexes)}
        informers.append(informer)
    runtime: dict[str, Any] = {
        "reflectors": shape.reflectors, "workers": shape.workers, "heartbeat": run.heartbeat_s
    }  # fmt: skip
    if hang_after_s is not None:
        runtime["hang_after"] = hang_after_s
    return {
        "version": 1,
        "clusters": {"chaos": {"kubeconfig": run.kubeconfig}},
        "store": {"dir": run.state},
        "runtime": runtime,
        "metrics": {"listen": run.listen},
        "informers": informers,
        "handlers": [
            {
                "name": LISTER_GROUP,
                "run": run.lister_plugin,
                "env": {"CHAOS_CALLS": f"{run.folder}/{LISTER_GROUP}.found"},
            },
            *(_handler(group, run) for group in shape.groups),
        ],
    }


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run's files are, as texts; ``recorder`` is the recorder's command without its arguments."""

    folder: str
    kubeconfig: str
    state: str
    listen: str
    recorder: Sequence[str]
    lister_plugin: str
    heartbeat_s: float = 0.5


def calls_file(run: Places, group: str) -> str:
    """Where the recorders of a group write."""
    return f"{run.folder}/{group}.calls"


def _handler(group: Group, run: Places) -> dict[str, Any]:
    command = [
        *run.recorder,
        calls_file(run, group.name),
        "--pause-ms",
        f"{group.pause_ms:g}",
        "--fail-every",
        "97",
    ]
    return {
        "name": group.name,
        "command": command,
        "on": list(RESOURCES),
        "delivery": group.delivery,
        "replicas": group.replicas,
        "attempts_max": 1000,
    }


def _new_group(shape: Shape, rng: random.Random) -> Group:
    delivery = rng.choice(("latest", "every"))
    return Group(name=f"{delivery}-{shape.serial}", delivery=delivery, replicas=rng.choice((1, 2)))


def _without(groups: tuple[Group, ...], index: int) -> tuple[Group, ...]:
    return groups[:index] + groups[index + 1 :]
