"""What a kubelet writes of the pods it runs."""

from collections.abc import Mapping
from typing import Any

Tree = dict[str, Any]

# The exit code of a process that was killed.
KILLED = 137
_NOT_READY = "ContainersNotReady"
_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def started(pod: Tree, *, number: int, host: str, address: str, now: str) -> Tree:
    """The status of ``pod`` once its init containers have ended well and its containers run.

    ``number`` makes the ids of its containers, which no two pods share.
    """
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    truths = dict.fromkeys(_CONDITIONS, True)
    gates = [str(gate.get("conditionType")) for gate in spec.get("readinessGates") or ()]
    held = {c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"}
    truths["Ready"] = set(gates) <= held
    address = host if spec.get("hostNetwork") else address
    made: Tree = {
        **status,
        "phase": "Running",
        "conditions": with_conditions(status, truths, now),
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": status.get("startTime") or now,
        "containerStatuses": [
            _running(container, f"{number:060x}{place:04x}", now)
            for place, container in enumerate(spec.get("containers") or ())
        ],
    }
    inits = spec.get("initContainers") or ()
    if inits:
        made["initContainerStatuses"] = [
            # One that is restarted always goes on beside the others.
            _running(container, f"{number:060x}{place:04x}", now)
            if container.get("restartPolicy") == "Always"
            else _ended(_running(container, f"{number:060x}{place:04x}", now), 0, now, is_ready=True)
            for place, container in enumerate(inits, start=0x100)
        ]
    return made


def creating(pod: Tree, *, host: str, now: str) -> Tree:
    """The status of ``pod`` while its node makes its containers."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    truths = dict.fromkeys(_CONDITIONS, False) | {"PodScheduled": True, "Initialized": True}
    return {
        **status,
        "conditions": with_conditions(status, truths, now, why=_NOT_READY),
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "startTime": status.get("startTime") or now,
        "containerStatuses": [
            {
                "name": str(container.get("name", "")),
                "state": {"waiting": {"reason": "ContainerCreating"}},
                "lastState": {},
                "ready": False,
                "started": False,
                "restartCount": 0,
                "image": str(container.get("image", "")),
                "imageID": "",
            }
            for container in spec.get("containers") or ()
        ],
    }


def stopped(pod: Tree, *, now: str) -> Tree:
    """The status of ``pod`` once its containers were killed."""
    status = pod.get("status") or {}
    truths = dict.fromkeys(("PodReadyToStartContainers", "Ready", "ContainersReady"), False)
    return {
        **status,
        "phase": "Failed",
        "conditions": with_conditions(status, truths, now, why="PodFailed"),
        "containerStatuses": [
            _ended(entry, KILLED, now, is_ready=False) if "running" in (entry.get("state") or {}) else entry
            for entry in status.get("containerStatuses") or ()
        ],
    }


def with_ephemeral(pod: Tree, *, number: int, now: str) -> Tree | None:
    """The status with all debugging containers running; None where they do already."""
    status = pod.get("status") or {}
    known = [str(entry.get("name")) for entry in status.get("ephemeralContainerStatuses") or ()]
    new = [c for c in (pod.get("spec") or {}).get("ephemeralContainers") or () if c.get("name") not in known]
    if not new:
        return None
    entries = [
        {**_running(container, f"{number:060x}{place:04x}", now), "ready": False}
        for place, container in enumerate(new, start=0x200)
    ]
    return {
        **status,
        "ephemeralContainerStatuses": [*(status.get("ephemeralContainerStatuses") or ()), *entries],
    }


def unscheduled(status: Tree, reason: str, message: str, now: str) -> Tree:
    """The status of a pod for which there is no node."""
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    for known in status.get("conditions") or ():
        if {name: known.get(name) for name in condition} == condition:
            return status
    others = [c for c in status.get("conditions") or () if c.get("type") != "PodScheduled"]
    condition["lastTransitionTime"] = now
    return {**status, "conditions": [*others, condition]}


def with_conditions(
    status: Tree, truths: Mapping[str, bool], now: str, *, why: str = "ReadinessGatesNotReady"
) -> list[Tree]:
    """The conditions with those of ``truths`` set; times move only where something changes.

    ``why`` is the reason of readiness that is lacking.
    """
    earlier = {str(c.get("type")): c for c in status.get("conditions") or ()}
    made = []
    for kind, holds in truths.items():
        known, value = earlier.pop(kind, {}), "True" if holds else "False"
        if known.get("status") == value:
            made.append(known)
        else:
            condition = {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": now}
            if not holds and kind in ("Ready", "ContainersReady"):
                condition["reason"] = why
            made.append(condition)
    return [*earlier.values(), *made]


def has_ended(pod: Tree) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Tree) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _running(container: Tree, number: str, now: str) -> Tree:
    image = str(container.get("image", ""))
    return {
        "name": str(container.get("name", "")),
        "state": {"running": {"startedAt": now}},
        "lastState": {},
        "ready": True,
        "started": True,
        "restartCount": 0,
        "image": image,
        "imageID": f"{image.partition('@')[0]}@sha256:{image.encode().hex():0<64.64}" if image else "",
        "containerID": f"containerd://{number}",
    }


def _ended(entry: Tree, exit_code: int, now: str, *, is_ready: bool) -> Tree:
    terminated = {
        "exitCode": exit_code,
        "reason": "Error" if exit_code else "Completed",
        "startedAt": ((entry.get("state") or {}).get("running") or {}).get("startedAt", now),
        "finishedAt": now,
        "containerID": entry.get("containerID", ""),
    }
    return {**entry, "state": {"terminated": terminated}, "ready": is_ready, "started": False}
