"""Bodies of simulated nodes, as kubelets register them."""

from typing import Any

Tree = dict[str, Any]

# The version of Kubernetes whose API is served.
KUBELET_VERSION = "v1.35.0"
_CAPACITY = {
    "cpu": "8",
    "ephemeral-storage": "100Gi",
    "hugepages-2Mi": "0",
    "memory": "32Gi",
    "pods": "110",
}
# Condition, whether it holds, reason, message.
_CONDITIONS = (
    ("MemoryPressure", False, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", False, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", False, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", True, "KubeletReady", "kubelet is posting ready status"),
)
_IDENTITY = {
    "kernelVersion": "6.1.0",
    "osImage": "Simulated Linux",
    "containerRuntimeVersion": "containerd://2.0.0",
    "kubeletVersion": KUBELET_VERSION,
    "kubeProxyVersion": "",
    "operatingSystem": "linux",
    "architecture": "amd64",
}


def node(number: int, now: str) -> Tree:
    """The ``number``-th node, ready since ``now``."""
    name = f"node-{number}"
    cidr = f"10.{number // 250 + 1}.{number % 250}.0/24"
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": f"zone-{number % 3 + 1}",
    }
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr], "providerID": f"simulated://{name}"},
        "status": {
            "capacity": dict(_CAPACITY),
            "allocatable": dict(_CAPACITY),
            "addresses": [
                {"type": "InternalIP", "address": f"10.0.{number // 250}.{number % 250 + 1}"},
                {"type": "Hostname", "address": name},
            ],
            "conditions": [
                {
                    "type": kind,
                    "status": "True" if holds else "False",
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                    "reason": reason,
                    "message": message,
                }
                for kind, holds, reason, message in _CONDITIONS
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "machineID": f"{number:032x}",
                "systemUUID": f"00000000-0000-0000-0000-{number:012x}",
                "bootID": f"00000000-0000-0000-0001-{number:012x}",
                **_IDENTITY,
            },
        },
    }


def internal_address(node: Tree) -> str:
    """Where a node is reached; "" if it does not say."""
    for address in (node.get("status") or {}).get("addresses") or ():
        if address.get("type") == "InternalIP":
            return str(address.get("address", ""))
    return ""


def is_ready(node: Tree) -> bool:
    """Whether pods are run there: a node without a reported status has no kubelet."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
