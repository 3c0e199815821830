"""What the API server fills in for built-in kinds. Only what clients and people rely on."""

from base64 import b64encode
from typing import Any


def fill_in(storage: str, obj: dict[str, Any]) -> None:
    """Complete an object that is being created or updated, in place."""
    match storage:
        case "namespaces":
            _namespace(obj)
        case "pods":
            _pod(obj)
        case "secrets":
            _secret(obj)
        case "deployments.apps" | "replicasets.apps" | "statefulsets.apps":
            spec = obj["spec"] = dict(obj.get("spec") or {})
            spec.setdefault("replicas", 1)
        case "services":
            spec = obj["spec"] = dict(obj.get("spec") or {})
            spec.setdefault("type", "ClusterIP")
            spec.setdefault("sessionAffinity", "None")


def _namespace(obj: dict[str, Any]) -> None:
    metadata = obj["metadata"]
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
    metadata["labels"] = labels
    obj["spec"] = {"finalizers": ["kubernetes"]} | (obj.get("spec") or {})
    obj["status"] = {"phase": "Active"} | (obj.get("status") or {})


def _pod(obj: dict[str, Any]) -> None:
    spec = obj["spec"] = dict(obj.get("spec") or {})
    for name, value in (
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("dnsPolicy", "ClusterFirst"),
        ("serviceAccountName", "default"),
        ("schedulerName", "default-scheduler"),
    ):
        spec.setdefault(name, value)
    obj["status"] = {"phase": "Pending"} | (obj.get("status") or {})


def _secret(obj: dict[str, Any]) -> None:
    obj.setdefault("type", "Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        encoded = {name: b64encode(str(value).encode()).decode() for name, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
