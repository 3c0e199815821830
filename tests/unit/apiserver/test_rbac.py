"""RBAC without a server: roles and bindings in, a decision with its reason out."""

from typing import Any

import pytest

from deltawire.apiserver.access.attributes import Attributes
from deltawire.apiserver.access.authorizer import Decision
from deltawire.apiserver.access.bootstrap import first_cluster_role_bindings, first_cluster_roles
from deltawire.apiserver.access.policy import Policy, read_policy
from deltawire.apiserver.access.rbac import Rbac
from deltawire.apiserver.access.rules import Rule, read_rules
from deltawire.apiserver.access.stored import GROUP, StoredPolicy
from deltawire.apiserver.auth.users import ADMIN, ANONYMOUS, User, authenticated, service_account
from deltawire.apiserver.core.api import ApiCore

Tree = dict[str, Any]

BOB = authenticated("bob", ("dev",))
ROBOT = service_account("ns", "robot")


def wants(verb: str, resource: str = "", **more: Any) -> Attributes:
    resource, _, subresource = resource.partition("/")
    return Attributes(more.pop("user", BOB), verb, resource, subresource=subresource, **more)


PODS = Rule(("get", "list"), ("",), ("pods",))
ONE = Rule(("get", "delete"), ("",), ("configmaps",), names=("a", "b"))
PARTS = Rule(("*",), ("apps", ""), ("*/scale", "pods/log"))
EVERYTHING = Rule(("*",), ("*",), ("*",))
PATHS = Rule(("get",), paths=("/healthz", "/apis/*"))


@pytest.mark.parametrize(
    ("rule", "asked", "is_allowed"),
    [
        (PODS, wants("get", "pods"), True),
        (PODS, wants("get", "pods", name="x", namespace="ns"), True),
        (PODS, wants("watch", "pods"), False),
        (PODS, wants("get", "pods", group="metrics.k8s.io"), False),
        (PODS, wants("get", "pods/log"), False),
        (PODS, wants("*", "pods"), False),
        (PODS, wants("get", "*"), False),
        (PODS, wants("get", path="/healthz"), False),
        (ONE, wants("get", "configmaps", name="b"), True),
        (ONE, wants("get", "configmaps", name="c"), False),
        (ONE, wants("delete", "configmaps"), False),
        (PARTS, wants("update", "deployments/scale", group="apps"), True),
        (PARTS, wants("get", "pods/log"), True),
        (PARTS, wants("get", "pods/logs"), False),
        (PARTS, wants("get", "deployments", group="apps"), False),
        (PARTS, wants("get", "deployments/scale", group="batch"), False),
        (EVERYTHING, wants("impersonate", "users", name="root"), True),
        (EVERYTHING, wants("get", "widgets/status", group="example.net"), True),
        (EVERYTHING, wants("*", "*", group="*"), True),
        (EVERYTHING, wants("get", path="/metrics"), False),
        (PATHS, wants("get", path="/healthz"), True),
        (PATHS, wants("get", path="/healthz/etcd"), False),
        (PATHS, wants("get", path="/apis/apps/v1"), True),
        (PATHS, wants("get", path="/apis"), False),
        (PATHS, wants("post", path="/apis/x"), False),
        (Rule(("get",), paths=("*",)), wants("get", path="/metrics"), True),
        (Rule(("get",)), wants("get", "pods"), False),
    ],
)
def test_a_rule_covers_what_it_names(rule: Rule, asked: Attributes, is_allowed: bool) -> None:
    assert rule.allows(asked) is is_allowed


@pytest.mark.parametrize(
    "item",
    [
        "x",
        None,
        {},
        {"verbs": "get", "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["get"], "resources": 5},
    ],
)
def test_what_is_not_a_rule_grants_nothing(item: Any) -> None:
    assert not any(rule.allows(wants("get", "pods")) for rule in read_rules([item]))


@pytest.mark.parametrize("names", ["a", [1], {"a": "b"}])
def test_a_limit_that_cannot_be_read_does_not_become_none(names: Any) -> None:
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": names}
    assert read_rules([rule]) == ()


def role(name: str, *rules: Rule, namespace: str = "", **more: Any) -> Tree:
    metadata: Tree = {"name": name, "labels": more.pop("labels", {})}
    if namespace:
        metadata["namespace"] = namespace
    trees = [
        {
            "verbs": list(rule.verbs),
            "apiGroups": list(rule.groups),
            "resources": list(rule.resources),
            "resourceNames": list(rule.names),
            "nonResourceURLs": list(rule.paths),
        }
        for rule in rules
    ]
    return {"metadata": metadata, "rules": trees, **more}


def binding(name: str, to: str, *subjects: Tree, kind: str = "ClusterRole", namespace: str = "") -> Tree:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"metadata": metadata, "roleRef": {"kind": kind, "name": to}, "subjects": list(subjects)}


def user(name: str) -> Tree:
    return {"kind": "User", "name": name}


def group(name: str) -> Tree:
    return {"kind": "Group", "name": name}


def decided(asked: Attributes, **objects: list[Tree]) -> Decision:
    policy = read_policy(**objects)
    return Rbac(lambda: policy).decide(asked)


READER = role("reader", PODS)


@pytest.mark.parametrize(
    ("subject", "who", "reason"),
    [
        (user("bob"), BOB, 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to User "bob"'),
        (group("dev"), BOB, 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to Group "dev"'),
        (
            {"kind": "ServiceAccount", "name": "robot", "namespace": "ns"},
            ROBOT,
            'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to ServiceAccount "robot/ns"',
        ),
        (group("system:serviceaccounts:ns"), ROBOT, None),
        (group("system:authenticated"), ROBOT, None),
        (group("system:unauthenticated"), ANONYMOUS, None),
    ],
)
def test_a_binding_gives_its_role_to_its_subjects(subject: Tree, who: User, reason: str | None) -> None:
    asked = wants("list", "pods", namespace="ns", user=who)
    decision = decided(asked, cluster_roles=[READER], cluster_role_bindings=[binding("b", "reader", subject)])
    assert decision.is_allowed
    assert reason is None or decision.reason == reason


@pytest.mark.parametrize(
    "subject",
    [
        user("alice"),
        user("dev"),
        group("bob"),
        {"kind": "ServiceAccount", "name": "bob"},
        {"kind": "ServiceAccount", "name": "bob", "namespace": "ns"},
        {"kind": "Robot", "name": "bob"},
    ],
)
def test_a_binding_gives_nothing_to_others(subject: Tree) -> None:
    asked = wants("list", "pods", namespace="ns")
    bindings = [binding("b", "reader", subject)]
    assert decided(asked, cluster_roles=[READER], cluster_role_bindings=bindings) == Decision(False)


def test_a_binding_of_a_namespace_ends_at_its_border() -> None:
    objects = {
        "roles": [role("local", PODS, namespace="ns")],
        "cluster_roles": [role("parts", PARTS)],
        "role_bindings": [
            binding("l", "local", user("bob"), kind="Role", namespace="ns"),
            binding("p", "parts", group("dev"), namespace="ns"),
        ],
    }
    allowed = decided(wants("get", "pods", namespace="ns"), **objects)
    assert allowed == (True, 'RBAC: allowed by RoleBinding "l/ns" of Role "local" to User "bob"')
    assert decided(wants("get", "pods/log", namespace="ns"), **objects).is_allowed
    for asked in (wants("get", "pods", namespace="other"), wants("get", "pods"), wants("get", path="/x")):
        assert not decided(asked, **objects).is_allowed


def test_an_account_without_a_namespace_is_one_of_the_bindings() -> None:
    account = {"kind": "ServiceAccount", "name": "robot"}
    objects = {
        "cluster_roles": [READER],
        "role_bindings": [binding("b", "reader", account, namespace="ns")],
        "cluster_role_bindings": [binding("nowhere", "reader", account)],
    }
    assert decided(wants("get", "pods", namespace="ns", user=ROBOT), **objects).is_allowed
    assert not decided(wants("get", "pods", namespace="other", user=ROBOT), **objects).is_allowed


def test_a_refusal_tells_which_roles_are_missing() -> None:
    bindings = [binding("b", "gone", user("bob")), binding("c", "lost", user("bob"), kind="Role")]
    refused = decided(wants("get", "pods"), cluster_role_bindings=bindings)
    assert refused == (
        False,
        'RBAC: [clusterrole.rbac.authorization.k8s.io "gone" not found, '
        'role.rbac.authorization.k8s.io "lost" not found]',
    )
    reader = binding("r", "reader", user("bob"))
    allowed = decided(wants("get", "pods"), cluster_roles=[READER], cluster_role_bindings=[*bindings, reader])
    assert allowed.is_allowed


def test_masters_may_do_everything_whatever_is_bound() -> None:
    assert decided(wants("delete", "nodes", user=ADMIN)) == Decision(True)
    assert decided(wants("delete", "nodes")) == Decision(False)


def selects(**labels: str) -> Tree:
    return {"clusterRoleSelectors": [{"matchLabels": labels}]}


def test_an_aggregated_role_has_the_rules_of_those_it_selects() -> None:
    roles = [
        role("sum", EVERYTHING, aggregationRule=selects(to="sum"), labels={"to": "all"}),
        role("part", PODS, labels={"to": "sum"}),
        role("other", ONE, labels={"to": "elsewhere"}),
        role("all", aggregationRule=selects(to="all"), labels={"to": "sum"}),
    ]
    policy = read_policy(cluster_roles=roles)
    assert policy.roles["", "sum"] == (PODS,)
    # They select each other: no rule is lost, nothing goes round for ever.
    assert policy.roles["", "all"] == (PODS,)


@pytest.mark.parametrize(
    "rule", [{}, {"clusterRoleSelectors": ["x"]}, {"clusterRoleSelectors": [{"matchLabels": 5}]}]
)
def test_an_aggregation_that_cannot_be_read_selects_nothing(rule: Tree) -> None:
    policy = read_policy(cluster_roles=[role("sum", EVERYTHING, aggregationRule=rule), role("part", PODS)])
    assert policy.roles["", "sum"] == ()


def test_malformed_bindings_bind_nobody() -> None:
    bad: list[Tree] = [
        {"metadata": {"name": "a"}, "roleRef": "reader", "subjects": [user("bob")]},
        {"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "reader"}, "subjects": "bob"},
        {
            "metadata": {"name": "c"},
            "roleRef": {"kind": "ClusterRole", "name": "reader"},
            "subjects": ["bob"],
        },
    ]
    decision = decided(wants("get", "pods"), cluster_roles=[READER], cluster_role_bindings=bad)
    assert decision == (False, 'RBAC: unsupported role reference kind: ""')


def test_grants_are_everything_bound_in_the_cluster_and_the_namespace() -> None:
    policy = read_policy(
        cluster_roles=[READER, role("parts", PARTS)],
        cluster_role_bindings=[binding("b", "reader", user("bob")), binding("c", "gone", user("bob"))],
        role_bindings=[binding("p", "parts", group("dev"), namespace="ns")],
    )
    rbac = Rbac(lambda: policy)
    granted = rbac.grants(BOB, "ns")
    assert granted.rules == (PODS, PARTS)
    assert granted.error == 'clusterrole.rbac.authorization.k8s.io "gone" not found'
    assert rbac.grants(BOB, "other").rules == (PODS,)


def test_the_stored_policy_follows_every_change(core: ApiCore) -> None:
    policy = StoredPolicy(core.store)
    assert policy() == Policy()
    core.create(f"clusterroles.{GROUP}", role("reader", PODS))
    before = core.store.version
    core.create(f"rolebindings.{GROUP}", binding("b", "reader", user("bob")), "default")
    asked = wants("get", "pods", namespace="default")
    rbac = Rbac(policy)
    assert rbac.decide(asked).is_allowed
    assert policy() is policy(), "read again though nothing has changed"
    core.rewind(before)
    assert not rbac.decide(asked).is_allowed
    core.create(f"rolebindings.{GROUP}", binding("b", "reader", user("bob")), "default")
    assert rbac.decide(asked).is_allowed
    core.delete(f"clusterroles.{GROUP}", "reader")
    assert not rbac.decide(asked).is_allowed


def first(asked: Attributes, *bound: str) -> bool:
    """Decided with the roles a cluster is born with, ``bound`` given to bob."""
    bindings = [
        *first_cluster_role_bindings(),
        *(binding(f"bob-{name}", name, user("bob")) for name in bound),
    ]
    return decided(asked, cluster_roles=first_cluster_roles(), cluster_role_bindings=bindings).is_allowed


@pytest.mark.parametrize(
    ("asked", "least"),
    [
        (wants("list", "pods"), "view"),
        (wants("get", "pods/log"), "view"),
        (wants("watch", "deployments", group="apps"), "view"),
        (wants("get", "namespaces", name="ns", namespace="ns"), "view"),
        (wants("get", "secrets"), "edit"),
        (wants("create", "pods"), "edit"),
        (wants("get", "pods/exec"), "edit"),
        (wants("create", "pods/eviction"), "edit"),
        (wants("patch", "deployments/scale", group="apps"), "edit"),
        (wants("create", "serviceaccounts/token"), "edit"),
        (wants("impersonate", "serviceaccounts", name="robot"), "edit"),
        (wants("create", "rolebindings", group=GROUP), "admin"),
        (wants("create", "localsubjectaccessreviews", group="authorization.k8s.io"), "admin"),
        (wants("delete", "nodes"), "cluster-admin"),
        (wants("impersonate", "users", name="x"), "cluster-admin"),
        (wants("update", "pods/status"), "cluster-admin"),
        (wants("list", "widgets", group="example.net"), "cluster-admin"),
        (wants("get", path="/metrics"), "cluster-admin"),
    ],
)
def test_the_first_roles_rise_from_view_to_cluster_admin(asked: Attributes, least: str) -> None:
    ladder = ["view", "edit", "admin", "cluster-admin"]
    allowed = [name for name in ladder if first(asked, name)]
    assert allowed == ladder[ladder.index(least) :]
    assert not first(asked)


@pytest.mark.parametrize(
    ("who", "asked", "is_allowed"),
    [
        (BOB, {"verb": "get", "path": "/apis/apps/v1"}, True),
        (BOB, {"verb": "get", "path": "/openapi/v3"}, True),
        (BOB, {"verb": "get", "path": "/"}, False),
        (ANONYMOUS, {"verb": "get", "path": "/version"}, True),
        (ANONYMOUS, {"verb": "get", "path": "/readyz"}, True),
        (ANONYMOUS, {"verb": "get", "path": "/apis"}, False),
        (
            BOB,
            {"verb": "create", "resource": "selfsubjectaccessreviews", "group": "authorization.k8s.io"},
            True,
        ),
        (
            ANONYMOUS,
            {"verb": "create", "resource": "selfsubjectaccessreviews", "group": "authorization.k8s.io"},
            False,
        ),
    ],
)
def test_everybody_may_look_around(who: User, asked: dict[str, str], is_allowed: bool) -> None:
    assert first(Attributes(who, **asked)) is is_allowed


def test_the_first_aggregated_roles_show_what_they_are_made_of() -> None:
    shown = {tree["metadata"]["name"]: tree["rules"] for tree in first_cluster_roles()}
    for part in ("view", "edit", "admin"):
        for rule in shown[f"system:aggregate-to-{part}"]:
            assert rule in shown["admin"]


def test_a_new_role_joins_the_first_aggregated_ones() -> None:
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    widgets = role("widgets", Rule(("get",), ("example.net",), ("widgets",)), labels=label)
    policy = read_policy(
        cluster_roles=[*first_cluster_roles(), widgets],
        cluster_role_bindings=[binding("b", "edit", user("bob"))],
    )
    assert Rbac(lambda: policy).decide(wants("get", "widgets", group="example.net")).is_allowed
