"""The built-in resources this server serves and the facts in which they differ.

Field selectors, name rules and answers to deletes follow the API server's registry of each kind.
"""

from dataclasses import replace

from deltawire.apiserver.core import views
from deltawire.apiserver.core.further import FURTHER
from deltawire.apiserver.core.resource import (
    LABEL,
    LABEL_1035,
    REPLICAS,
    SEGMENT,
    VERBS,
    Resource,
    Subresource,
)
from deltawire.common.meta.resources import BUILTIN, ResourceType

_POD_FIELDS = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)
_EVENT_V1_FIELDS = {
    "regarding.kind": "involvedObject.kind",
    "regarding.namespace": "involvedObject.namespace",
    "regarding.name": "involvedObject.name",
    "regarding.uid": "involvedObject.uid",
    "regarding.apiVersion": "involvedObject.apiVersion",
    "regarding.resourceVersion": "involvedObject.resourceVersion",
    "regarding.fieldPath": "involvedObject.fieldPath",
    "reportingController": "reportingComponent",
    "reason": "reason",
    "type": "type",
}
_ALL = ("all",)
_TYPES: dict[str, ResourceType] = {known.name: known for known in BUILTIN}
_CREATE = ("create",)

LOG = Subresource("log", ("get",), is_raw=True)
EVICTION = Subresource("eviction", _CREATE, "Eviction", "policy", "v1")
BINDING = Subresource("binding", _CREATE, "Binding")
EPHEMERAL_CONTAINERS = Subresource("ephemeralcontainers", ("get", "patch", "update"))
TOKEN = Subresource("token", _CREATE, "TokenRequest", "authentication.k8s.io", "v1")
_CONNECT = ("create", "get")
EXEC = Subresource("exec", _CONNECT, "PodExecOptions", is_raw=True)
ATTACH = Subresource("attach", _CONNECT, "PodAttachOptions", is_raw=True)
PORT_FORWARD = Subresource("portforward", _CONNECT, "PodPortForwardOptions", is_raw=True)
_PROXIED = ("create", "delete", "get", "patch", "update")
POD_PROXY = Subresource("proxy", _PROXIED, "PodProxyOptions", is_raw=True)
RESIZE = Subresource("resize", ("get", "patch", "update"))
NODE_PROXY = Subresource("proxy", _PROXIED, "NodeProxyOptions", is_raw=True)
SERVICE_PROXY = Subresource("proxy", _PROXIED, "ServiceProxyOptions", is_raw=True)
FINALIZE = Subresource("finalize", ("update",))
APPROVAL = Subresource("approval", ("get", "patch", "update"))


def _served(name: str, **facts: object) -> Resource:
    return replace(Resource(_TYPES[name]), **facts)  # type: ignore[arg-type]  # names are checked by replace


def _workload(name: str, **facts: object) -> Resource:
    return _served(name, has_status=True, has_generation=True, categories=_ALL, **facts)


def _scaled(name: str, **facts: object) -> Resource:
    return _workload(name, scale=REPLICAS, **facts)


def _rbac(plural: str) -> Resource:
    return _served(f"{plural}.rbac.authorization.k8s.io", name_rule=SEGMENT, creates_on_update=True)


def _review(group: str, kind: str, *, namespaced: bool = False) -> Resource:
    """A question: what is posted comes back with its answer."""
    plural = f"{kind.lower()}s"
    return Resource(ResourceType(group, "v1", plural, kind, namespaced, kind.lower()), verbs=_CREATE)


_HPA = _TYPES["horizontalpodautoscalers.autoscaling"]
_EVENT = _TYPES["events"]

BUILTIN_RESOURCES: tuple[Resource, ...] = (
    # A binding is created through its pod, or by itself.
    Resource(ResourceType("", "v1", "bindings", "Binding", True, "binding"), verbs=_CREATE),
    _served(
        "namespaces",
        verbs=tuple(verb for verb in VERBS if verb != "deletecollection"),
        has_status=True,
        fields=("status.phase",),
        name_rule=LABEL,
        answers_delete_with_object=True,
        actions=(FINALIZE,),
    ),
    Resource(
        ResourceType("", "v1", "componentstatuses", "ComponentStatus", False, "componentstatus", ("cs",)),
        verbs=("get", "list"),
    ),
    _served(
        "nodes",
        has_status=True,
        takes_status_on_create=True,
        fields=("spec.unschedulable",),
        actions=(NODE_PROXY,),
    ),
    _workload(
        "pods",
        fields=_POD_FIELDS,
        answers_delete_with_object=True,
        actions=(LOG, EVICTION, BINDING, EPHEMERAL_CONTAINERS, EXEC, ATTACH, PORT_FORWARD, POD_PROXY, RESIZE),
    ),
    _served("configmaps"),
    _served("secrets", fields=("type",)),
    _served(
        "services",
        has_status=True,
        categories=_ALL,
        name_rule=LABEL_1035,
        answers_delete_with_object=True,
        actions=(SERVICE_PROXY,),
    ),
    _served("serviceaccounts", answers_delete_with_object=True, actions=(TOKEN,)),
    _served("events", fields=_EVENT_FIELDS, creates_on_update=True),
    _served("endpoints", creates_on_update=True),
    _served("persistentvolumeclaims", has_status=True, answers_delete_with_object=True),
    _served("persistentvolumes", has_status=True, answers_delete_with_object=True),
    _scaled("replicationcontrollers", fields=("status.replicas",)),
    _served("resourcequotas", has_status=True, answers_delete_with_object=True),
    _served("limitranges", creates_on_update=True),
    _served("podtemplates", has_generation=True, answers_delete_with_object=True, creates_on_update=True),
    _scaled("deployments.apps"),
    _scaled("replicasets.apps"),
    _scaled("statefulsets.apps"),
    _workload("daemonsets.apps"),
    _served("controllerrevisions.apps"),
    _workload("jobs.batch", fields=("status.successful",)),
    _workload("cronjobs.batch"),
    _served("horizontalpodautoscalers.autoscaling", has_status=True, categories=_ALL),
    Resource(
        replace(_HPA, version="v1"), has_status=True, categories=_ALL, conversion=views.autoscaler_v1(_HPA)
    ),
    _served("ingresses.networking.k8s.io", has_status=True, has_generation=True),
    _served("networkpolicies.networking.k8s.io", has_generation=True),
    _served("ingressclasses.networking.k8s.io", has_generation=True),
    _served("poddisruptionbudgets.policy", has_status=True, has_generation=True),
    *(_rbac(plural) for plural in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")),
    _served("storageclasses.storage.k8s.io", answers_delete_with_object=True),
    _served("priorityclasses.scheduling.k8s.io", has_generation=True, creates_on_update=True),
    _served("leases.coordination.k8s.io", needs_version_on_update=True, creates_on_update=True),
    _served("endpointslices.discovery.k8s.io"),
    Resource(
        ResourceType("events.k8s.io", "v1", "events", "Event", True, "event", ("ev",)),
        fields=_EVENT_FIELDS,
        field_names=_EVENT_V1_FIELDS,
        creates_on_update=True,
        conversion=views.events_v1(_EVENT),
    ),
    Resource(
        ResourceType(
            "certificates.k8s.io",
            "v1",
            "certificatesigningrequests",
            "CertificateSigningRequest",
            False,
            "certificatesigningrequest",
            ("csr",),
        ),
        has_status=True,
        fields=("spec.signerName",),
        name_rule=SEGMENT,
        actions=(APPROVAL,),
    ),
    *FURTHER,
    _review("authentication.k8s.io", "SelfSubjectReview"),
    _review("authentication.k8s.io", "TokenReview"),
    _review("authorization.k8s.io", "SelfSubjectAccessReview"),
    _review("authorization.k8s.io", "SelfSubjectRulesReview"),
    _review("authorization.k8s.io", "SubjectAccessReview"),
    _review("authorization.k8s.io", "LocalSubjectAccessReview", namespaced=True),
    _served(
        "customresourcedefinitions.apiextensions.k8s.io",
        has_status=True,
        has_generation=True,
        categories=("api-extensions",),
        name_rule=SEGMENT,
    ),
)
