"""The roles and bindings that a cluster with RBAC is born with, as far as the kinds served here go."""

from typing import Any

from deltawire.apiserver.access.policy import read_policy
from deltawire.apiserver.access.rules import Rule
from deltawire.apiserver.access.stored import GROUP
from deltawire.apiserver.auth.users import AUTHENTICATED, MASTERS, UNAUTHENTICATED
from deltawire.apiserver.core.api import ApiCore

Tree = dict[str, Any]

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_CREATE = ("create",)

_HEALTH = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY = (*_HEALTH, "/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")

_POD_STREAMS = ("pods/attach", "pods/exec", "pods/portforward", "pods/proxy")
_APPS = (
    "daemonsets",
    "deployments",
    "deployments/scale",
    "replicasets",
    "replicasets/scale",
    "statefulsets",
    "statefulsets/scale",
)
_CORE = (
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "serviceaccounts",
    "services",
)

# What namespace users may read: nothing that lets them become somebody else, so no secrets.
_VIEW = (
    Rule(_READ, ("",), (*_CORE, "endpoints", "persistentvolumeclaims/status", "services/status")),
    Rule(
        _READ,
        ("",),
        (
            "bindings",
            "events",
            "limitranges",
            "namespaces/status",
            "pods/log",
            "pods/status",
            "replicationcontrollers/status",
            "resourcequotas",
            "resourcequotas/status",
        ),
    ),
    Rule(_READ, ("",), ("namespaces",)),
    Rule(_READ, ("discovery.k8s.io",), ("endpointslices",)),
    Rule(
        _READ,
        ("apps",),
        (
            *_APPS,
            "controllerrevisions",
            "daemonsets/status",
            "deployments/status",
            "replicasets/status",
            "statefulsets/status",
        ),
    ),
    Rule(_READ, ("autoscaling",), ("horizontalpodautoscalers", "horizontalpodautoscalers/status")),
    Rule(_READ, ("batch",), ("cronjobs", "cronjobs/status", "jobs", "jobs/status")),
    Rule(_READ, ("policy",), ("poddisruptionbudgets", "poddisruptionbudgets/status")),
    Rule(_READ, ("networking.k8s.io",), ("ingresses", "ingresses/status", "networkpolicies")),
)
_EDIT = (
    Rule(_READ, ("",), (*_POD_STREAMS, "secrets", "services/proxy")),
    Rule(("impersonate",), ("",), ("serviceaccounts",)),
    Rule(_WRITE, ("",), ("pods", *_POD_STREAMS)),
    Rule(_CREATE, ("",), ("pods/eviction",)),
    Rule(_WRITE, ("",), (*(r for r in _CORE if r != "pods"), "events", "secrets", "services/proxy")),
    Rule(_CREATE, ("",), ("serviceaccounts/token",)),
    Rule(_WRITE, ("apps",), (*_APPS, "deployments/rollback")),
    Rule(_WRITE, ("autoscaling",), ("horizontalpodautoscalers",)),
    Rule(_WRITE, ("batch",), ("cronjobs", "jobs")),
    Rule(_WRITE, ("policy",), ("poddisruptionbudgets",)),
    Rule(_WRITE, ("networking.k8s.io",), ("ingresses", "networkpolicies")),
    Rule((*_READ, *_WRITE), ("coordination.k8s.io",), ("leases",)),
)
_ADMIN = (
    Rule(_CREATE, ("authorization.k8s.io",), ("localsubjectaccessreviews",)),
    Rule((*_READ, *_WRITE), (GROUP,), ("rolebindings", "roles")),
)
_ROLES = {
    "cluster-admin": (Rule(("*",), ("*",), ("*",)), Rule(("*",), paths=("*",))),
    "system:discovery": (Rule(("get",), paths=_DISCOVERY),),
    "system:public-info-viewer": (Rule(("get",), paths=_HEALTH),),
    "system:basic-user": (
        Rule(_CREATE, ("authorization.k8s.io",), ("selfsubjectaccessreviews", "selfsubjectrulesreviews")),
        Rule(_CREATE, ("authentication.k8s.io",), ("selfsubjectreviews",)),
    ),
    "system:auth-delegator": (
        Rule(_CREATE, ("authentication.k8s.io",), ("tokenreviews",)),
        Rule(_CREATE, ("authorization.k8s.io",), ("subjectaccessreviews",)),
    ),
}
_BINDINGS = {
    "cluster-admin": (MASTERS,),
    "system:discovery": (AUTHENTICATED,),
    "system:basic-user": (AUTHENTICATED,),
    "system:public-info-viewer": (AUTHENTICATED, UNAUTHENTICATED),
}
# Each of these is made of the roles labelled for it; of those, the last is its own part.
_AGGREGATED = {
    "view": ("edit", "system:aggregate-to-view", _VIEW),
    "edit": ("admin", "system:aggregate-to-edit", _EDIT),
    "admin": ("", "system:aggregate-to-admin", _ADMIN),
}


def make_first_roles(core: ApiCore) -> None:
    """Make those roles and bindings that are missing."""
    for resource, objects in (
        (f"clusterroles.{GROUP}", first_cluster_roles()),
        (f"clusterrolebindings.{GROUP}", first_cluster_role_bindings()),
    ):
        there = core.store.table(resource).records
        for obj in objects:
            if f"/{obj['metadata']['name']}" not in there:
                core.create(resource, obj)


def first_cluster_roles() -> list[Tree]:
    roles = [_role(name, rules) for name, rules in _ROLES.items()]
    for name, (part_of, own, rules) in _AGGREGATED.items():
        aggregated = _role(name, (), part_of=part_of)
        aggregated["aggregationRule"] = {
            "clusterRoleSelectors": [{"matchLabels": {f"{_AGGREGATE}{name}": "true"}}]
        }
        roles += [aggregated, _role(own, rules, part_of=name)]
    policy = read_policy(cluster_roles=roles)
    for role in roles:
        # For people who look at it: decisions are made from the parts.
        role["rules"] = [_tree(rule) for rule in policy.roles["", role["metadata"]["name"]]]
    return roles


def first_cluster_role_bindings() -> list[Tree]:
    return [
        {
            "metadata": _metadata(name),
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group} for group in groups],
        }
        for name, groups in _BINDINGS.items()
    ]


def _role(name: str, rules: tuple[Rule, ...], *, part_of: str = "") -> Tree:
    metadata = _metadata(name)
    if part_of:
        metadata["labels"][f"{_AGGREGATE}{part_of}"] = "true"
    return {"metadata": metadata, "rules": [_tree(rule) for rule in rules]}


def _metadata(name: str) -> Tree:
    return {"name": name, "labels": dict(_LABELS), "annotations": dict(_ANNOTATIONS)}


def _tree(rule: Rule) -> Tree:
    tree = {
        "verbs": rule.verbs,
        "apiGroups": rule.groups,
        "resources": rule.resources,
        "resourceNames": rule.names,
        "nonResourceURLs": rule.paths,
    }
    return {name: list(words) for name, words in tree.items() if words}
