"""Which columns the table of a resource has, in the order in which kubectl shows them."""

from typing import NamedTuple

from deltawire.apiserver.core.resource import PrinterColumn, Resource
from deltawire.apiserver.http import cells
from deltawire.apiserver.http.cells import Cell, aged, at, containers, selector
from deltawire.common.errors import ConfigError
from deltawire.common.meta.jsonpath import Path


class Column(NamedTuple):
    """``priority`` above 0 shows only with ``-o wide``."""

    name: str
    cell: Cell
    priority: int = 0
    type: str = "string"
    description: str = ""


_NAME_TOLD = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow "
    "a client to request the generation of an appropriate name automatically. Name is primarily intended for "
    "creation idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_CREATED_TOLD = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not "
    "guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is "
    "represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_DATA_TOLD = (
    "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'. Values "
    "with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data must not overlap with the "
    "keys in the BinaryData field, this is enforced during validation process."
)


def columns_of(resource: Resource) -> list[Column]:
    """The columns, the name first. Custom resources say theirs; without any they have an age."""
    if resource.is_custom and resource.columns:
        return [_NAME, *(_printed(column) for column in resource.columns)]
    if resource.storage in _WITHOUT_NAME_FIRST:
        return _WITHOUT_NAME_FIRST[resource.storage]
    return [_NAME, *_BY_RESOURCE.get(resource.storage, [_AGE])]


def _printed(column: PrinterColumn) -> Column:
    try:
        path = Path.parse(column.path)
    except ConfigError:
        # kubectl's language knows more than this server: a cell that cannot be worked out stays empty.
        return Column(column.name, lambda obj, now_s: None, column.priority, column.type)

    def cell(obj: cells.Tree, now_s: float) -> object:
        found = path.find(obj)
        if not found or found[0] is None:
            return None
        if column.type == "date":
            return cells.age(str(found[0]), now_s)
        if column.type in ("integer", "number", "boolean") and isinstance(found[0], int | float):
            return found[0]
        return ",".join(str(value) for value in found) if column.type == "string" else str(found[0])

    told = f"Custom resource definition column (in JSONPath format): {column.path}"
    kind = "string" if column.type == "date" else column.type
    return Column(column.name, cell, column.priority, kind, told)


def _count(name: str, path: str, priority: int = 0) -> Column:
    return Column(name, at(path, 0), priority, "integer")


def _wide(name: str, cell: Cell) -> Column:
    return Column(name, cell, 1)


_NAME = Column("Name", lambda obj, now_s: obj["metadata"]["name"], description=_NAME_TOLD)
_AGE = Column("Age", aged(), description=_CREATED_TOLD)
_CREATED = Column("Created At", at("metadata.creationTimestamp"))
_TEMPLATE = [
    _wide("Containers", containers("name")),
    _wide("Images", containers("image")),
    _wide("Selector", selector()),
]

_BY_RESOURCE: dict[str, list[Column]] = {
    "pods": [
        Column("Ready", cells.ready_containers),
        Column("Status", cells.pod_status),
        Column("Restarts", cells.restarts),
        _AGE,
        _wide("IP", at("status.podIP")),
        _wide("Node", at("spec.nodeName")),
        _wide("Nominated Node", at("status.nominatedNodeName")),
        _wide("Readiness Gates", lambda obj, now_s: cells.NONE),
    ],
    "nodes": [
        Column("Status", cells.node_status),
        Column("Roles", cells.node_roles),
        _AGE,
        Column("Version", at("status.nodeInfo.kubeletVersion")),
        _wide("Internal-IP", cells.node_address("InternalIP")),
        _wide("External-IP", cells.node_address("ExternalIP")),
        _wide("OS-Image", at("status.nodeInfo.osImage", "<unknown>")),
        _wide("Kernel-Version", at("status.nodeInfo.kernelVersion", "<unknown>")),
        _wide("Container-Runtime", at("status.nodeInfo.containerRuntimeVersion", "<unknown>")),
    ],
    "namespaces": [Column("Status", at("status.phase")), _AGE],
    "configmaps": [
        Column("Data", cells.entries("data", "binaryData"), description=_DATA_TOLD),
        _AGE,
    ],
    "secrets": [Column("Type", at("type")), Column("Data", cells.entries("data"), type="integer"), _AGE],
    "services": [
        Column("Type", at("spec.type")),
        Column("Cluster-IP", at("spec.clusterIP")),
        Column("External-IP", cells.external_address),
        Column("Port(s)", cells.service_ports),
        _AGE,
        _wide("Selector", selector()),
    ],
    "serviceaccounts": [Column("Secrets", cells.entries("secrets"), type="integer"), _AGE],
    "endpoints": [Column("Endpoints", cells.endpoint_addresses), _AGE],
    "persistentvolumeclaims": [
        Column("Status", at("status.phase", "")),
        Column("Volume", at("spec.volumeName", "")),
        Column("Capacity", at("status.capacity.storage", "")),
        Column("Access Modes", cells.access_modes("status.accessModes")),
        Column("StorageClass", at("spec.storageClassName", "")),
        Column("VolumeAttributesClass", at("spec.volumeAttributesClassName", "<unset>")),
        _AGE,
        _wide("VolumeMode", at("spec.volumeMode", "Filesystem")),
    ],
    "persistentvolumes": [
        Column("Capacity", at("spec.capacity.storage", "")),
        Column("Access Modes", cells.access_modes("spec.accessModes")),
        Column("Reclaim Policy", at("spec.persistentVolumeReclaimPolicy", "")),
        Column("Status", at("status.phase", "")),
        Column("Claim", cells.claim),
        Column("StorageClass", at("spec.storageClassName", "")),
        Column("VolumeAttributesClass", at("spec.volumeAttributesClassName", "<unset>")),
        Column("Reason", at("status.reason", "")),
        _AGE,
        _wide("VolumeMode", at("spec.volumeMode", "<unset>")),
    ],
    "replicationcontrollers": [
        _count("Desired", "spec.replicas"),
        _count("Current", "status.replicas"),
        _count("Ready", "status.readyReplicas"),
        _AGE,
        *_TEMPLATE,
    ],
    "resourcequotas": [
        Column("Request", cells.quota_use("requests")),
        Column("Limit", cells.quota_use("limits")),
        _AGE,
    ],
    "limitranges": [_CREATED],
    "deployments.apps": [
        Column("Ready", cells.of_wanted("status.readyReplicas", "spec.replicas")),
        _count("Up-to-date", "status.updatedReplicas"),
        _count("Available", "status.availableReplicas"),
        _AGE,
        *_TEMPLATE,
    ],
    "replicasets.apps": [
        _count("Desired", "spec.replicas"),
        _count("Current", "status.replicas"),
        _count("Ready", "status.readyReplicas"),
        _AGE,
        *_TEMPLATE,
    ],
    "statefulsets.apps": [
        Column("Ready", cells.of_wanted("status.readyReplicas", "spec.replicas")),
        _AGE,
        *_TEMPLATE[:2],
    ],
    "daemonsets.apps": [
        _count("Desired", "status.desiredNumberScheduled"),
        _count("Current", "status.currentNumberScheduled"),
        _count("Ready", "status.numberReady"),
        _count("Up-to-date", "status.updatedNumberScheduled"),
        _count("Available", "status.numberAvailable"),
        Column("Node Selector", selector("spec.template.spec.nodeSelector")),
        _AGE,
        *_TEMPLATE,
    ],
    "controllerrevisions.apps": [
        Column("Controller", lambda obj, now_s: _owner(obj)),
        _count("Revision", "revision"),
        _AGE,
    ],
    "jobs.batch": [
        Column("Status", cells.job_status),
        Column("Completions", cells.of_wanted("status.succeeded", "spec.completions", 1)),
        Column("Duration", cells.job_duration),
        _AGE,
        *_TEMPLATE,
    ],
    "cronjobs.batch": [
        Column("Schedule", at("spec.schedule")),
        Column("Timezone", at("spec.timeZone")),
        Column("Suspend", lambda obj, now_s: str(bool(cells.look(obj, "spec.suspend")))),
        Column("Active", lambda obj, now_s: len(cells.items(obj, "status.active")), type="integer"),
        Column("Last Schedule", aged("status.lastScheduleTime", cells.NONE)),
        _AGE,
    ],
    "horizontalpodautoscalers.autoscaling": [
        Column("Reference", cells.scale_target),
        Column("Targets", cells.scale_targets),
        Column("MinPods", at("spec.minReplicas", "<unset>")),
        _count("MaxPods", "spec.maxReplicas"),
        _count("Replicas", "status.currentReplicas"),
        _AGE,
    ],
    "ingresses.networking.k8s.io": [
        Column("Class", at("spec.ingressClassName")),
        Column("Hosts", cells.ingress_hosts),
        Column("Address", cells.ingress_address),
        Column("Ports", cells.ingress_ports),
        _AGE,
    ],
    "networkpolicies.networking.k8s.io": [Column("Pod-Selector", selector("spec.podSelector")), _AGE],
    "ingressclasses.networking.k8s.io": [
        Column("Controller", at("spec.controller")),
        Column("Parameters", at("spec.parameters.name")),
        _AGE,
    ],
    "poddisruptionbudgets.policy": [
        Column("Min Available", at("spec.minAvailable", "N/A")),
        Column("Max Unavailable", at("spec.maxUnavailable", "N/A")),
        _count("Allowed Disruptions", "status.disruptionsAllowed"),
        _AGE,
    ],
    **{
        f"{plural}.rbac.authorization.k8s.io": [
            Column("Role", cells.role_reference),
            _AGE,
            _wide("Users", cells.subjects("User")),
            _wide("Groups", cells.subjects("Group")),
            _wide("ServiceAccounts", cells.subjects("ServiceAccount")),
        ]
        for plural in ("rolebindings", "clusterrolebindings")
    },
    **{f"{plural}.rbac.authorization.k8s.io": [_CREATED] for plural in ("roles", "clusterroles")},
    "priorityclasses.scheduling.k8s.io": [
        _count("Value", "value"),
        Column("Global-Default", at("globalDefault", False), type="boolean"),
        _AGE,
        Column("PreemptionPolicy", at("preemptionPolicy", "")),
    ],
    "leases.coordination.k8s.io": [Column("Holder", at("spec.holderIdentity", "")), _AGE],
    "servicecidrs.networking.k8s.io": [Column("CIDRs", cells.cidrs), _AGE],
    "endpointslices.discovery.k8s.io": [
        Column("AddressType", at("addressType", "")),
        Column("Ports", cells.slice_ports),
        Column("Endpoints", cells.slice_endpoints),
        _AGE,
    ],
    "customresourcedefinitions.apiextensions.k8s.io": [_CREATED],
    "certificatesigningrequests.certificates.k8s.io": [
        _AGE,
        Column("SignerName", at("spec.signerName")),
        Column("Requestor", at("spec.username")),
        Column("RequestedDuration", cells.request_duration),
        Column("Condition", cells.request_status),
    ],
}
# Tables that do not begin with the bare name.
_WITHOUT_NAME_FIRST: dict[str, list[Column]] = {
    "events": [
        Column("Last Seen", cells.event_age),
        Column("Type", at("type", "")),
        Column("Reason", at("reason", "")),
        Column("Object", cells.event_object),
        _wide("Subobject", at("involvedObject.fieldPath", "")),
        _wide("Source", cells.event_source),
        Column("Message", at("message", "")),
        _wide("First Seen", cells.event_first_seen),
        Column("Count", cells.event_count, 1, "integer"),
        _wide("Name", _NAME.cell),
    ],
    "storageclasses.storage.k8s.io": [
        Column("Name", cells.storage_class_name),
        Column("Provisioner", at("provisioner")),
        Column("ReclaimPolicy", at("reclaimPolicy", "Delete")),
        Column("VolumeBindingMode", at("volumeBindingMode", "Immediate")),
        Column("AllowVolumeExpansion", at("allowVolumeExpansion", False), type="boolean"),
        _AGE,
    ],
}


def _owner(obj: cells.Tree) -> str:
    owners = cells.items(obj, "metadata.ownerReferences")
    return f"{str(owners[0].get('kind')).lower()}/{owners[0].get('name')}" if owners else cells.NONE
