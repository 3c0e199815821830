"""Which resources the typed clients know, what they are called, and where their classes are.

``ROWS`` is written by `generate` from lightkube-models: a line ``group/version module`` for each group and
version, below it ``plural kind scope client subresources`` for each of its resources.
"""

import functools
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from deltawire.client.typed.models import model
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import BUILTIN, ResourceType


@dataclass(frozen=True, slots=True)
class Row:
    """One resource. ``module`` is where its classes are, ``client`` the class that answers for it."""

    resource: ResourceType
    module: str
    client: str
    subresources: frozenset[str]

    @property
    def media_type(self) -> str:
        return ""

    @property
    def method(self) -> str:
        return method_name(self.resource.kind, self.resource.plural)

    @property
    def object_type(self) -> type[Any]:
        return model(self.module, self.resource.kind)

    @property
    def list_type(self) -> type[Any]:
        return model(self.module, f"{self.resource.kind}List")


def method_name(kind: str, plural: str) -> str:
    """client-go's method in snake_case: (DaemonSet, daemonsets) is ``daemon_sets``."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", kind)][:-1]
    return "_".join([*words, plural[len("".join(words)) :]])


def accessor(group: str, version: str) -> str:
    """client-go's group method in snake_case: (rbac.authorization.k8s.io, v1) is ``rbac_v1``."""
    return f"{group.split('.')[0] or 'core'}_{version}"


def class_name(group: str, version: str) -> str:
    """The accessor's class in `groups.pyi`: ``RbacV1``."""
    return "".join(part.capitalize() for part in accessor(group, version).split("_"))


@functools.cache
def rows() -> MappingProxyType[str, tuple[Row, ...]]:
    """All resources by their accessor (``apps_v1``)."""
    short_names = {(t.group, t.plural): t.short_names for t in BUILTIN}
    found: dict[str, list[Row]] = {}
    group = version = module = key = ""
    for line in ROWS.splitlines():
        if not line.startswith(" "):
            group_version, module = line.split()
            group, version = group_version.split("/")
            group = "" if group == "core" else group
            key = accessor(group, version)
            found[key] = []
            continue
        plural, kind, scope, client, subresources = line.split()
        resource = ResourceType(
            group, version, plural, kind, scope == "namespaced", kind.lower(),
            short_names.get((group, plural), ()),
        )  # fmt: skip
        found[key].append(Row(resource, module, client, frozenset(subresources.split(",")) - {"-"}))
    return MappingProxyType({key: tuple(members) for key, members in found.items()})


def row_of(object_type: type[Any]) -> Row:
    """The resource whose objects ``object_type`` describes (``Deployment``). Raises ConfigError."""
    module = object_type.__module__.rpartition(".")[2]
    for members in rows().values():
        for row in members:
            if row.resource.kind == object_type.__name__ and row.module == module:
                return row
    raise ConfigError(f"{object_type.__name__} is not the class of a resource", hint="as in core_v1.Pod")


ROWS = """\
core/v1 core_v1
  bindings Binding namespaced CreateClient -
  componentstatuses ComponentStatus cluster ObjectClient -
  configmaps ConfigMap namespaced ObjectClient -
  endpoints Endpoints namespaced ObjectClient -
  events Event namespaced EventClient -
  limitranges LimitRange namespaced ObjectClient -
  namespaces Namespace cluster NamespaceClient finalize,status
  nodes Node cluster ObjectClient status
  persistentvolumeclaims PersistentVolumeClaim namespaced ObjectClient status
  persistentvolumes PersistentVolume cluster ObjectClient status
  pods Pod namespaced PodClient binding,ephemeralcontainers,eviction,log,resize,status
  podtemplates PodTemplate namespaced ObjectClient -
  replicationcontrollers ReplicationController namespaced ScalableClient scale,status
  resourcequotas ResourceQuota namespaced ObjectClient status
  secrets Secret namespaced ObjectClient -
  serviceaccounts ServiceAccount namespaced ServiceAccountClient token
  services Service namespaced ServiceClient status
admissionregistration.k8s.io/v1 admissionregistration_v1
  mutatingadmissionpolicies MutatingAdmissionPolicy cluster ObjectClient -
  mutatingadmissionpolicybindings MutatingAdmissionPolicyBinding cluster ObjectClient -
  mutatingwebhookconfigurations MutatingWebhookConfiguration cluster ObjectClient -
  validatingadmissionpolicies ValidatingAdmissionPolicy cluster ObjectClient status
  validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding cluster ObjectClient -
  validatingwebhookconfigurations ValidatingWebhookConfiguration cluster ObjectClient -
admissionregistration.k8s.io/v1alpha1 admissionregistration_v1alpha1
  mutatingadmissionpolicies MutatingAdmissionPolicy cluster ObjectClient -
  mutatingadmissionpolicybindings MutatingAdmissionPolicyBinding cluster ObjectClient -
admissionregistration.k8s.io/v1beta1 admissionregistration_v1beta1
  mutatingadmissionpolicies MutatingAdmissionPolicy cluster ObjectClient -
  mutatingadmissionpolicybindings MutatingAdmissionPolicyBinding cluster ObjectClient -
apiextensions.k8s.io/v1 apiextensions_v1
  customresourcedefinitions CustomResourceDefinition cluster ObjectClient status
apiregistration.k8s.io/v1 apiregistration_v1
  apiservices APIService cluster ObjectClient status
apps/v1 apps_v1
  controllerrevisions ControllerRevision namespaced ObjectClient -
  daemonsets DaemonSet namespaced ObjectClient status
  deployments Deployment namespaced ScalableClient scale,status
  replicasets ReplicaSet namespaced ScalableClient scale,status
  statefulsets StatefulSet namespaced ScalableClient scale,status
authentication.k8s.io/v1 authentication_v1
  selfsubjectreviews SelfSubjectReview cluster CreateClient -
  tokenreviews TokenReview cluster CreateClient -
authorization.k8s.io/v1 authorization_v1
  localsubjectaccessreviews LocalSubjectAccessReview namespaced CreateClient -
  selfsubjectaccessreviews SelfSubjectAccessReview cluster CreateClient -
  selfsubjectrulesreviews SelfSubjectRulesReview cluster CreateClient -
  subjectaccessreviews SubjectAccessReview cluster CreateClient -
autoscaling/v1 autoscaling_v1
  horizontalpodautoscalers HorizontalPodAutoscaler namespaced ObjectClient status
autoscaling/v2 autoscaling_v2
  horizontalpodautoscalers HorizontalPodAutoscaler namespaced ObjectClient status
batch/v1 batch_v1
  cronjobs CronJob namespaced ObjectClient status
  jobs Job namespaced ObjectClient status
certificates.k8s.io/v1 certificates_v1
  certificatesigningrequests CertificateSigningRequest cluster ObjectClient approval,status
  clustertrustbundles ClusterTrustBundle cluster ObjectClient -
  podcertificaterequests PodCertificateRequest namespaced ObjectClient status
certificates.k8s.io/v1beta1 certificates_v1beta1
  clustertrustbundles ClusterTrustBundle cluster ObjectClient -
  podcertificaterequests PodCertificateRequest namespaced ObjectClient status
coordination.k8s.io/v1 coordination_v1
  leases Lease namespaced ObjectClient -
coordination.k8s.io/v1alpha2 coordination_v1alpha2
  leasecandidates LeaseCandidate namespaced ObjectClient -
coordination.k8s.io/v1beta1 coordination_v1beta1
  leasecandidates LeaseCandidate namespaced ObjectClient -
discovery.k8s.io/v1 discovery_v1
  endpointslices EndpointSlice namespaced ObjectClient -
events.k8s.io/v1 events_v1
  events Event namespaced ObjectClient -
flowcontrol.apiserver.k8s.io/v1 flowcontrol_v1
  flowschemas FlowSchema cluster ObjectClient status
  prioritylevelconfigurations PriorityLevelConfiguration cluster ObjectClient status
internal.apiserver.k8s.io/v1alpha1 apiserverinternal_v1alpha1
  storageversions StorageVersion cluster ObjectClient status
lifecycle.k8s.io/v1alpha1 lifecycle_v1alpha1
  evictionrequests EvictionRequest namespaced ObjectClient status
  evictions Eviction namespaced ObjectClient status
networking.k8s.io/v1 networking_v1
  ingressclasses IngressClass cluster ObjectClient -
  ingresses Ingress namespaced ObjectClient status
  ipaddresses IPAddress cluster ObjectClient -
  networkpolicies NetworkPolicy namespaced ObjectClient -
  servicecidrs ServiceCIDR cluster ObjectClient status
node.k8s.io/v1 node_v1
  runtimeclasses RuntimeClass cluster ObjectClient -
policy/v1 policy_v1
  poddisruptionbudgets PodDisruptionBudget namespaced ObjectClient status
rbac.authorization.k8s.io/v1 rbac_v1
  clusterrolebindings ClusterRoleBinding cluster ObjectClient -
  clusterroles ClusterRole cluster ObjectClient -
  rolebindings RoleBinding namespaced ObjectClient -
  roles Role namespaced ObjectClient -
resource.k8s.io/v1 resource_v1
  deviceclasses DeviceClass cluster ObjectClient -
  devicetaintrules DeviceTaintRule cluster ObjectClient status
  resourceclaims ResourceClaim namespaced ObjectClient status
  resourceclaimtemplates ResourceClaimTemplate namespaced ObjectClient -
  resourceslices ResourceSlice cluster ObjectClient -
resource.k8s.io/v1alpha3 resource_v1alpha3
  devicetaintrules DeviceTaintRule cluster ObjectClient status
  resourcepoolstatusrequests ResourcePoolStatusRequest cluster ObjectClient status
resource.k8s.io/v1beta1 resource_v1beta1
  deviceclasses DeviceClass cluster ObjectClient -
  resourceclaims ResourceClaim namespaced ObjectClient status
  resourceclaimtemplates ResourceClaimTemplate namespaced ObjectClient -
  resourceslices ResourceSlice cluster ObjectClient -
resource.k8s.io/v1beta2 resource_v1beta2
  deviceclasses DeviceClass cluster ObjectClient -
  devicetaintrules DeviceTaintRule cluster ObjectClient status
  resourceclaims ResourceClaim namespaced ObjectClient status
  resourceclaimtemplates ResourceClaimTemplate namespaced ObjectClient -
  resourceslices ResourceSlice cluster ObjectClient -
scheduling.k8s.io/v1 scheduling_v1
  priorityclasses PriorityClass cluster ObjectClient -
scheduling.k8s.io/v1alpha3 scheduling_v1alpha3
  compositepodgroups CompositePodGroup namespaced ObjectClient status
  podgroups PodGroup namespaced ObjectClient status
  workloads Workload namespaced ObjectClient -
scheduling.k8s.io/v1beta1 scheduling_v1beta1
  podgroups PodGroup namespaced ObjectClient status
  workloads Workload namespaced ObjectClient -
storage.k8s.io/v1 storage_v1
  csidrivers CSIDriver cluster ObjectClient -
  csinodes CSINode cluster ObjectClient status
  csistoragecapacities CSIStorageCapacity namespaced ObjectClient -
  storageclasses StorageClass cluster ObjectClient -
  volumeattachments VolumeAttachment cluster ObjectClient status
  volumeattributesclasses VolumeAttributesClass cluster ObjectClient -
storagemigration.k8s.io/v1 storagemigration_v1
  storageversionmigrations StorageVersionMigration cluster ObjectClient status
storagemigration.k8s.io/v1beta1 storagemigration_v1beta1
  storageversionmigrations StorageVersionMigration cluster ObjectClient status
"""
