"""Reviews: questions about users and what they may do. They are answered, never stored."""

from collections.abc import Mapping
from typing import Any

import msgspec

from deltawire.apiserver.access.attributes import Attributes
from deltawire.apiserver.access.authorizer import Authorizer
from deltawire.apiserver.access.gate import Gate
from deltawire.apiserver.access.rules import Rule
from deltawire.apiserver.auth.tokens import ISSUER, Tokens
from deltawire.apiserver.auth.users import User
from deltawire.apiserver.core.failures import bad_request, cause
from deltawire.apiserver.core.resource import Resource
from deltawire.common.errors import StatusError

Tree = dict[str, Any]


def answered(
    resource: Resource, review: Tree, asker: User, gate: Gate, namespace: str = "", now: str = ""
) -> Tree:
    """``review`` with its status. ``namespace`` is that of the URL, ``now`` the time.

    Raises StatusError 400, 422.
    """
    spec = review.get("spec") or {}
    match resource.type.kind:
        case "SelfSubjectReview":
            status: Tree = {"userInfo": asker.as_info()}
            review = {**review, "metadata": {**(review.get("metadata") or {}), "creationTimestamp": now}}
        case "TokenReview":
            if not spec.get("token"):
                raise bad_request("token is required for TokenReview in authentication")
            status = _token_status(spec, gate.tokens)
        case "SelfSubjectRulesReview":
            if not spec.get("namespace"):
                raise bad_request("no namespace on request")
            status = _rules_status(gate.authorizer, asker, str(spec["namespace"]))
        case _:
            status = _access_status(gate.authorizer, _asked(resource, spec, asker, namespace))
    return {**review, "status": status}


def _token_status(spec: Tree, tokens: Tokens) -> Tree:
    token, audiences = spec.get("token") or "", spec.get("audiences") or [ISSUER]
    if not isinstance(token, str) or not _are_strings(audiences):
        raise bad_request("spec: token must be a string, audiences a list of strings")
    fitting = [audience for audience in audiences if tokens.bearer(token, [audience])]
    if not token or not fitting:
        return {"authenticated": False}
    user = tokens.bearer(token, fitting)
    status: Tree = {"authenticated": True, "user": user.as_info() if user else {}}
    return status | {"audiences": fitting}


def _rules_status(authorizer: Authorizer, user: User, namespace: str) -> Tree:
    granted = authorizer.grants(user, namespace)
    status: Tree = {
        "resourceRules": [_resource_rule(rule) for rule in granted.rules if rule.resources],
        "nonResourceRules": [
            {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.paths)}
            for rule in granted.rules
            if rule.paths
        ],
        "incomplete": False,
    }
    return status | {"evaluationError": granted.error} if granted.error else status


def _resource_rule(rule: Rule) -> Tree:
    tree = {"verbs": list(rule.verbs), "apiGroups": list(rule.groups), "resources": list(rule.resources)}
    return tree | {"resourceNames": list(rule.names)} if rule.names else tree


def _access_status(authorizer: Authorizer, asked: Attributes) -> Tree:
    decision = authorizer.decide(asked)
    status: Tree = {"allowed": decision.is_allowed}
    return status | {"reason": decision.reason} if decision.reason else status


def _asked(resource: Resource, spec: Tree, asker: User, namespace: str) -> Attributes:
    """What an access review asks. Raises StatusError 422."""
    on_resource = _part(spec, "resourceAttributes")
    on_path = _part(spec, "nonResourceAttributes")
    kind = resource.type.kind
    if on_resource is not None and on_path is not None:
        inside = {"Path": _text(on_path, "path"), "Verb": _text(on_path, "verb")}
        shown = msgspec.json.encode(inside).decode()
        told = f"Invalid value: {shown}: cannot be specified in combination with resourceAttributes"
        raise _refused(resource, "spec.nonResourceAttributes", told)
    if on_resource is None and on_path is None:
        told = "Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise _refused(resource, "spec.resourceAttributes", told)
    user = asker if kind.startswith("Self") else _user(resource, spec)
    if kind == "LocalSubjectAccessReview":
        if on_resource is None:
            told = "Invalid value: disallowed on this kind of request"
            raise _refused(resource, "spec.nonResourceAttributes", told)
        if _text(on_resource, "namespace") != namespace:
            told = f'Invalid value: "{_text(on_resource, "namespace")}": must match metadata.namespace'
            raise _refused(resource, "spec.resourceAttributes.namespace", told)
    if on_resource is None:
        return Attributes(user, _text(on_path, "verb"), path=_text(on_path, "path"))
    names = ("verb", "resource", "group", "version", "subresource", "namespace", "name")
    return Attributes(user, *(_text(on_resource, name) for name in names))


def _refused(resource: Resource, field: str, told: str) -> StatusError:
    """422. The API server does not name the kind of a review here."""
    group = resource.type.group
    about = {"group": group, "causes": [cause(field, told)]}
    return StatusError(422, "Invalid", f'.{group} "" is invalid: {field}: {told}', details=about)


def _user(resource: Resource, spec: Tree) -> User:
    name, groups, extra = _text(spec, "user"), spec.get("groups") or (), spec.get("extra") or {}
    if not _are_strings(groups) or not isinstance(extra, Mapping):
        raise bad_request("spec.groups must be a list of strings, spec.extra an object")
    if not name and not groups:
        told = 'Invalid value: "": at least one of user or group must be specified'
        raise _refused(resource, "spec.user", told)
    kept = {str(key): tuple(map(str, values or ())) for key, values in extra.items()}
    return User(name, tuple(groups), _text(spec, "uid"), kept)


def _part(spec: Tree, name: str) -> Tree | None:
    part = spec.get(name)
    if part is not None and not isinstance(part, dict):
        raise bad_request(f"spec.{name} must be an object")
    return part


def _text(tree: Tree | None, name: str) -> str:
    value = (tree or {}).get(name) or ""
    if not isinstance(value, str):
        raise bad_request(f"{name} must be a string")
    return value


def _are_strings(items: Any) -> bool:
    return isinstance(items, list | tuple) and all(isinstance(item, str) for item in items)
