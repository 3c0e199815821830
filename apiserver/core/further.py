"""Built-in resources that are stored and served, and that no part of this server acts on.

Those of admissionregistration.k8s.io are the exception: `deltawire.apiserver.admission`.
"""

from deltawire.apiserver.core.resource import Resource
from deltawire.common.meta.resources import ResourceType


def _kept(
    group: str,
    plural: str,
    kind: str,
    *short_names: str,
    is_namespaced: bool = False,
    has_status: bool = False,
    has_generation: bool = False,
    categories: tuple[str, ...] = (),
) -> Resource:
    known = ResourceType(group, "v1", plural, kind, is_namespaced, kind.lower(), short_names)
    return Resource(known, has_status=has_status, has_generation=has_generation, categories=categories)


_ADMISSION = "admissionregistration.k8s.io"
_NETWORK = "networking.k8s.io"
_NODE = "node.k8s.io"
_API = "apiregistration.k8s.io"
_DEVICES = "resource.k8s.io"

FURTHER: tuple[Resource, ...] = (
    _kept(
        _ADMISSION,
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        has_generation=True,
        categories=("api-extensions",),
    ),
    _kept(
        _ADMISSION,
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        has_generation=True,
        has_status=True,
        categories=("api-extensions",),
    ),
    _kept(
        _ADMISSION,
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        has_generation=True,
        categories=("api-extensions",),
    ),
    _kept(
        _ADMISSION,
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        has_generation=True,
        categories=("api-extensions",),
    ),
    _kept(_NODE, "runtimeclasses", "RuntimeClass"),
    _kept(_API, "apiservices", "APIService", has_status=True, categories=("api-extensions",)),
    _kept(_DEVICES, "deviceclasses", "DeviceClass", has_generation=True),
    _kept(_DEVICES, "resourceclaims", "ResourceClaim", is_namespaced=True, has_status=True),
    _kept(_DEVICES, "resourceclaimtemplates", "ResourceClaimTemplate", is_namespaced=True),
    _kept(_DEVICES, "resourceslices", "ResourceSlice", has_generation=True),
    _kept(_NETWORK, "ipaddresses", "IPAddress", "ip"),
    _kept(_NETWORK, "servicecidrs", "ServiceCIDR", has_status=True),
    _kept("storage.k8s.io", "volumeattributesclasses", "VolumeAttributesClass", "vac"),
    _kept("storage.k8s.io", "csidrivers", "CSIDriver"),
    _kept("storage.k8s.io", "csinodes", "CSINode"),
    _kept("storage.k8s.io", "volumeattachments", "VolumeAttachment", has_status=True),
    _kept("storage.k8s.io", "csistoragecapacities", "CSIStorageCapacity", is_namespaced=True),
    _kept("flowcontrol.apiserver.k8s.io", "flowschemas", "FlowSchema", has_status=True, has_generation=True),
    _kept(
        "flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations",
        "PriorityLevelConfiguration",
        has_status=True,
        has_generation=True,
    ),
)
