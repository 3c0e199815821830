"""What built-in kinds must hold beside the types of their fields. Only what clients run into."""

from typing import Any

from deltawire.apiserver.core.failures import cause, invalid
from deltawire.apiserver.core.resource import Resource


def check_content(resource: Resource, obj: dict[str, Any]) -> None:
    """StatusError 422 for an object that contradicts itself."""
    if resource.storage == "events":
        _check_event(resource, obj)


def _check_event(resource: Resource, event: dict[str, Any]) -> None:
    """An event lives beside what it is about; events of cluster-wide objects name no namespace."""
    about, metadata = event.get("involvedObject") or {}, event["metadata"]
    namespace = about.get("namespace")
    if namespace and namespace != metadata["namespace"]:
        told = f'Invalid value: "{namespace}": does not match event.namespace'
        raise invalid(resource, metadata.get("name") or "", cause("involvedObject.namespace", told))
