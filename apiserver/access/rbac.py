"""RBAC: a user may do what a role that is bound to it allows, and nothing else."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from deltawire.apiserver.access.attributes import Attributes
from deltawire.apiserver.access.authorizer import EVERYTHING, Decision, Grants
from deltawire.apiserver.access.policy import Binding, Policy, Subject
from deltawire.apiserver.access.rules import Rule
from deltawire.apiserver.auth.users import MASTERS, User, service_account_name

_RESOURCES = {
    "Role": "role.rbac.authorization.k8s.io",
    "ClusterRole": "clusterrole.rbac.authorization.k8s.io",
}


class _Granted(NamedTuple):
    """The rules that ``binding`` gives a user as one of its subjects; None where it has no such role."""

    binding: Binding
    subject: Subject
    rules: tuple[Rule, ...] | None


class Rbac:
    """Decides from ``policy()``, which is asked anew each time. Masters may do everything, whatever is bound."""

    def __init__(self, policy: Callable[[], Policy]) -> None:
        self._policy = policy

    def decide(self, asked: Attributes) -> Decision:
        if MASTERS in asked.user.groups:
            return Decision(True)
        missing = []
        for granted in self._granted(asked.user, asked.namespace):
            if granted.rules is None:
                missing.append(_not_found(granted.binding))
            elif any(rule.allows(asked) for rule in granted.rules):
                return Decision(True, f"RBAC: allowed by {_told(granted)}")
        return Decision(False, f"RBAC: {_aggregate(missing)}" if missing else "")

    def grants(self, user: User, namespace: str) -> Grants:
        if MASTERS in user.groups:
            return Grants(EVERYTHING)
        rules: list[Rule] = []
        missing = []
        for granted in self._granted(user, namespace):
            if granted.rules is None:
                missing.append(_not_found(granted.binding))
            else:
                rules += granted.rules
        return Grants(tuple(rules), _aggregate(missing))

    def rules_of(self, kind: str, name: str, namespace: str = "") -> tuple[Rule, ...] | None:
        """The rules of a role as a binding in ``namespace`` refers to it; None if there is none."""
        return _rules_of(self._policy(), kind, name, namespace)

    def _granted(self, user: User, namespace: str) -> Iterator[_Granted]:
        """What is bound to the user in the cluster, then in the namespace."""
        policy = self._policy()
        for binding in (*policy.cluster_bindings, *(policy.bindings.get(namespace, ()) if namespace else ())):
            subject = next((s for s in binding.subjects if _is_meant(s, user, binding.namespace)), None)
            if subject is not None:
                yield _Granted(
                    binding,
                    subject,
                    _rules_of(policy, binding.role_kind, binding.role_name, binding.namespace),
                )


def _rules_of(policy: Policy, kind: str, name: str, namespace: str) -> tuple[Rule, ...] | None:
    """A cluster binding gives cluster roles only."""
    if kind == "ClusterRole":
        return policy.roles.get(("", name))
    return policy.roles.get((namespace, name)) if kind == "Role" and namespace else None


def _is_meant(subject: Subject, user: User, namespace: str) -> bool:
    match subject.kind:
        case "User":
            return user.name == subject.name
        case "Group":
            return subject.name in user.groups
        case "ServiceAccount":
            # Without a namespace of its own it is an account of the binding's.
            home = subject.namespace or namespace
            return bool(home) and user.name == service_account_name(home, subject.name)
    return False


def _not_found(binding: Binding) -> str:
    resource = _RESOURCES.get(binding.role_kind)
    if resource is None:
        return f'unsupported role reference kind: "{binding.role_kind}"'
    return f'{resource} "{binding.role_name}" not found'


def _aggregate(errors: list[str]) -> str:
    """Several errors as one text, without repetitions."""
    told = list(dict.fromkeys(errors))
    return f"[{', '.join(told)}]" if len(told) > 1 else "".join(told)


def _told(granted: _Granted) -> str:
    """The binding and the subject as the API server's reasons name them."""
    binding, subject, _ = granted
    kind, name = "ClusterRoleBinding", binding.name
    if binding.namespace:
        kind, name = "RoleBinding", f"{name}/{binding.namespace}"
    whom = subject.name
    if subject.kind == "ServiceAccount":
        whom = f"{whom}/{subject.namespace or binding.namespace}"
    role = f'{binding.role_kind} "{binding.role_name}"'
    return f'{kind} "{name}" of {role} to {subject.kind} "{whom}"'
