"""Which part of an object a write through a subresource may change."""

from typing import Any

from deltawire.apiserver.core.resource import Resource

Tree = dict[str, Any]

# Subresources that write one field of the spec.
_SPEC_FIELDS = {"ephemeralcontainers": "ephemeralContainers"}


# What of the metadata a write of the status leaves as it was; of the kinds below it, and of custom resources, all.
_KEPT_BY_STATUS = {"deployments.apps": ("labels",), "pods": ("ownerReferences",)}
_KEEP_ALL = frozenset(
    {
        "apiservices.apiregistration.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io",
        "flowschemas.flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
        "resourceclaims.resource.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "volumeattachments.storage.k8s.io",
    }
)


def part_taken(resource: Resource, old: Tree, new: Tree, subresource: str) -> Tree:
    """``old`` with that part of ``new`` which ``subresource`` writes; "" is all but a status of its own."""
    if subresource in ("status", "approval"):
        return {**_with(old, "status", new.get("status")), "metadata": _status_metadata(resource, old, new)}
    if subresource in _SPEC_FIELDS:
        field = _SPEC_FIELDS[subresource]
        spec = _with(old.get("spec") or {}, field, (new.get("spec") or {}).get(field))
        return {**old, "metadata": dict(old["metadata"]), "spec": spec}
    if subresource == "resize":
        return {**old, "metadata": dict(old["metadata"]), "spec": _resized(old, new)}
    if resource.has_status:
        return _with(new, "status", old.get("status"))
    return new


def _status_metadata(resource: Resource, old: Tree, new: Tree) -> Tree:
    """The metadata after a write of the status: real servers take labels and annotations along, save of some kinds."""
    if resource.is_custom or resource.storage in _KEEP_ALL:
        return dict(old["metadata"])
    meta = dict(new["metadata"])
    for name in _KEPT_BY_STATUS.get(resource.storage, ()):
        meta.pop(name, None)
        if name in old["metadata"]:
            meta[name] = old["metadata"][name]
    return meta


def _resized(old: Tree, new: Tree) -> Tree:
    """The spec with the containers' resources of ``new``."""
    spec = dict(old.get("spec") or {})
    wanted = {c.get("name"): c.get("resources") for c in (new.get("spec") or {}).get("containers") or ()}
    spec["containers"] = [
        {**container, "resources": wanted.get(container.get("name")) or container.get("resources") or {}}
        for container in spec.get("containers") or ()
    ]
    return spec


def _with(tree: Tree, name: str, value: Any) -> Tree:
    """``tree`` with another ``name``; without it where ``value`` is None. Metadata may be changed."""
    rest = {key: child for key, child in tree.items() if key != name}
    if "metadata" in rest:
        rest["metadata"] = dict(rest["metadata"])
    return rest if value is None else {**rest, name: value}
