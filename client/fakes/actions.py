"""A call to the API as a test wants to see it. Pure."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from deltawire.client.rest.call import Call
from deltawire.client.rest.request import PATCH_TYPES
from deltawire.client.schema import GroupVersionResource

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
# The only parts of a namespace that the URL shows where another namespace's resources would be.
_OF_NAMESPACES = ("status", "finalize")
_NO_RESOURCE = GroupVersionResource("", "", "")


@dataclass(slots=True)
class Action:
    """One call. ``object`` is its body, decoded: an object, a patch, the options of a deletion; None without.

    ``verb`` is one of get, list, watch, create, update, patch, delete and delete-collection. ``name`` is the
    one in the path: creating an object has it in ``object`` only. ``patch_type`` is ``json``, ``merge``,
    ``strategic`` or ``apply``. A call that is for no resource (discovery, ``/version``) has only its verb and
    ``path``.
    """

    verb: str
    path: str
    resource: GroupVersionResource = _NO_RESOURCE
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    object: Any = None
    patch_type: str = ""
    params: dict[str, str] = field(default_factory=dict)

    def matches(self, verb: str, resource: str) -> bool:
        """``verb`` may be ``*``; ``resource`` may be ``pods``, ``pods/status``, a path like ``/version``, or ``*``.

        A plain plural covers the subresources, too, whatever the group.
        """
        if verb not in ("*", self.verb):
            return False
        plural = self.resource.resource
        own = plural or self.path
        return resource in ("*", own) or bool(plural and resource == f"{plural}/{self.subresource}")


def action_of(call: Call) -> Action:
    """What ``call`` asks for."""
    params = dict(call.params)
    action = Action("", call.path, params=params, object=_decoded(call.body))
    action.resource, action.namespace, action.name, action.subresource = _place(call.path)
    media_type = call.headers.get("Content-Type", "")
    if call.method == "PATCH":
        action.patch_type = next((name for name, known in PATCH_TYPES.items() if known == media_type), "")
    action.verb = _verb(call.method, action.name, is_watch=params.get("watch") in ("true", "1"))
    if not action.resource.resource:
        action.verb = _VERBS.get(call.method, call.method.lower())
    return action


def encoded(obj: Any) -> bytes:
    """A body: bytes and text as they are, everything else as JSON."""
    if isinstance(obj, bytes | str):
        return obj.encode() if isinstance(obj, str) else obj
    return msgspec.json.encode(obj)


def _verb(method: str, name: str, *, is_watch: bool) -> str:
    if method == "GET":
        return "watch" if is_watch else "get" if name else "list"
    if method == "DELETE":
        return "delete" if name else "delete-collection"
    return _VERBS.get(method, method.lower())


def _place(path: str) -> tuple[GroupVersionResource, str, str, str]:
    """Resource, namespace, name and subresource of an URL's path."""
    match path.strip("/").split("/"):
        case ["api", version, *rest] if rest:
            group = ""
        case ["apis", group, version, *rest] if rest:
            pass
        case _:
            return _NO_RESOURCE, "", "", ""
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *_ = [*rest, "", ""]
    return GroupVersionResource(group, version, plural), namespace, name, subresource


def _decoded(body: bytes | None) -> Any:
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
