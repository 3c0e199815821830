"""Reviews: questions about users and what they may do. They are answered, never stored.

Nothing is forbidden here: every review of access says yes (fake API server §8.8).
"""

from collections.abc import Callable
from typing import Any

from deltawire.apiserver.core.failures import cause, invalid
from deltawire.apiserver.core.resource import Resource

Tree = dict[str, Any]

_EVERYTHING = {
    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    "incomplete": False,
}


def answered(
    resource: Resource, review: Tree, asker: Tree, user_of_token: Callable[[str], Tree | None]
) -> Tree:
    """``review`` with its status. ``asker`` is the UserInfo of who asks. Raises StatusError 422."""
    spec = review.get("spec") or {}
    match resource.type.kind:
        case "SelfSubjectReview":
            status: Tree = {"userInfo": asker}
        case "TokenReview":
            user = user_of_token(str(spec.get("token") or ""))
            status = {"authenticated": True, "user": user} if user else {"authenticated": False}
        case "SelfSubjectRulesReview":
            if not spec.get("namespace"):
                raise invalid(resource, "", cause("spec.namespace", "Required value", "FieldValueRequired"))
            status = dict(_EVERYTHING)
        case _:
            _check_access_review(resource, spec)
            status = {"allowed": True}
    return {**review, "status": status}


def _check_access_review(resource: Resource, spec: Tree) -> None:
    asked = [name for name in ("resourceAttributes", "nonResourceAttributes") if spec.get(name)]
    if len(asked) != 1:
        told = "Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise invalid(resource, "", cause("spec.resourceAttributes", told))
    if not resource.type.kind.startswith("Self") and not (spec.get("user") or spec.get("groups")):
        told = "Invalid value: at least one of user or group must be specified"
        raise invalid(resource, "", cause("spec.user", told))
