"""What all pods have in common: who runs in them, what they may, which files they see."""

import hashlib
from collections.abc import Sequence
from typing import Any

from deltawire.cli.manifest import shape as places
from deltawire.cli.manifest.shape import Shape

Tree = dict[str, Any]
# Of a role, so that what is in flight is acknowledged; then files are synced to the disk.
SYNC_S = 25

POD_SECURITY: Tree = {
    "runAsNonRoot": True,
    "runAsUser": places.USER_ID,
    "runAsGroup": places.USER_ID,
    "fsGroup": places.USER_ID,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Tree = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def pod(
    shape: Shape,
    component: str,
    account: str,
    container: Tree,
    volumes: list[Tree],
    grace_s: int,
    read: Sequence[str],
) -> Tree:
    """A pod's template. ``read``: the text of what it reads once, at its start; a change of it rolls the pods."""
    digest = hashlib.sha256("\0".join(read).encode()).hexdigest()
    return {
        "metadata": {"labels": shape.labels(component), "annotations": {"checksum/config": digest}},
        "spec": {
            "serviceAccountName": account,
            "securityContext": POD_SECURITY,
            "terminationGracePeriodSeconds": grace_s,
            "containers": [container | {"image": shape.image, "securityContext": CONTAINER_SECURITY}],
            "volumes": volumes,
        },
    }


def files(config: str, allowed: str, secret: str) -> list[Tree]:
    """The volumes of every pod: its config, the list of keys with its own secrets, and what ends with the pod."""
    return [config_map("config", config), keys(allowed, secret), scratch("run", "16Mi"), scratch("tmp", "64Mi")]


def mounts(*own: Tree) -> list[Tree]:
    """Where every container has these, and its ``own`` between what is read and what is written."""
    return [
        mount("config", places.CONFIG_DIR),
        mount("keys", places.KEYS_DIR),
        *own,
        mount("run", places.RUN_MOUNT, read_only=False),
        mount("tmp", "/tmp", read_only=False),  # noqa: S108  # a volume of the pod's own
    ]


def mount(name: str, path: str, *, read_only: bool = True) -> Tree:
    return {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {})


def config_map(name: str, source: str) -> Tree:
    return {"name": name, "configMap": {"name": source}}


def keys(allowed: str, secret: str) -> Tree:
    """The list of keys and a process' own secrets, as one folder."""
    return {
        "name": "keys",
        "projected": {
            "defaultMode": 0o440,
            "sources": [{"configMap": {"name": allowed}}, {"secret": {"name": secret}}],
        },
    }


def scratch(name: str, size: str) -> Tree:
    """A folder in memory, which ends with the pod."""
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": size}}


def http_probe(path: str, period_s: int, failures: int) -> Tree:
    return {
        "httpGet": {"path": path, "port": "metrics"},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def health_probe(period_s: int, failures: int) -> Tree:
    """Fresh while the handler's loop turns and its sessions are open (`runtime.health`)."""
    return {
        "exec": {"command": ["sh", "-c", f"find {places.HEALTH_FILE} -newermt -10seconds | grep -q ."]},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
