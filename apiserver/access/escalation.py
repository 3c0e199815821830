"""Privilege escalation: a user may write roles and bindings only with rights that the user has."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from deltawire.apiserver.access.attributes import Attributes
from deltawire.apiserver.access.authorizer import EVERYTHING
from deltawire.apiserver.access.rbac import Rbac
from deltawire.apiserver.access.rules import Rule, read_rules
from deltawire.apiserver.access.stored import GROUP
from deltawire.apiserver.auth.users import MASTERS, User
from deltawire.apiserver.core.failures import forbidden
from deltawire.apiserver.core.resource import Resource
from deltawire.common.errors import StatusError

ROLES = ("roles", "clusterroles")
BINDINGS = ("rolebindings", "clusterrolebindings")
# Single permissions of one role that are compared, and named in one refusal.
COMPARED_MAX = 10_000
TOLD_MAX = 100


class Escalation:
    """Holds what is written against what its writer may do."""

    def __init__(self, rbac: Rbac) -> None:
        self._rbac = rbac

    def check(self, user: User, resource: Resource, obj: Mapping[str, Any]) -> None:
        """``obj`` as it would be stored. Raises StatusError 403, and 404 for a binding to a missing role."""
        kind = resource.type
        if kind.group != GROUP or MASTERS in user.groups:
            return
        name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace", "")
        if kind.plural in ROLES:
            asked = Attributes(user, "escalate", kind.plural, GROUP, namespace=namespace, name=name)
            if self._rbac.decide(asked).is_allowed:
                return
            if obj.get("aggregationRule") and self._missing(user, "", EVERYTHING):
                raise forbidden(
                    resource, name, "must have cluster-admin privileges to use the aggregationRule"
                )
            self._confirm(resource, name, user, namespace, read_rules(obj.get("rules")))
        elif kind.plural in BINDINGS:
            self._check_binding(user, resource, obj, name, namespace)

    def _check_binding(
        self, user: User, resource: Resource, obj: Mapping[str, Any], name: str, namespace: str
    ) -> None:
        reference = obj.get("roleRef")
        reference = reference if isinstance(reference, Mapping) else {}
        kind, role = str(reference.get("kind", "")), str(reference.get("name", ""))
        plural = f"{kind.lower()}s"
        asked = Attributes(user, "bind", plural, GROUP, namespace=namespace, name=role)
        if self._rbac.decide(asked).is_allowed:
            return
        rules = self._rbac.rules_of(kind, role, namespace)
        if rules is None:
            told = f'{plural}.{GROUP} "{role}" not found'
            details = {"name": role, "group": GROUP, "kind": plural}
            raise StatusError(404, "NotFound", told, details=details)
        self._confirm(resource, name, user, namespace, rules)

    def _confirm(
        self, resource: Resource, name: str, user: User, namespace: str, rules: tuple[Rule, ...]
    ) -> None:
        missing = self._missing(user, namespace, rules)
        if missing:
            groups = " ".join(f'"{group}"' for group in user.groups)
            told = f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not '
            raise forbidden(resource, name, f"{told}currently held:\n" + "\n".join(_told(missing)))

    def _missing(self, user: User, namespace: str, wanted: tuple[Rule, ...]) -> list[Attributes]:
        """The permissions in ``wanted`` that the user does not have there, the first of them."""
        held = self._rbac.grants(user, namespace).rules
        single = (asked for rule in wanted if rule not in held for asked in _single(rule, user))
        missing = []
        for compared, asked in enumerate(single, start=1):
            if compared > COMPARED_MAX or not any(rule.allows(asked) for rule in held):
                missing.append(asked)
            if len(missing) == TOLD_MAX or compared > COMPARED_MAX:
                break
        return missing


def _single(rule: Rule, user: User) -> Iterator[Attributes]:
    """A rule as single permissions. A rule allows one of them if it would allow all that is meant by it."""
    for verb, path in product(rule.verbs, rule.paths):
        yield Attributes(user, verb, path=path)
    for group, resource, name, verb in product(rule.groups, rule.resources, rule.names or ("",), rule.verbs):
        plural, _, subresource = resource.partition("/")
        yield Attributes(user, verb, plural, group, subresource=subresource, name=name)


def _told(missing: list[Attributes]) -> list[str]:
    """Verbs on the same thing together, as the API server writes rules."""
    verbs: dict[str, list[str]] = {}
    for asked in missing:
        if asked.path:
            thing = f'NonResourceURLs:["{asked.path}"]'
        else:
            thing = f'APIGroups:["{asked.group}"], Resources:["{asked.combined_resource}"]'
            thing += f', ResourceNames:["{asked.name}"]' if asked.name else ""
        verbs.setdefault(thing, []).append(f'"{asked.verb}"')
    return sorted(f"{{{thing}, Verbs:[{' '.join(words)}]}}" for thing, words in verbs.items())
