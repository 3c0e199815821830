"""A small operator, as somebody might write it with kopf: run with ``python -m kopf run --standalone``."""

from typing import Any

import kopf

_TICK_S = 0.2


@kopf.on.startup()
def settle(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = True
    settings.persistence.finalizer = "example.net/operator"
    settings.peering.standalone = True


@kopf.on.create("example.net", "v1", "widgets")
def created(spec: kopf.Spec, name: str, namespace: str, body: kopf.Body, **_: Any) -> dict[str, Any]:
    kopf.info(body, reason="Made", message=f"{name} has size {spec['size']}")
    return {"size": spec["size"]}


@kopf.on.update("example.net", "v1", "widgets", field="spec.size")
def updated(old: Any, new: Any, patch: kopf.Patch, **_: Any) -> None:
    patch.status["resized"] = f"{old} to {new}"


@kopf.timer("example.net", "v1", "widgets", interval=_TICK_S)
def tick(status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    ticks = status.get("ticks", 0)
    if ticks < 2:
        patch.status["ticks"] = ticks + 1


@kopf.daemon("example.net", "v1", "widgets")
async def watch_over(stopped: kopf.DaemonStopped, body: kopf.Body, **_: Any) -> None:
    kopf.info(body, reason="Guarded", message="from now on")
    await stopped.wait()
    kopf.info(body, reason="Unguarded", message="no more")


@kopf.on.delete("example.net", "v1", "widgets")
def deleted(name: str, body: kopf.Body, **_: Any) -> None:
    kopf.info(body, reason="Unmade", message=name)
