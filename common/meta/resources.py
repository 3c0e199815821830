"""Naming resources as kubectl does: plural, singular, short name, kind, with group and version or without."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One resource of an API: where it lives and what it is called.

    ``group`` is "" for the core group. ``name`` is its canonical printed form: ``pods``,
    ``deployments.apps``.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    singular: str = ""
    short_names: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path, e.g. ``/apis/apps/v1/namespaces/default/deployments/web/scale``."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def answers_to(self, word: str) -> bool:
        """True if ``word`` (lower case, without group) is one of its names."""
        return word in (self.plural, self.singular or self.kind.lower(), self.kind.lower(), *self.short_names)


def _t(group: str, version: str, plural: str, kind: str, short: str = "", *, ns: bool = True) -> ResourceType:
    return ResourceType(group, version, plural, kind, ns, kind.lower(), tuple(short.split()))


# Resources that every cluster serves, in kubectl's order of preference (core first). Names that are not
# here are found by discovery.
BUILTIN: tuple[ResourceType, ...] = (
    _t("", "v1", "pods", "Pod", "po"),
    _t("", "v1", "services", "Service", "svc"),
    _t("", "v1", "configmaps", "ConfigMap", "cm"),
    _t("", "v1", "secrets", "Secret"),
    _t("", "v1", "namespaces", "Namespace", "ns", ns=False),
    _t("", "v1", "nodes", "Node", "no", ns=False),
    _t("", "v1", "events", "Event", "ev"),
    _t("", "v1", "endpoints", "Endpoints", "ep"),
    _t("", "v1", "serviceaccounts", "ServiceAccount", "sa"),
    _t("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc"),
    _t("", "v1", "persistentvolumes", "PersistentVolume", "pv", ns=False),
    _t("", "v1", "replicationcontrollers", "ReplicationController", "rc"),
    _t("", "v1", "resourcequotas", "ResourceQuota", "quota"),
    _t("", "v1", "limitranges", "LimitRange", "limits"),
    _t("", "v1", "podtemplates", "PodTemplate"),
    _t("apps", "v1", "deployments", "Deployment", "deploy"),
    _t("apps", "v1", "replicasets", "ReplicaSet", "rs"),
    _t("apps", "v1", "statefulsets", "StatefulSet", "sts"),
    _t("apps", "v1", "daemonsets", "DaemonSet", "ds"),
    _t("apps", "v1", "controllerrevisions", "ControllerRevision"),
    _t("batch", "v1", "jobs", "Job"),
    _t("batch", "v1", "cronjobs", "CronJob", "cj"),
    _t("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa"),
    _t("networking.k8s.io", "v1", "ingresses", "Ingress", "ing"),
    _t("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", "netpol"),
    _t("networking.k8s.io", "v1", "ingressclasses", "IngressClass", ns=False),
    _t("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb"),
    _t("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    _t("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    _t("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", ns=False),
    _t("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", ns=False),
    _t("storage.k8s.io", "v1", "storageclasses", "StorageClass", "sc", ns=False),
    _t("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", "pc", ns=False),
    _t("coordination.k8s.io", "v1", "leases", "Lease"),
    _t("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    _t(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "crd crds",
        ns=False,
    ),
    _t("apiregistration.k8s.io", "v1", "apiservices", "APIService", ns=False),
)


# Custom resources that a config names, as its API servers said (`Config.resources`); of this process.
_LEARNT: list[ResourceType] = []


def learn(types: Sequence[ResourceType]) -> None:
    """From now on `find` knows these, too, in place of those that it learnt before."""
    _LEARNT[:] = types


@dataclass(frozen=True, slots=True)
class ResourceQuery:
    """A resource as a person wrote it, taken apart: ``deployments.v1.apps`` → (deployments, v1, apps)."""

    word: str
    version: str = ""
    group: str = ""

    def matches(self, candidate: ResourceType) -> bool:
        return (
            candidate.answers_to(self.word)
            and (not self.group or candidate.group == self.group)
            and (not self.version or candidate.version == self.version)
        )


def _looks_like_version(word: str) -> bool:
    """``v1``, ``v1beta2``, as Kubernetes names versions."""
    rest = word[1:]
    return word.startswith("v") and rest[:1].isdigit() and rest.isalnum()


def parse_query(text: str) -> list[ResourceQuery]:
    """All readings of a resource's name by kubectl's grammar, best first; [] for the empty string.

    ``deployments.v1.apps`` is resource.version.group; ``deployments.apps`` is resource.group;
    ``pods.v1`` (no group follows) is tolerated as resource.version.
    """
    word, _, rest = text.strip().lower().partition(".")
    if not word:
        return []
    if not rest:
        return [ResourceQuery(word)]
    first, _, group = rest.partition(".")
    readings = []
    if _looks_like_version(first):
        readings.append(ResourceQuery(word, first, group))
    readings.append(ResourceQuery(word, "", rest))
    return readings


def find(text: str, known: Sequence[ResourceType] | None = None) -> ResourceType | None:
    """The first of ``known`` that ``text`` names, or None. Without it: of those that are built in and those learnt.

    Of a learnt one only its names are sure: which versions are served now, the API server says.
    """
    for query in parse_query(text):
        for candidate in (*BUILTIN, *_LEARNT) if known is None else known:
            if query.matches(candidate):
                return candidate
    return None
