"""What the API server fills in for built-in kinds. Only what clients and people rely on."""

from base64 import b64encode
from typing import Any

_POD_SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}


def fill_in(storage: str, obj: dict[str, Any]) -> None:
    """Complete an object that is being created or updated, in place."""
    match storage:
        case "namespaces":
            _namespace(obj)
        case "pods":
            _pod(obj)
        case "secrets":
            _secret(obj)
        case "replicasets.apps" | "replicationcontrollers":
            _workload(obj, replicas=1)
        case "deployments.apps":
            _workload(obj, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
            _rolling(obj, "strategy", {"maxSurge": "25%", "maxUnavailable": "25%"})
        case "statefulsets.apps":
            _workload(obj, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
            _rolling(obj, "updateStrategy", {"partition": 0})
        case "daemonsets.apps":
            _workload(obj, revisionHistoryLimit=10)
            _rolling(obj, "updateStrategy", {"maxSurge": 0, "maxUnavailable": 1})
        case "jobs.batch":
            _job(obj)
        case "cronjobs.batch":
            _spec(
                obj,
                concurrencyPolicy="Allow",
                suspend=False,
                successfulJobsHistoryLimit=3,
                failedJobsHistoryLimit=1,
            )
        case "services":
            _service(obj)
        case "persistentvolumeclaims":
            _spec(obj, volumeMode="Filesystem")
            obj["status"] = {"phase": "Pending"} | (obj.get("status") or {})
        case "persistentvolumes":
            _spec(obj, volumeMode="Filesystem", persistentVolumeReclaimPolicy="Retain")
            obj["status"] = {"phase": "Available"} | (obj.get("status") or {})
        case "storageclasses.storage.k8s.io":
            obj.setdefault("reclaimPolicy", "Delete")
            obj.setdefault("volumeBindingMode", "Immediate")
        case "horizontalpodautoscalers.autoscaling":
            _spec(obj, minReplicas=1)
        case "priorityclasses.scheduling.k8s.io":
            obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _namespace(obj: dict[str, Any]) -> None:
    metadata = obj["metadata"]
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
    metadata["labels"] = labels
    obj["spec"] = {"finalizers": ["kubernetes"]} | (obj.get("spec") or {})
    obj["status"] = {"phase": "Active"} | (obj.get("status") or {})


def _pod(obj: dict[str, Any]) -> None:
    spec = obj["spec"] = _pod_spec(obj.get("spec") or {})
    spec.setdefault("serviceAccountName", "default")
    obj["status"] = {"phase": "Pending"} | (obj.get("status") or {})


def _secret(obj: dict[str, Any]) -> None:
    obj.setdefault("type", "Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        encoded = {name: b64encode(str(value).encode()).decode() for name, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _spec(obj: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The spec, completed with these values where it has none; it may be changed."""
    spec: dict[str, Any] = {**values, **(obj.get("spec") or {})}
    obj["spec"] = spec
    return spec


def _workload(obj: dict[str, Any], **values: Any) -> dict[str, Any]:
    spec = _spec(obj, **values)
    template = spec.get("template")
    if isinstance(template, dict):
        spec["template"] = {**template, "spec": _pod_spec(template.get("spec") or {})}
    return spec


def _rolling(obj: dict[str, Any], name: str, values: dict[str, Any]) -> None:
    """How a workload is renewed: bit by bit, unless it says otherwise."""
    spec = obj["spec"]
    strategy = {"type": "RollingUpdate", **(spec.get(name) or {})}
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = values | (strategy.get("rollingUpdate") or {})
    spec[name] = strategy


def _job(obj: dict[str, Any]) -> None:
    """A job's selector is its own: real servers make it from the job's uid."""
    given = obj.get("spec") or {}
    values: dict[str, Any] = {"completionMode": "NonIndexed", "backoffLimit": 6, "suspend": False}
    if given.get("completions") is None and given.get("parallelism") is None:
        values["completions"] = 1
    spec = _workload(obj, parallelism=1, **values)
    metadata = obj["metadata"]
    if spec.get("manualSelector") or spec.get("selector") or "uid" not in metadata:
        return
    marks = {"controller-uid": metadata["uid"], "job-name": metadata["name"]}
    marks |= {f"batch.kubernetes.io/{name}": value for name, value in marks.items()}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}
    template = spec.get("template") or {}
    about = template.get("metadata") or {}
    labels = {**(about.get("labels") or {}), **marks}
    spec["template"] = {**template, "metadata": {**about, "labels": labels}}


def _service(obj: dict[str, Any]) -> None:
    spec = _spec(obj, type="ClusterIP", sessionAffinity="None")
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    ports = spec.get("ports")
    if isinstance(ports, list):
        spec["ports"] = [_service_port(port) if isinstance(port, dict) else port for port in ports]


def _service_port(port: dict[str, Any]) -> dict[str, Any]:
    made = {"protocol": "TCP", **port}
    if not made.get("targetPort") and "port" in made:
        made["targetPort"] = made["port"]
    return made


def _pod_spec(given: dict[str, Any]) -> dict[str, Any]:
    spec = {**_POD_SPEC, **given}
    containers = spec.get("containers")
    if isinstance(containers, list) and any(isinstance(c, dict) and c.get("ports") for c in containers):
        spec["containers"] = [_container(c) if isinstance(c, dict) else c for c in containers]
    return spec


def _container(given: dict[str, Any]) -> dict[str, Any]:
    ports = given.get("ports")
    if not isinstance(ports, list):
        return given
    return {**given, "ports": [{"protocol": "TCP", **p} if isinstance(p, dict) else p for p in ports]}
