"""ValidatingAdmissionPolicies: expressions that writes must fulfil."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer

Tree = dict[str, Any]
_GROUP = "apis/admissionregistration.k8s.io/v1"
_MAPS = "api/v1/namespaces/default/configmaps"
_CONSTRAINTS: Tree = {
    "resourceRules": [
        {
            "operations": ["CREATE", "UPDATE", "DELETE"],
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["configmaps"],
        }
    ]
}


class Cluster:
    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: dict[str, str] = {}
        self.trusted: str | bool = True

    def ask(self, method: str, path: str, body: Tree | None = None) -> requests.Response:
        return requests.request(
            method, f"{self.url}/{path}", json=body, headers=self.headers, verify=self.trusted, timeout=30
        )

    def policy(self, *validations: Tree, **fields: Any) -> requests.Response:
        spec = {"matchConstraints": _CONSTRAINTS, "validations": list(validations), **fields}
        body = {"metadata": {"name": "p"}, "spec": spec}
        return self.ask("POST", f"{_GROUP}/validatingadmissionpolicies", body)

    def bind(self, *actions: str, **fields: Any) -> None:
        spec = {"policyName": "p", "validationActions": list(actions) or ["Deny"], **fields}
        body = {"metadata": {"name": "b"}, "spec": spec}
        answer = self.ask("POST", f"{_GROUP}/validatingadmissionpolicybindings", body)
        assert answer.status_code == 201, answer.text

    def create(self, name: str = "a", **data: str) -> requests.Response:
        return self.ask("POST", _MAPS, {"metadata": {"name": name}, "data": data})


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with ApiServer(ApiServerOptions()) as server:
        yield Cluster(server.url)


def test_what_a_policy_denies_is_refused_in_its_words(cluster: Cluster) -> None:
    cluster.policy({"expression": "object.data.k != 'bad'", "message": "not bad"})
    assert cluster.create("before", k="bad").status_code == 201  # a policy without a binding does nothing
    cluster.bind()
    refused = cluster.create(k="bad")
    denied = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not bad"
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
    assert refused.json()["message"] == f'configmaps "a" is forbidden: {denied}'
    assert refused.json()["details"]["causes"] == [{"message": denied}]
    assert cluster.create(k="good").status_code == 201


def test_reasons_and_message_expressions(cluster: Cluster) -> None:
    cluster.policy(
        {"expression": "false", "reason": "Forbidden", "messageExpression": "'no ' + object.metadata.name"}
    )
    cluster.bind()
    refused = cluster.create()
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    assert refused.json()["message"].endswith("denied request: no a")


def test_without_a_message_the_expression_is_told(cluster: Cluster) -> None:
    cluster.policy({"expression": "object.data.k == 'x'"})
    cluster.bind()
    assert cluster.create(k="y").json()["message"].endswith("failed expression: object.data.k == 'x'")


def test_an_expression_without_a_value_denies_unless_failures_are_ignored(cluster: Cluster) -> None:
    cluster.policy({"expression": "object.data.nope == 'x'"})
    cluster.bind()
    told = cluster.create(k="y").json()["message"]
    assert told.endswith("expression 'object.data.nope == 'x'' resulted in error: no such key: nope")
    policy = cluster.ask("GET", f"{_GROUP}/validatingadmissionpolicies/p").json()
    policy["spec"]["failurePolicy"] = "Ignore"
    cluster.ask("PUT", f"{_GROUP}/validatingadmissionpolicies/p", policy)
    assert cluster.create(k="y").status_code == 201


def test_variables_conditions_and_namespaces_can_be_used(cluster: Cluster) -> None:
    cluster.policy(
        {"expression": "variables.size < 2 && namespaceObject.metadata.name == 'default'"},
        variables=[{"name": "size", "expression": "size(object.data)"}],
        matchConditions=[{"name": "creations", "expression": "request.operation == 'CREATE'"}],
    )
    cluster.bind()
    assert cluster.create("one", a="1").status_code == 201
    assert cluster.create("two", a="1", b="2").status_code == 422
    assert cluster.ask("DELETE", f"{_MAPS}/one").status_code == 200


def test_deletions_can_be_denied(cluster: Cluster) -> None:
    cluster.policy({"expression": "request.operation != 'DELETE' || oldObject.data.k != 'kept'"})
    cluster.bind()
    cluster.create(k="kept")
    assert cluster.ask("DELETE", f"{_MAPS}/a").status_code == 422
    assert cluster.ask("GET", f"{_MAPS}/a").status_code == 200


def test_what_is_only_warned_of_is_written(cluster: Cluster) -> None:
    cluster.policy({"expression": "false", "message": "careful"})
    cluster.bind("Warn")
    created = cluster.create()
    told = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': careful"
    assert (created.status_code, told in created.headers["Warning"]) == (201, True)


def test_a_binding_brings_parameters(cluster: Cluster) -> None:
    cluster.create("limits", most="2")
    cluster.policy(
        {"expression": "object.metadata.name == 'limits' || size(object.data) <= int(params.data.most)"},
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
    )
    cluster.bind(paramRef={"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"})
    assert cluster.create("few", a="1").status_code == 201
    assert cluster.create("many", a="1", b="2", c="3").status_code == 422


def test_parameters_that_are_not_there_deny(cluster: Cluster) -> None:
    cluster.policy({"expression": "true"}, paramKind={"apiVersion": "v1", "kind": "ConfigMap"})
    cluster.bind(paramRef={"name": "nope", "namespace": "default", "parameterNotFoundAction": "Deny"})
    told = (
        "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    )
    assert cluster.create().json()["message"].endswith(told)


def test_an_expression_that_is_none_is_refused_with_its_policy(cluster: Cluster) -> None:
    refused = cluster.policy({"expression": "object.x =="})
    (cause,) = refused.json()["details"]["causes"]
    assert (refused.status_code, cause["field"]) == (422, "spec.validations[0].expression")
    assert "compilation failed: ERROR: <input>:1:12: Syntax error" in cause["message"]


def test_audit_annotations_go_to_the_log_and_only_their_errors_deny(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "deltawire.apiserver.admission.policies")
    annotation = {"key": "size", "valueExpression": "object.data.k == '' ? '' : 'k is ' + object.data.k"}
    assert cluster.policy({"expression": "true"}, auditAnnotations=[annotation]).status_code == 201
    cluster.bind()
    assert cluster.create("said", k="v").status_code == 201
    assert cluster.create("unsaid", k="").status_code == 201
    told = [record.getMessage() for record in caplog.records]
    assert told == ["audit: CREATE configmaps default/said: p/size=k is v"]
    refused = cluster.create("broken", other="v")
    assert refused.json()["message"].endswith("resulted in error: no such key: k")


def test_what_is_only_audited_is_written_and_logged(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "deltawire.apiserver.admission.policies")
    cluster.policy({"expression": "false", "message": "careful"})
    cluster.bind("Audit")
    assert cluster.create().status_code == 201
    (told,) = [record.getMessage() for record in caplog.records]
    assert 'validation.policy.admission.k8s.io/validation_failure=[{"message":"careful"' in told


def test_a_policy_that_costs_too_much_is_stopped_and_denies(cluster: Cluster) -> None:
    expression = "object.data.all(a, object.data.all(b, object.data.all(c, object.data[c] != 'x')))"
    cluster.policy({"expression": expression})
    cluster.bind()
    many = {f"key{number}": "v" for number in range(100)}
    told = f"expression '{expression}' resulted in error: operation cancelled: actual cost limit exceeded"
    assert cluster.create(**many).json()["message"].endswith(told)
    assert cluster.create("few", a="v").status_code == 201


def test_conditions_that_cost_too_much_together_deny(cluster: Cluster) -> None:
    # Each text of 300,000 characters is looked through for one of 90: some 270,000 units of cost.
    expression = f"object.data.k.contains('{'x' * 90}') || true"
    conditions = [{"name": f"c{number}", "expression": expression} for number in range(12)]
    assert cluster.policy({"expression": "true"}, matchConditions=conditions).status_code == 201
    cluster.bind()
    assert cluster.create(k="short").status_code == 201
    told = "validation failed due to running out of cost budget, no further validation rules will be run"
    assert cluster.create("long", k="y" * 300_000).json()["message"].endswith(told)


# ---- rights that expressions ask for


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Cluster]:
    """With RBAC; `ask` is the administrator, `alice` may write configmaps, and read pods in her namespace."""
    with ApiServer(ApiServerOptions(rbac=True, tokens=("admin",))) as server:
        cluster = Cluster(server.url)
        cluster.headers = {"Authorization": "Bearer admin"}
        (tmp_path / "ca.pem").write_bytes(server.ca_pem)
        cluster.trusted = str(tmp_path / "ca.pem")
        rules = [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"]},
        ]
        server.create("roles.rbac.authorization.k8s.io", {"metadata": {"name": "r"}, "rules": rules}, "default")
        for name, subject in {
            "alice": {"kind": "User", "name": "alice"},
            "robot": {"kind": "ServiceAccount", "name": "robot", "namespace": "default"},
        }.items():
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
            binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
            server.create("rolebindings.rbac.authorization.k8s.io", binding, "default")
        yield cluster


ASKED = [
    ("authorizer.group('').resource('pods').namespace('default').check('get').allowed()", True),
    ("authorizer.group('').resource('pods').namespace('default').check('delete').allowed()", False),
    ("authorizer.group('').resource('pods').subresource('log').namespace('default').check('get').allowed()", True),
    ("authorizer.group('').resource('pods').namespace('other').check('get').allowed()", False),
    ("authorizer.group('apps').resource('pods').namespace('default').check('get').allowed()", False),
    ("authorizer.group('').resource('pods').namespace('default').name('x').check('get').reason() != ''", True),
    ("authorizer.path('/healthz').check('get').allowed()", True),
    ("authorizer.path('/secret').check('get').allowed()", False),
    ("authorizer.requestResource.check('create').allowed()", True),
    ("authorizer.requestResource.check('escalate').allowed()", True),
    ("authorizer.requestResource.name('other').check('get').errored()", False),
    (
        "authorizer.serviceAccount('default', 'robot').group('').resource('pods').namespace('default')"
        ".check('get').allowed()",
        True,
    ),
    (
        "authorizer.serviceAccount('default', 'nobody').group('').resource('pods').namespace('default')"
        ".check('get').allowed()",
        False,
    ),
]


def test_policies_may_ask_what_the_user_and_accounts_may(guarded: Cluster) -> None:
    admin = guarded.headers
    guarded.policy({"expression": "true"})
    guarded.bind()
    for number, (expression, expected) in enumerate(ASKED):
        policy = guarded.ask("GET", f"{_GROUP}/validatingadmissionpolicies/p").json()
        policy["spec"]["validations"] = [{"expression": expression, "message": "denied"}]
        answer = guarded.ask("PUT", f"{_GROUP}/validatingadmissionpolicies/p", policy)
        assert answer.status_code == 200, answer.text
        guarded.headers = {**admin, "Impersonate-User": "alice", "Impersonate-Group": "dev"}
        made = guarded.create(f"map-{number}")
        guarded.headers = admin
        assert made.status_code == (201 if expected else 422), (expression, made.text)


def test_a_condition_may_ask_for_rights(guarded: Cluster) -> None:
    guarded.policy(
        {"expression": "false", "message": "no"},
        matchConditions=[
            {"name": "no-admin", "expression": "!authorizer.group('').resource('nodes').check('delete').allowed()"}
        ],
    )
    guarded.bind()
    assert guarded.create("of-the-admin").status_code == 201
    guarded.headers = {**guarded.headers, "Impersonate-User": "alice", "Impersonate-Group": "dev"}
    assert guarded.create("of-alice").status_code == 422


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("authorizer.path('').check('get').allowed()", "path must not be empty"),
        ("authorizer.group('').resource('').check('get').allowed()", "resource must not be empty"),
        ("authorizer.serviceAccount('', 'x').path('/x').check('get').allowed()", "Invalid namespace"),
        ("authorizer.check('get').allowed()", "no such overload"),
    ],
)
def test_a_question_that_is_none_is_an_error(guarded: Cluster, expression: str, said: str) -> None:
    guarded.policy({"expression": expression})
    guarded.bind()
    assert said in guarded.create().json()["message"]


def test_a_question_on_what_cannot_be_asked_is_refused_with_the_policy(guarded: Cluster) -> None:
    answer = guarded.policy({"expression": "authorizer.group('').check('get').allowed()"})
    assert answer.status_code == 422
    assert "found no matching overload for 'check'" in answer.json()["message"]


def test_more_than_two_checks_cost_too_much_for_one_expression(guarded: Cluster) -> None:
    one = "authorizer.path('/healthz').check('get').allowed()"
    guarded.policy({"expression": " && ".join([one] * 2)})
    guarded.bind()
    assert guarded.create("two").status_code == 201
    policy = guarded.ask("GET", f"{_GROUP}/validatingadmissionpolicies/p").json()
    policy["spec"]["validations"] = [{"expression": " && ".join([one] * 3)}]
    guarded.ask("PUT", f"{_GROUP}/validatingadmissionpolicies/p", policy)
    assert "cost" in guarded.create("three").json()["message"]
