"""Which rules hold for which kind, by the name of its table. Their order is that of the causes in a refusal."""

from deltawire.apiserver.rules import contents, definitions, hooks, network, pods, workloads
from deltawire.apiserver.rules.causes import (
    Cause,
    ChangeRule,
    Rule,
    Tree,
    immutable,
    not_negative,
    one_of,
    present,
)

_REPLICAS = not_negative("spec.replicas", "spec.minReadySeconds")
_WORKLOAD: tuple[Rule, ...] = (
    workloads.selector_of,
    _REPLICAS,
    workloads.template_fits,
    workloads.template("Always"),
)

RULES: dict[str, tuple[Rule, ...]] = {
    "configmaps": (contents.config_map,),
    "secrets": (contents.secret,),
    "pods": (pods.pod_spec,),
    "podtemplates": (lambda obj: pods.pod_spec(obj, "template.spec"),),
    "deployments.apps": (*_WORKLOAD, workloads.strategy),
    "replicasets.apps": _WORKLOAD,
    "statefulsets.apps": (
        workloads.selector_of,
        _REPLICAS,
        workloads.template_fits,
        workloads.template("Always"),
        one_of("spec.podManagementPolicy", "OrderedReady", "Parallel"),
    ),
    "daemonsets.apps": _WORKLOAD,
    "jobs.batch": (
        not_negative("spec.parallelism", "spec.completions", "spec.backoffLimit"),
        workloads.template("OnFailure", "Never"),
    ),
    "cronjobs.batch": (
        workloads.cron,
        one_of("spec.concurrencyPolicy", "Allow", "Forbid", "Replace"),
    ),
    "services": (
        network.service_ports,
        network.external_name,
        one_of("spec.type", "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"),
        one_of("spec.sessionAffinity", "ClientIP", "None"),
    ),
    "horizontalpodautoscalers.autoscaling": (network.autoscaler,),
    "poddisruptionbudgets.policy": (network.budget,),
    "persistentvolumeclaims": (network.claim,),
    "roles.rbac.authorization.k8s.io": (network.role,),
    "clusterroles.rbac.authorization.k8s.io": (network.role,),
    "endpointslices.discovery.k8s.io": (one_of("addressType", "FQDN", "IPv4", "IPv6"),),
    "storageclasses.storage.k8s.io": (present("provisioner"),),
    "events": (network.beside_its_object,),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": (hooks.webhooks,),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": (hooks.webhooks,),
    "validatingadmissionpolicies.admissionregistration.k8s.io": (hooks.policy,),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": (hooks.binding,),
}

_SELECTOR_STAYS = immutable("spec.selector")
CHANGES: dict[str, tuple[ChangeRule, ...]] = {
    "customresourcedefinitions.apiextensions.k8s.io": definitions.CHANGES,
    "configmaps": (contents.kept_if_immutable("data", "binaryData"),),
    "secrets": (contents.kept_if_immutable("data"), immutable("type")),
    "pods": (pods.pod_change,),
    "services": (network.address_stays,),
    "deployments.apps": (_SELECTOR_STAYS,),
    "replicasets.apps": (_SELECTOR_STAYS,),
    "daemonsets.apps": (_SELECTOR_STAYS,),
    "statefulsets.apps": (workloads.stateful_change,),
    "jobs.batch": (_SELECTOR_STAYS, workloads.job_template_stays),
    "rolebindings.rbac.authorization.k8s.io": (network.role_reference_stays,),
    "clusterrolebindings.rbac.authorization.k8s.io": (network.role_reference_stays,),
    "storageclasses.storage.k8s.io": (
        immutable("provisioner", "updates to provisioner are forbidden."),
        immutable("reclaimPolicy", "updates to reclaimPolicy are forbidden."),
    ),
}


def causes_of(storage: str, obj: Tree) -> list[Cause]:
    """All that is wrong with an object."""
    return [found for rule in RULES.get(storage, ()) for found in rule(obj)]


def causes_of_change(storage: str, old: Tree, new: Tree) -> list[Cause]:
    """What of a change is not allowed."""
    return [found for rule in CHANGES.get(storage, ()) for found in rule(old, new)]
