"""The scale of a workload: one small object through which anything with replicas is sized."""

from typing import Any

from deltawire.apiserver.core.failures import bad_request, cause, invalid
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.resource import Resource
from deltawire.common.meta.resources import ResourceType

Tree = dict[str, Any]

_SCALE = Resource(ResourceType("autoscaling", "v1", "scales", "Scale", True, "scale"))
_COPIED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
_SIGNS = {"In": "in", "NotIn": "notin"}


def scale_of(resource: Resource, record: Record) -> Tree:
    """The autoscaling/v1 Scale of a stored object. The resource has a scale."""
    paths = resource.scale
    if paths is None:
        raise ValueError(f"{resource.storage} has no scale")
    obj = record.decode()
    metadata = {name: obj["metadata"][name] for name in _COPIED if name in obj["metadata"]}
    status: Tree = {"replicas": _at(obj, paths.ready) or 0}
    selector = selector_text(_at(obj, paths.selector)) if paths.selector else ""
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": _at(obj, paths.replicas) or 0},
        "status": status,
    }


def scaled(resource: Resource, obj: Tree, scale: Any) -> Tree:
    """``obj`` with the replicas and the version that ``scale`` asks for. Raises StatusError 400, 422."""
    spec = (scale.get("spec") or {}) if isinstance(scale, dict) else None
    metadata = (scale.get("metadata") or {}) if isinstance(scale, dict) else None
    if not isinstance(spec, dict) or not isinstance(metadata, dict) or resource.scale is None:
        raise bad_request("the body of the request must be a Scale object")
    replicas = spec.get("replicas", 0)
    name = obj["metadata"]["name"]
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request(f"Scale in version v1 cannot be handled as a Scale: spec.replicas {replicas!r}")
    if replicas < 0:
        told = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(_SCALE, name, cause("spec.replicas", told))
    if (metadata.get("name") or name) != name:
        raise bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        )
    if metadata.get("resourceVersion"):
        obj["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    *steps, last = resource.scale.replicas.split(".")
    holder = obj
    for step in steps:
        holder = holder.setdefault(step, {})
    holder[last] = replicas
    return obj


def applied_scale(resource: Resource, obj: Tree, scale: Tree) -> Tree:
    """What an apply of ``scale`` says of the object itself. Raises StatusError 400, 422."""
    replicas = _at(scaled(resource, obj, scale), resource.scale.replicas if resource.scale else "")
    config: Tree = {
        "apiVersion": resource.type.api_version,
        "kind": resource.type.kind,
        "metadata": {"name": obj["metadata"]["name"]},
    }
    *steps, last = resource.scale.replicas.split(".") if resource.scale else ("", "")
    holder = config
    for step in steps:
        holder = holder.setdefault(step, {})
    holder[last] = replicas
    return config


def selector_text(selector: Any) -> str:
    """A label selector (either form) as text; text stays as it is."""
    if not isinstance(selector, dict):
        return selector if isinstance(selector, str) else ""
    is_structured = "matchLabels" in selector or "matchExpressions" in selector
    labels = (selector.get("matchLabels") or {}) if is_structured else selector
    terms = [f"{key}={value}" for key, value in sorted(labels.items())]
    for term in (selector.get("matchExpressions") or ()) if is_structured else ():
        key, operator = term.get("key", ""), term.get("operator")
        if operator in _SIGNS:
            terms.append(f"{key} {_SIGNS[operator]} ({','.join(term.get('values') or ())})")
        else:
            terms.append(key if operator == "Exists" else f"!{key}")
    return ",".join(terms)


def _at(obj: Any, path: str) -> Any:
    for step in path.split("."):
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj
