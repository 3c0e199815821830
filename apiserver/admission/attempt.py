"""A write that has not happened yet, as webhooks and policies look at it."""

from dataclasses import dataclass
from typing import Any

from deltawire.apiserver.auth.users import User
from deltawire.apiserver.core.resource import Resource

Tree = dict[str, Any]

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"
# A configuration that refused writes to this group could never be mended.
EXEMPT_GROUP = "admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True)
class Attempt:
    """``obj`` is what would be there then (None for a deletion), ``old`` what is there now (None for a creation).

    Both are in the version of ``resource``, in which the request was made.
    """

    resource: Resource
    operation: str
    user: User
    options: Tree
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    is_dry_run: bool = False
    obj: Tree | None = None
    old: Tree | None = None

    def in_version(self, other: Resource) -> "tuple[Tree | None, Tree | None]":
        """The object and the one before it, in another version of the same resource."""
        return converted(self.obj, self.resource, other), converted(self.old, self.resource, other)


def converted(tree: Tree | None, of: Resource, to: Resource) -> Tree | None:
    if tree is None or of == to:
        return tree
    tree = dict(tree)
    if of.conversion is not None:
        tree = of.conversion.to_stored(tree)
    if to.conversion is not None:
        tree = to.conversion.to_served(tree)
    return {**tree, "apiVersion": to.type.api_version, "kind": to.type.kind}


def described(attempt: Attempt, asked: Resource, kind: Tree | None = None) -> Tree:
    """The request as a review and expressions have it; ``asked`` is the version in which objects are shown."""
    sub = attempt.resource.subresource(attempt.subresource) if attempt.subresource else None
    has_kind = sub is not None and bool(sub.kind)
    return {
        "kind": kind or (_own_kind(sub) if has_kind else _kind(asked)),
        "resource": _resource(asked),
        **({"subResource": attempt.subresource} if attempt.subresource else {}),
        "requestKind": _own_kind(sub) if has_kind else _kind(attempt.resource),
        "requestResource": _resource(attempt.resource),
        **({"requestSubResource": attempt.subresource} if attempt.subresource else {}),
        **({"name": attempt.name} if attempt.name else {}),
        **({"namespace": attempt.namespace} if attempt.namespace else {}),
        "operation": attempt.operation,
        "userInfo": attempt.user.as_info(),
    }


def _kind(resource: Resource) -> Tree:
    kind = resource.type
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _own_kind(sub: Any) -> Tree:
    return {"group": sub.group, "version": sub.version or "v1", "kind": sub.kind}


def _resource(resource: Resource) -> Tree:
    kind = resource.type
    return {"group": kind.group, "version": kind.version, "resource": kind.plural}
