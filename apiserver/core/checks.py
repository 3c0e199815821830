"""What objects of built-in kinds must hold beside the types of their fields (`deltawire.apiserver.rules`).

The rules are loaded with the first object of a client: a server starts sooner without.
"""

from typing import Any

from deltawire.apiserver.core.failures import invalid
from deltawire.apiserver.core.resource import Resource

Tree = dict[str, Any]


def check_content(resource: Resource, old: Tree | None, obj: Tree, *, is_client: bool) -> None:
    """StatusError 422 for an object that contradicts itself.

    What tests and simulations make may be incomplete: a client may change it, and not make it worse.
    """
    if not is_client and resource.storage != "events":
        return
    from deltawire.apiserver.rules.cluster import new_event
    from deltawire.apiserver.rules.table import causes_of

    causes = causes_of(resource.storage, obj)
    if causes and old is not None:
        before = causes_of(resource.storage, old)
        causes = [found for found in causes if found not in before]
    if is_client and old is None and resource.type.group == "events.k8s.io":
        causes += list(new_event(obj))
    if causes:
        raise invalid(resource, obj["metadata"].get("name") or "", *causes)


def check_change(resource: Resource, old: Tree, new: Tree) -> None:
    """StatusError 422 for a change that the kind does not allow."""
    from deltawire.apiserver.rules.table import causes_of_change

    causes = causes_of_change(resource.storage, old, new)
    if causes:
        raise invalid(resource, new["metadata"].get("name") or "", *causes)


def check_status(resource: Resource, old: Tree, new: Tree) -> None:
    """StatusError 422 for a status that contradicts itself, unless it did so before."""
    from deltawire.apiserver.rules.table import causes_of_status

    before = causes_of_status(resource.storage, old)
    causes = [found for found in causes_of_status(resource.storage, new) if found not in before]
    if causes:
        raise invalid(resource, new["metadata"].get("name") or "", *causes)
