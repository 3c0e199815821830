"""Defaults that the API server sets in built-in kinds when it reads an object. The object's writer owns them.

Fields that are added later, without an owner, are in `deltawire.apiserver.core.admission`.
"""

from base64 import b64encode
from typing import Any

from deltawire.apiserver.core import hook_defaults
from deltawire.apiserver.core.pod_defaults import pod_spec

Tree = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io"


def fill_in(storage: str, obj: Tree) -> None:
    """Complete an object that is being created or updated, in place."""
    match storage:
        case "namespaces":
            _namespace(obj)
        case "pods":
            obj["spec"] = pod_spec(obj.get("spec") or {}, is_pod=True)
        case "podtemplates":
            _template(obj)
        case "secrets":
            _secret(obj)
        case "replicasets.apps":
            _workload(obj, replicas=1)
        case "replicationcontrollers":
            _replication_controller(obj)
        case "deployments.apps":
            _workload(obj, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
            _rolling(obj, "strategy", {"maxSurge": "25%", "maxUnavailable": "25%"})
        case "statefulsets.apps":
            _stateful_set(obj)
        case "daemonsets.apps":
            _daemon_set(obj)
        case "jobs.batch":
            _job(obj)
        case "cronjobs.batch":
            _cron_job(obj)
        case "services":
            _service(obj)
        case "persistentvolumeclaims":
            _claim(obj)
        case "persistentvolumes":
            _volume(obj)
        case "storageclasses.storage.k8s.io":
            obj.setdefault("reclaimPolicy", "Delete")
            obj.setdefault("volumeBindingMode", "Immediate")
        case "horizontalpodautoscalers.autoscaling":
            _spec(obj, minReplicas=1)
        case "priorityclasses.scheduling.k8s.io":
            obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
        case "networkpolicies.networking.k8s.io":
            _network_policy(obj)
        case "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io":
            _binding(obj)
        case "endpointslices.discovery.k8s.io":
            _endpoint_slice(obj)
        case "customresourcedefinitions.apiextensions.k8s.io":
            _definition(obj)
        case "mutatingwebhookconfigurations.admissionregistration.k8s.io":
            hook_defaults.webhooks(obj, reinvocationPolicy="Never")
        case "validatingwebhookconfigurations.admissionregistration.k8s.io":
            hook_defaults.webhooks(obj)
        case "validatingadmissionpolicies.admissionregistration.k8s.io":
            hook_defaults.policy(obj)
        case "validatingadmissionpolicybindings.admissionregistration.k8s.io":
            hook_defaults.binding(obj)


def _namespace(obj: Tree) -> None:
    metadata = obj["metadata"]
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
    metadata["labels"] = labels


def _secret(obj: Tree) -> None:
    obj.setdefault("type", "Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        encoded = {name: b64encode(str(value).encode()).decode() for name, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _spec(obj: Tree, **values: Any) -> Tree:
    """The spec, completed with these values where it has none; it may be changed."""
    spec: Tree = {**values, **(obj.get("spec") or {})}
    obj["spec"] = spec
    return spec


def _template(holder: Tree) -> None:
    template = holder.get("template")
    if isinstance(template, dict):
        holder["template"] = {**template, "spec": pod_spec(template.get("spec") or {})}


def _workload(obj: Tree, **values: Any) -> Tree:
    spec = _spec(obj, **values)
    _template(spec)
    return spec


def _rolling(obj: Tree, name: str, values: Tree) -> None:
    """How a workload is renewed: bit by bit, unless it says otherwise."""
    spec = obj["spec"]
    strategy = {**(spec.get(name) or {})}
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = values | (strategy.get("rollingUpdate") or {})
    spec[name] = strategy


def _replication_controller(obj: Tree) -> None:
    spec = _workload(obj, replicas=1)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not spec.get("selector"):
        spec["selector"] = dict(labels)


def _stateful_set(obj: Tree) -> None:
    kept = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    spec = _workload(obj, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    spec["persistentVolumeClaimRetentionPolicy"] = kept | (
        spec.get("persistentVolumeClaimRetentionPolicy") or {}
    )
    _rolling(obj, "updateStrategy", {"partition": 0, "maxUnavailable": 1})
    claims = spec.get("volumeClaimTemplates")
    if claims:
        spec["volumeClaimTemplates"] = [_claim_template(claim) for claim in claims]


def _claim_template(claim: Any) -> Any:
    if not isinstance(claim, dict):
        return claim
    made = {**claim, "apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    _claim(made)
    made["status"] = {"phase": "Pending"} | (made.get("status") or {})
    return made


def _daemon_set(obj: Tree) -> None:
    _workload(obj, revisionHistoryLimit=10)
    _rolling(obj, "updateStrategy", {"maxSurge": 0, "maxUnavailable": 1})
    name = "deprecated.daemonset.template.generation"
    annotations = obj["metadata"].get("annotations") or {}
    obj["metadata"]["annotations"] = {name: "1"} | annotations


def _job(obj: Tree) -> None:
    given = obj.get("spec") or {}
    values: Tree = {"completionMode": "NonIndexed", "backoffLimit": 6, "suspend": False}
    values["podReplacementPolicy"] = "TerminatingOrFailed"
    if given.get("podFailurePolicy"):
        values["podReplacementPolicy"] = "Failed"
    if given.get("completions") is None and given.get("parallelism") is None:
        values["completions"] = 1
    _workload(obj, parallelism=1, **values)


def _cron_job(obj: Tree) -> None:
    spec = _spec(
        obj,
        concurrencyPolicy="Allow",
        suspend=False,
        successfulJobsHistoryLimit=3,
        failedJobsHistoryLimit=1,
    )
    job = spec.get("jobTemplate")
    if isinstance(job, dict):
        made = {**job, "spec": dict(job.get("spec") or {})}
        _template(made["spec"])
        spec["jobTemplate"] = made


def _service(obj: Tree) -> None:
    spec = _spec(obj)
    spec["type"] = spec.get("type") or "ClusterIP"
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
    ports = spec.get("ports")
    if isinstance(ports, list):
        spec["ports"] = [_service_port(port) if isinstance(port, dict) else port for port in ports]


def _service_port(port: Tree) -> Tree:
    made = {"protocol": "TCP", **port}
    if not made.get("targetPort") and "port" in made:
        made["targetPort"] = made["port"]
    return made


def _claim(obj: Tree) -> None:
    _spec(obj, volumeMode="Filesystem")


def _volume(obj: Tree) -> None:
    spec = _spec(obj, volumeMode="Filesystem", persistentVolumeReclaimPolicy="Retain")
    if isinstance(spec.get("hostPath"), dict):
        spec["hostPath"] = {"type": "", **spec["hostPath"]}


def _network_policy(obj: Tree) -> None:
    spec = _spec(obj)
    for direction in ("ingress", "egress"):
        for rule in spec.get(direction) or ():
            if isinstance(rule, dict) and rule.get("ports"):
                rule["ports"] = [{"protocol": "TCP", **port} for port in rule["ports"]]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _binding(obj: Tree) -> None:
    role = obj.get("roleRef")
    if isinstance(role, dict):
        obj["roleRef"] = {**role, "apiGroup": role.get("apiGroup") or _RBAC}
    subjects = obj.get("subjects")
    if isinstance(subjects, list):
        obj["subjects"] = [_subject(s) if isinstance(s, dict) else s for s in subjects]


def _subject(subject: Tree) -> Tree:
    is_of_rbac = subject.get("kind") in ("User", "Group") and not subject.get("apiGroup")
    return {**subject, "apiGroup": _RBAC} if is_of_rbac else subject


def _endpoint_slice(obj: Tree) -> None:
    ports = obj.get("ports")
    if isinstance(ports, list):
        obj["ports"] = [
            {"name": "", "protocol": "TCP", **port} if isinstance(port, dict) else port for port in ports
        ]


def _definition(obj: Tree) -> None:
    """Names that follow from others."""
    spec = obj.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("names"), dict):
        return
    names = dict(spec["names"])
    kind = names.get("kind")
    if isinstance(kind, str) and kind:
        names["singular"] = names.get("singular") or kind.lower()
        names["listKind"] = names.get("listKind") or f"{kind}List"
    obj["spec"] = {"conversion": {"strategy": "None"}, **spec, "names": names}
