"""Containers of a pod as its object shows them: which there are, which run, and what starts and ends them.

There is no kubelet here: the pod's status decides whether a container runs, whatever client wrote it.
"""

from collections.abc import Callable
from typing import Any

from deltawire.apiserver.core import failures
from deltawire.apiserver.core.metadata import timestamp
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.store import Store

Tree = dict[str, Any]
PODS = "pods"
_KINDS = ("containers", "initContainers", "ephemeralContainers")
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")


def container_of(pod: Record, container: str) -> str:
    """The container meant; a pod with several must name one. Raises StatusError 400."""
    spec = pod.decode().get("spec") or {}
    if container:
        if container not in [name for kind in _KINDS for name in _names(spec, kind)]:
            raise failures.bad_request(f"container {container} is not valid for pod {pod.name}")
        return container
    names = _names(spec, "containers")
    if len(names) > 1:
        told = f"a container name must be specified for pod {pod.name}, choose one of: [{' '.join(names)}]"
        raise failures.bad_request(told)
    return names[0] if names else ""


def declared_ports(pod: Record) -> frozenset[int]:
    """The TCP ports that the pod's containers say they listen on."""
    return frozenset(
        port["containerPort"]
        for container in (pod.decode().get("spec") or {}).get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("protocol", "TCP") == "TCP" and isinstance(port.get("containerPort"), int)
    )


def is_running(pod: Tree, container: str = "") -> bool:
    """Whether a process in that container could be reached; "" asks for the pod as a whole."""
    status = pod.get("status") or {}
    if status.get("phase") != "Running":
        return False
    for entry in (entry for kind in _STATUSES for entry in status.get(kind) or ()):
        if container and entry.get("name") == container:
            state = entry.get("state") or {}
            return not (state.get("terminated") or state.get("waiting"))
    return True


def as_running(pod: Tree, node: str, now_s: float) -> Tree:
    """``pod`` as a kubelet shows it when all its containers have started; on ``node`` if it had none."""
    now = timestamp(now_s)
    spec = dict(pod.get("spec") or {})
    spec["nodeName"] = spec.get("nodeName") or node
    status = dict(pod.get("status") or {})
    status |= {
        "phase": "Running",
        "startTime": status.get("startTime") or now,
        "conditions": _with_conditions(status, dict.fromkeys(_CONDITIONS, True), now),
        "containerStatuses": [
            {
                "name": str(container.get("name", "")),
                "image": str(container.get("image", "")),
                "imageID": "",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for container in spec.get("containers") or ()
        ],
    }
    return {**pod, "spec": spec, "status": status}


def as_ended(pod: Tree, container: str, exit_code: int, now_s: float) -> Tree:
    """``pod`` after that container has exited; with the last one the pod has succeeded or failed."""
    now = timestamp(now_s)
    status = dict(pod.get("status") or {})
    names = _names(pod.get("spec") or {}, "containers")
    entries = {str(entry.get("name", "")): dict(entry) for entry in status.get("containerStatuses") or ()}
    entry = entries.setdefault(container, {"name": container, "restartCount": 0})
    started = ((entry.get("state") or {}).get("running") or {}).get("startedAt") or now
    terminated = {"exitCode": exit_code, "startedAt": started, "finishedAt": now}
    terminated["reason"] = "Error" if exit_code else "Completed"
    entry |= {"ready": False, "started": False, "state": {"terminated": terminated}}
    status["containerStatuses"] = list(entries.values())
    codes = [
        ((entries.get(name, {}).get("state") or {}).get("terminated") or {}).get("exitCode") for name in names
    ]
    if None not in codes:
        status["phase"] = "Failed" if any(codes) else "Succeeded"
    status["conditions"] = _with_conditions(status, {"ContainersReady": False, "Ready": False}, now)
    return {**pod, "status": status}


class PodLife:
    """Follows one pod (and one of its containers) from now on; ``wake`` is called when it may have ended.

    For one thread. `close` it, or use it as a context manager.
    """

    def __init__(self, store: Store, pod: Record, container: str, wake: Callable[[], None]) -> None:
        self._store = store
        self._pod = pod
        self._container = container
        self._wake = wake
        self._seen: Record | None = None
        self._is_running = False
        self._window = store.table(PODS).window
        self._window.subscribe(wake)

    @property
    def is_over(self) -> bool:
        """Whether the container does not run (any more), or the pod is gone or another one."""
        table = self._store.table(PODS)
        if table.window is not self._window:  # the store was rewound
            self.close()
            self._window = table.window
            self._window.subscribe(self._wake)
        record = table.records.get(self._pod.key)
        if record is None or record.uid != self._pod.uid:
            return True
        if record is not self._seen:
            self._seen, self._is_running = record, is_running(record.decode(), self._container)
        return not self._is_running

    def close(self) -> None:
        self._window.unsubscribe(self._wake)

    def __enter__(self) -> "PodLife":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _names(spec: Tree, kind: str) -> list[str]:
    return [str(item.get("name", "")) for item in spec.get(kind) or ()]


def _with_conditions(status: Tree, truths: dict[str, bool], now: str) -> list[Tree]:
    others = [c for c in status.get("conditions") or () if c.get("type") not in truths]
    made = [
        {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": now}
        for kind, holds in truths.items()
    ]
    return [*others, *made]
