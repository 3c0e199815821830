"""What the API server adds to built-in objects on its own behalf: it belongs to no manager.

Real servers do this in admission plug-ins and in each kind's strategy, after the owners of the fields are settled.
"""

from collections.abc import Callable
from typing import Any

from deltawire.apiserver.core import failures
from deltawire.apiserver.core.addresses import Addresses, without_what_its_type_had
from deltawire.apiserver.core.metadata import timestamp
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.core.store import Store
from deltawire.apiserver.kinds.quantities import amount

Tree = dict[str, Any]

_TOLERATED_S = 300
_UNSCHEDULABLE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_PRIORITY_CLASSES = "priorityclasses.scheduling.k8s.io"
# Classes that every cluster has.
_SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class Admission:
    """Completes objects in place, in the form in which they are stored. ``now`` gives Unix seconds."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._addresses = Addresses(store)

    def on_create(self, resource: Resource, obj: Tree) -> None:
        """Raises StatusError 403 for what may not be created, 422 for an address that is taken."""
        match resource.storage:
            case "namespaces":
                obj["spec"] = {"finalizers": ["kubernetes"]} | (obj.get("spec") or {})
                obj["status"] = {**(obj.get("status") or {}), "phase": "Active"}
            case "pods":
                self._pod(obj)
            case "services":
                self._addresses.give(resource, obj)
            case "jobs.batch":
                _job(obj)
            case "persistentvolumeclaims":
                obj["status"] = {"phase": "Pending"} | (obj.get("status") or {})
                _hold(obj, "kubernetes.io/pvc-protection")
            case "persistentvolumes":
                obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": timestamp(self._now())}
                _hold(obj, "kubernetes.io/pv-protection")

    def on_update(self, resource: Resource, old: Tree, obj: Tree) -> None:
        """Keeps what the server has added."""
        if resource.storage == "pods":
            self._keep(old, obj, ("priority", "preemptionPolicy"))
            spec = obj["spec"]
            if spec.get("serviceAccountName"):
                spec["serviceAccount"] = spec["serviceAccountName"]
            spec["tolerations"] = _tolerations(spec.get("tolerations") or [])
            status = obj.get("status")
            if isinstance(status, dict):
                if status.get("podIP") and not status.get("podIPs"):
                    status["podIPs"] = [{"ip": status["podIP"]}]
                if "qosClass" not in status and "qosClass" in (old.get("status") or {}):
                    status["qosClass"] = old["status"]["qosClass"]
        elif resource.storage == "services":
            without_what_its_type_had(old, obj)
            names = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
            if (obj.get("spec") or {}).get("type") != "ExternalName":
                self._keep(old, obj, names)
            self._addresses.keep_ports(old, obj)

    def check(self, resource: Resource, old: Tree | None, obj: Tree) -> None:
        """What real servers refuse in an admission plug-in. Raises StatusError 403."""
        if resource.storage == "pods" and old is None:
            name = obj["spec"].get("priorityClassName") or ""
            known = self._store.table(_PRIORITY_CLASSES).records
            if name and name not in _SYSTEM_PRIORITIES and f"/{name}" not in known:
                why = f"no PriorityClass with name {name} was found"
                raise failures.forbidden(resource, obj["metadata"]["name"], why)

    def _keep(self, old: Tree, obj: Tree, names: tuple[str, ...]) -> None:
        before, spec = old.get("spec") or {}, dict(obj.get("spec") or {})
        for name in names:
            if name in before:
                spec.setdefault(name, before[name])
        obj["spec"] = spec

    def _pod(self, obj: Tree) -> None:
        spec = obj["spec"] = dict(obj.get("spec") or {})
        account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = account
        priority, policy = self._priority(obj)
        spec.setdefault("priority", priority)
        spec.setdefault("preemptionPolicy", policy)
        spec["tolerations"] = _tolerations(spec.get("tolerations") or [])
        obj["status"] = {"phase": "Pending", "qosClass": quality_of_service(spec)}

    def _priority(self, pod: Tree) -> tuple[int, str]:
        name = pod["spec"].get("priorityClassName") or ""
        default = (0, "PreemptLowerPriority")
        table = self._store.table(_PRIORITY_CLASSES)
        if not name:
            for record in table.records.values():
                known = record.decode()
                if known.get("globalDefault"):
                    pod["spec"]["priorityClassName"] = record.name
                    return known.get("value", 0), known.get("preemptionPolicy", default[1])
            return default
        if name in _SYSTEM_PRIORITIES:
            return _SYSTEM_PRIORITIES[name], default[1]
        named = table.records.get(f"/{name}")
        if named is None:
            return default
        known = named.decode()
        return known.get("value", 0), known.get("preemptionPolicy", default[1])


def _tolerations(given: list[Tree]) -> list[Tree]:
    """Pods stay for a while on a node that is not there any more."""
    added = []
    for key in _UNSCHEDULABLE:
        if not any(_covers(toleration, key) for toleration in given):
            added.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _TOLERATED_S,
                }
            )
    return [*given, *added]


def _covers(toleration: Tree, key: str) -> bool:
    is_of_key = toleration.get("key") == key or not toleration.get("key")
    return is_of_key and toleration.get("effect") in (None, "", "NoExecute")


def quality_of_service(spec: Tree) -> str:
    """Guaranteed, Burstable or BestEffort, by the CPU and memory that the containers ask for."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    is_guaranteed, asks = True, False
    for container in containers:
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in ("cpu", "memory"):
            limit, request = limits.get(name), requests.get(name, limits.get(name))
            asks |= any(value is not None and amount(value) > 0 for value in (limit, request))
            if limit is None or request is None or amount(limit) != amount(request):
                is_guaranteed = False
    if not asks:
        return "BestEffort"
    return "Guaranteed" if is_guaranteed else "Burstable"


def _job(obj: Tree) -> None:
    """A job's selector is its own: it is made from the job's uid."""
    spec, metadata = dict(obj.get("spec") or {}), obj["metadata"]
    if spec.get("manualSelector") or spec.get("selector"):
        return
    marks = {"controller-uid": metadata["uid"], "job-name": metadata["name"]}
    marks |= {f"batch.kubernetes.io/{name}": value for name, value in marks.items()}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}
    template = spec.get("template") or {}
    about = template.get("metadata") or {}
    spec["template"] = {**template, "metadata": {**about, "labels": (about.get("labels") or {}) | marks}}
    obj["spec"] = spec


def _hold(obj: Tree, finalizer: str) -> None:
    finalizers = obj["metadata"].get("finalizers") or []
    if finalizer not in finalizers:
        obj["metadata"]["finalizers"] = [*finalizers, finalizer]
