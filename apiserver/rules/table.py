"""Which rules hold for which kind, by the name of its table. Their order is that of the causes in a refusal."""

from deltawire.apiserver.rules import (
    access,
    affinity,
    cluster,
    contents,
    definitions,
    hooks,
    network,
    pods,
    scaling,
    services,
    storage,
    workloads,
)
from deltawire.apiserver.rules.at import at, below, need, quantity
from deltawire.apiserver.rules.causes import Cause, ChangeRule, Rule, Tree, immutable
from deltawire.apiserver.rules.workloads import counts, lasting, not_negative, selector_of, template_fits

_HISTORY = not_negative("spec.revisionHistoryLimit")
_RBAC = "rbac.authorization.k8s.io"
_HOOKS = "admissionregistration.k8s.io"
_FLOW = "flowcontrol.apiserver.k8s.io"

RULES: dict[str, tuple[Rule, ...]] = {
    "configmaps": (contents.config_map,),
    "secrets": (contents.secret,),
    "pods": (pods.pod,),
    "podtemplates": (pods.template("template"),),
    "replicationcontrollers": (
        *not_negative("spec.minReadySeconds", "spec.replicas"),
        workloads.replication_controller,
    ),
    "deployments.apps": (
        *not_negative("spec.replicas"),
        selector_of("deployment"),
        template_fits,
        *lasting("ReplicaSet"),
        workloads.strategy,
        *not_negative("spec.minReadySeconds"),
        *_HISTORY,
        *not_negative("spec.progressDeadlineSeconds"),
        workloads.progress,
    ),
    "replicasets.apps": (
        *not_negative("spec.replicas", "spec.minReadySeconds"),
        selector_of("deployment"),
        template_fits,
        *lasting("ReplicaSet"),
    ),
    "statefulsets.apps": workloads.STATEFUL,
    "daemonsets.apps": (
        template_fits,
        selector_of("daemonset", is_needed=False),
        *lasting("DaemonSet"),
        *not_negative("spec.minReadySeconds"),
        workloads.daemon_strategy,
        *_HISTORY,
    ),
    "controllerrevisions.apps": (cluster.revision,),
    "jobs.batch": workloads.job(),
    "cronjobs.batch": workloads.CRON,
    "services": services.SERVICE,
    "endpoints": services.ENDPOINTS,
    "endpointslices.discovery.k8s.io": services.SLICE,
    "ingresses.networking.k8s.io": network.INGRESS,
    "ingressclasses.networking.k8s.io": network.INGRESS_CLASS,
    "networkpolicies.networking.k8s.io": network.POLICY,
    "servicecidrs.networking.k8s.io": network.SERVICE_CIDR,
    "ipaddresses.networking.k8s.io": network.IP_ADDRESS,
    "horizontalpodautoscalers.autoscaling": scaling.AUTOSCALER,
    "poddisruptionbudgets.policy": scaling.BUDGET,
    "nodes": (affinity.taints,),
    "persistentvolumeclaims": storage.CLAIM,
    "persistentvolumes": storage.VOLUME,
    "resourcequotas": (cluster.quota,),
    "limitranges": (cluster.ranges,),
    "events": (cluster.beside_its_object,),
    f"roles.{_RBAC}": access.ROLE,
    f"clusterroles.{_RBAC}": access.CLUSTER_ROLE,
    f"rolebindings.{_RBAC}": access.BINDING,
    f"clusterrolebindings.{_RBAC}": access.CLUSTER_BINDING,
    "certificatesigningrequests.certificates.k8s.io": access.CERTIFICATE_REQUEST,
    "storageclasses.storage.k8s.io": storage.CLASS,
    "volumeattributesclasses.storage.k8s.io": (need("driverName"),),
    "volumeattachments.storage.k8s.io": storage.ATTACHMENT,
    "csidrivers.storage.k8s.io": storage.CSI_DRIVER,
    "csinodes.storage.k8s.io": storage.CSI_NODE,
    "csistoragecapacities.storage.k8s.io": storage.CAPACITY,
    "priorityclasses.scheduling.k8s.io": (cluster.priority,),
    "leases.coordination.k8s.io": cluster.LEASE,
    "runtimeclasses.node.k8s.io": cluster.RUNTIME_CLASS,
    "apiservices.apiregistration.k8s.io": (cluster.api_service,),
    f"flowschemas.{_FLOW}": (cluster.flow_schema,),
    f"prioritylevelconfigurations.{_FLOW}": (cluster.priority_level,),
    f"mutatingwebhookconfigurations.{_HOOKS}": (hooks.webhooks,),
    f"validatingwebhookconfigurations.{_HOOKS}": (hooks.webhooks,),
    f"validatingadmissionpolicies.{_HOOKS}": (hooks.policy,),
    f"validatingadmissionpolicybindings.{_HOOKS}": (hooks.binding,),
}

_SELECTOR_STAYS = immutable("spec.selector")
CHANGES: dict[str, tuple[ChangeRule, ...]] = {
    "customresourcedefinitions.apiextensions.k8s.io": definitions.CHANGES,
    "configmaps": (contents.kept_if_immutable("data", "binaryData"),),
    "secrets": (contents.kept_if_immutable("data"), immutable("type")),
    "pods": (pods.pod_change,),
    "services": (services.address_stays, services.class_stays),
    "deployments.apps": (_SELECTOR_STAYS,),
    "replicasets.apps": (_SELECTOR_STAYS,),
    "daemonsets.apps": (_SELECTOR_STAYS,),
    "controllerrevisions.apps": (workloads.revision_kept,),
    "statefulsets.apps": (workloads.stateful_change,),
    "jobs.batch": (
        workloads.completions_stay,
        _SELECTOR_STAYS,
        workloads.job_template_stays,
        immutable("spec.completionMode"),
        immutable("spec.podFailurePolicy"),
        immutable("spec.backoffLimitPerIndex"),
        immutable("spec.managedBy"),
    ),
    "persistentvolumeclaims": (storage.claim_change,),
    "persistentvolumes": (storage.volume_change, immutable("spec.volumeMode")),
    "resourcequotas": (cluster.quota_change,),
    f"rolebindings.{_RBAC}": (access.role_reference_stays,),
    f"clusterrolebindings.{_RBAC}": (access.role_reference_stays,),
    "storageclasses.storage.k8s.io": (
        storage.frozen("parameters", "provisioner", "reclaimPolicy"),
        immutable("volumeBindingMode"),
    ),
    "volumeattributesclasses.storage.k8s.io": (storage.frozen("driverName", "parameters"),),
    "servicecidrs.networking.k8s.io": (immutable("spec.cidrs"),),
    "ipaddresses.networking.k8s.io": (immutable("spec.parentRef"),),
    "volumeattachments.storage.k8s.io": (immutable("spec"),),
    "csidrivers.storage.k8s.io": (storage.driver_change,),
    "csistoragecapacities.storage.k8s.io": (immutable("nodeTopology"), immutable("storageClassName")),
    "priorityclasses.scheduling.k8s.io": (cluster.priority_change,),
    "runtimeclasses.node.k8s.io": (immutable("handler"),),
    "ingressclasses.networking.k8s.io": (immutable("spec.controller"),),
    "endpointslices.discovery.k8s.io": (immutable("addressType"),),
    "certificatesigningrequests.certificates.k8s.io": (
        immutable("spec.request"),
        immutable("spec.signerName"),
        immutable("spec.usages"),
    ),
}

_OF_PODS = ("readyReplicas", "availableReplicas")
# Rules of a status that is written under its own path.
STATUS: dict[str, tuple[Rule, ...]] = {
    "deployments.apps": (counts("updatedReplicas", *_OF_PODS, ready="readyReplicas"),),
    "replicasets.apps": (counts("fullyLabeledReplicas", *_OF_PODS, ready="readyReplicas"),),
    "replicationcontrollers": (counts("fullyLabeledReplicas", *_OF_PODS, ready="readyReplicas"),),
    "statefulsets.apps": (counts("readyReplicas", "currentReplicas", "updatedReplicas"),),
    "daemonsets.apps": not_negative(
        "status.currentNumberScheduled",
        "status.numberMisscheduled",
        "status.desiredNumberScheduled",
        "status.numberReady",
        "status.observedGeneration",
        "status.updatedNumberScheduled",
        "status.numberAvailable",
        "status.numberUnavailable",
    ),
    "jobs.batch": not_negative("status.active", "status.succeeded", "status.failed", "status.ready"),
    "horizontalpodautoscalers.autoscaling": not_negative("status.currentReplicas", "status.desiredReplicas"),
    "poddisruptionbudgets.policy": not_negative(
        "status.disruptionsAllowed", "status.currentHealthy", "status.desiredHealthy", "status.expectedPods"
    ),
    "nodes": (at("status.capacity{*}", quantity), at("status.allocatable{*}", quantity)),
    "resourcequotas": (at("status.hard{*}", quantity), at("status.used{*}", quantity)),
    "certificatesigningrequests.certificates.k8s.io": (below("status.conditions[*]", need("type")),),
}


def causes_of(storage_name: str, obj: Tree) -> list[Cause]:
    """All that is wrong with an object."""
    return [found for rule in RULES.get(storage_name, ()) for found in rule(obj)]


def causes_of_status(storage_name: str, obj: Tree) -> list[Cause]:
    """All that is wrong with an object's status."""
    return [found for rule in STATUS.get(storage_name, ()) for found in rule(obj)]


def causes_of_change(storage_name: str, old: Tree, new: Tree) -> list[Cause]:
    """What of a change is not allowed."""
    return [found for rule in CHANGES.get(storage_name, ()) for found in rule(old, new)]
