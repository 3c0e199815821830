"""No user can grant more rights than their own."""

from typing import Any

import pytest

from deltawire.apiserver.access.escalation import COMPARED_MAX, TOLD_MAX, Escalation
from deltawire.apiserver.access.policy import read_policy
from deltawire.apiserver.access.rbac import Rbac
from deltawire.apiserver.access.stored import GROUP
from deltawire.apiserver.auth.users import ADMIN, User, authenticated
from deltawire.apiserver.core.builtin import BUILTIN_RESOURCES
from deltawire.common.errors import StatusError

Tree = dict[str, Any]

BOB = authenticated("bob", ("dev",))
RESOURCES = {served.type.plural: served for served in BUILTIN_RESOURCES if served.type.group == GROUP}


def rule(verbs: str, resources: str, group: str = "", names: str = "") -> Tree:
    tree = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    return tree | {"resourceNames": names.split()} if names else tree


def role(name: str, *rules: Tree, namespace: str = "", **more: Any) -> Tree:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"metadata": metadata, "rules": list(rules), **more}


def binding(role_name: str, *, kind: str = "ClusterRole", namespace: str = "", to: str = "bob") -> Tree:
    return {
        "metadata": {"name": "b"} | ({"namespace": namespace} if namespace else {}),
        "roleRef": {"kind": kind, "name": role_name},
        "subjects": [{"kind": "User", "name": to}],
    }


HELD = role(
    "held",
    rule("get list", "pods pods/log"),
    rule("get", "pods"),
    rule("*", "*/scale", "apps"),
    rule("get", "configmaps", names="a b"),
    {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/apis/*"]},
)


def refusal(plural: str, obj: Tree, *held: Tree, user: User = BOB) -> StatusError | None:
    """The error that bob, who has ``held`` in the cluster, gets for writing ``obj``; None if he may."""
    roles = [HELD, role("strong", rule("*", "*", "*")), *held]
    bound = [binding(tree["metadata"]["name"]) for tree in held]
    policy = read_policy(
        cluster_roles=roles,
        roles=[role("local", rule("get", "pods"), namespace="ns")],
        cluster_role_bindings=bound,
    )
    try:
        Escalation(Rbac(lambda: policy)).check(user, RESOURCES[plural], obj)
    except StatusError as error:
        return error
    return None


@pytest.mark.parametrize(
    "given",
    [
        rule("get", "pods"),
        rule("get list", "pods pods/log"),
        rule("list", "pods", names="x"),
        rule("update delete", "deployments/scale replicasets/scale", "apps"),
        rule("*", "*/scale", "apps"),
        rule("get", "configmaps", names="a"),
        {"verbs": ["get"], "nonResourceURLs": ["/apis/apps", "/apis/apps/*"]},
    ],
)
def test_what_one_has_one_may_give(given: Tree) -> None:
    assert refusal("clusterroles", role("new", given), HELD) is None
    assert refusal("roles", role("new", given, namespace="ns"), HELD) is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (rule("get watch delete", "pods"), '{APIGroups:[""], Resources:["pods"], Verbs:["watch" "delete"]}'),
        (rule("*", "pods"), '{APIGroups:[""], Resources:["pods"], Verbs:["*"]}'),
        (rule("get", "pods/exec"), '{APIGroups:[""], Resources:["pods/exec"], Verbs:["get"]}'),
        (rule("get", "*"), '{APIGroups:[""], Resources:["*"], Verbs:["get"]}'),
        (
            rule("get", "deployments", "apps"),
            '{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}',
        ),
        (rule("get", "configmaps"), '{APIGroups:[""], Resources:["configmaps"], Verbs:["get"]}'),
        (
            rule("get", "configmaps", names="a c"),
            '{APIGroups:[""], Resources:["configmaps"], ResourceNames:["c"], Verbs:["get"]}',
        ),
        ({"verbs": ["get"], "nonResourceURLs": ["/api*"]}, '{NonResourceURLs:["/api*"], Verbs:["get"]}'),
    ],
)
def test_what_one_does_not_have_one_may_not_give(given: Tree, told: str) -> None:
    error = refusal("clusterroles", role("new", given), HELD)
    assert error is not None
    assert (error.code, error.reason) == (403, "Forbidden")
    assert error.message == (
        'clusterroles.rbac.authorization.k8s.io "new" is forbidden: user "bob" '
        '(groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
        + told
    )


def test_masters_and_who_may_escalate_give_what_they_like() -> None:
    strong = role("new", rule("*", "*", "*"))
    assert refusal("clusterroles", strong) is not None
    assert refusal("clusterroles", strong, user=ADMIN) is None
    assert refusal("clusterroles", strong, role("e", rule("escalate", "clusterroles", GROUP))) is None
    assert refusal("clusterroles", strong, role("e", rule("escalate", "roles", GROUP))) is not None


@pytest.mark.parametrize(
    ("obj", "held", "is_allowed"),
    [
        (binding("held"), [HELD], True),
        (binding("strong"), [HELD], False),
        (binding("strong"), [role("binder", rule("bind", "clusterroles", GROUP, "strong"))], True),
        (binding("strong"), [role("binder", rule("bind", "clusterroles", GROUP, "held"))], False),
        (binding("local", kind="Role", namespace="ns"), [HELD], True),
        (binding("held", namespace="ns"), [HELD], True),
        (binding("strong", namespace="ns"), [HELD], False),
    ],
)
def test_a_binding_is_held_against_the_role_it_gives(obj: Tree, held: list[Tree], is_allowed: bool) -> None:
    plural = "rolebindings" if "namespace" in obj["metadata"] else "clusterrolebindings"
    error = refusal(plural, obj, *held)
    assert (error is None) is is_allowed
    assert error is None or "attempting to grant RBAC permissions" in error.message


def test_a_role_that_is_missing_can_be_bound_only_by_who_may_bind() -> None:
    for obj in (binding("gone"), binding("local", kind="Role"), {**binding("x"), "roleRef": "broken"}):
        error = refusal("clusterrolebindings", obj, HELD)
        assert error is not None
        assert (error.code, error.reason) == (404, "NotFound")
    assert refusal("clusterrolebindings", binding("gone"), user=ADMIN) is None


def test_only_who_may_do_everything_can_aggregate() -> None:
    aggregated = role("new", aggregationRule={"clusterRoleSelectors": []})
    error = refusal("clusterroles", aggregated, HELD)
    assert error is not None
    assert error.message.endswith("must have cluster-admin privileges to use the aggregationRule")
    everything = role("all", rule("*", "*", "*"), {"verbs": ["*"], "nonResourceURLs": ["*"]})
    assert refusal("clusterroles", aggregated, everything) is None


def test_a_rule_of_endless_permissions_is_refused_in_finite_time_and_words() -> None:
    words = " ".join(f"w{number}" for number in range(1000))
    huge = role("new", rule(words, words, names=words))
    error = refusal("clusterroles", huge, HELD)
    assert error is not None
    assert error.message.count("Verbs") <= TOLD_MAX
    held = rule(words, words)
    error = refusal("clusterroles", huge, role("most", held))
    assert COMPARED_MAX < 1000**3
    assert error is not None
