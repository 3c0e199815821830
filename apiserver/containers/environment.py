"""The environment of a container's programs."""

from typing import Any

Tree = dict[str, Any]
_USUAL = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
}


def environment_of(pod: Tree, container: str) -> dict[str, str]:
    """What every container has, and the values that its specification names, without those taken from elsewhere."""
    spec = pod.get("spec") or {}
    found = {**_USUAL, "HOSTNAME": str(spec.get("hostname") or pod["metadata"]["name"])}
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for entry in spec.get(kind) or ():
            if entry.get("name") == container:
                for variable in entry.get("env") or ():
                    if "valueFrom" not in variable:
                        found[str(variable.get("name", ""))] = str(variable.get("value") or "")
    return found
