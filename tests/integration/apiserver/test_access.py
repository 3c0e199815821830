"""Who may come in, and what they may do then: real kubectl, the official Python client, plain requests."""

# Types of the official client are named, not loaded: that takes a second in each process that collects the tests.
from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from kubernetes import client, config

from deltawire.apiserver.auth.tokens import BearerToken
from deltawire.apiserver.auth.users import authenticated
from deltawire.apiserver.server import ApiServer
from deltawire.common.errors import ConfigError
from tests.support.servers import Kubectl, ServerFactory, eventually, require_kubectl

RBAC = "rbac.authorization.k8s.io"
REVIEWS = "/apis/authorization.k8s.io/v1"
FORBIDDEN = (
    'Error from server (Forbidden): {} is forbidden: User "{}" cannot {} resource "{}" in API group "" '
    'in the namespace "default"\n'
)


@pytest.fixture
def guarded(api_server_factory: ServerFactory) -> ApiServer:
    """A server with RBAC on; alice of group dev has a certificate and a context."""
    return api_server_factory(rbac=True, users={"alice": ("dev",)})


@pytest.fixture
def kubectl(guarded: ApiServer, tmp_path: Path) -> Kubectl:
    """kubectl as administrator of `guarded`, with a context for alice."""
    require_kubectl()
    return Kubectl(guarded.write_kubeconfig(tmp_path / "kubeconfig"), tmp_path)


@pytest.fixture
def with_token(guarded: ApiServer, tmp_path: Path) -> Callable[[str], Kubectl]:
    """``with_token(t)``: kubectl that shows that token, or nothing at all."""

    def make(token: str) -> Kubectl:
        tree = yaml.safe_load(guarded.write_kubeconfig(tmp_path / "bare").read_text())
        tree["users"] = [{"name": "deltawire", "user": {"token": token}}]
        path = tmp_path / "with-token"
        path.write_text(yaml.safe_dump(tree))
        return Kubectl(path, tmp_path)

    return make


@pytest.fixture
def ask(guarded: ApiServer, tmp_path: Path) -> Callable[..., requests.Response]:
    """``ask(method, path, token="", **options)`` of `guarded`."""
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(guarded.ca_pem)

    def make(method: str, path: str, token: str = "", **options: Any) -> requests.Response:
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        return requests.request(
            method, guarded.url + path, headers=headers, verify=str(trusted), timeout=10, **options
        )

    return make


def give(server: ApiServer, role: str, *subjects: dict[str, str], namespace: str = "default") -> None:
    """Bind a cluster role in one namespace."""
    binding = {
        "metadata": {"generateName": "given-"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }
    server.create(f"rolebindings.{RBAC}", binding, namespace)


def user(name: str) -> dict[str, str]:
    return {"kind": "User", "name": name, "apiGroup": RBAC}


def test_a_client_certificate_is_a_user_with_groups(kubectl: Kubectl) -> None:
    assert "kubernetes-admin" in kubectl.run("auth", "whoami").stdout
    shown = kubectl.run("--context=alice", "auth", "whoami").stdout.splitlines()
    assert [line.split(maxsplit=1) for line in shown[1:]] == [
        ["Username", "alice"],
        ["Groups", "[dev system:authenticated]"],
    ]


def test_nothing_is_allowed_until_a_role_is_bound(kubectl: Kubectl) -> None:
    refused = kubectl.run("--context=alice", "get", "pods", check=False)
    assert (refused.returncode, refused.stderr) == (1, FORBIDDEN.format("pods", "alice", "list", "pods"))
    asked = kubectl.run("--context=alice", "auth", "can-i", "list", "pods", check=False)
    assert (asked.returncode, asked.stdout) == (1, "no\n")
    kubectl.run("create", "rolebinding", "devs", "--clusterrole=view", "--group=dev")
    assert kubectl.run("--context=alice", "auth", "can-i", "list", "pods").stdout == "yes\n"
    assert "No resources found" in kubectl.run("--context=alice", "get", "pods").stderr
    refused = kubectl.run("--context=alice", "get", "pods", "-A", check=False)
    assert (refused.returncode, "at the cluster scope" in refused.stderr) == (1, True)
    refused = kubectl.run("--context=alice", "create", "configmap", "a", check=False)
    assert (refused.returncode, 'cannot create resource "configmaps"' in refused.stderr) == (1, True)
    refused = kubectl.run("--context=alice", "get", "--raw", "/metrics", check=False)
    assert 'forbidden: User "alice" cannot get path "/metrics"' in refused.stderr
    kubectl.run("delete", "rolebinding", "devs")
    assert kubectl.run("--context=alice", "get", "pods", check=False).returncode == 1


def test_an_administrator_asks_and_acts_for_others(kubectl: Kubectl) -> None:
    may = kubectl.run("auth", "can-i", "delete", "nodes")
    assert "yes" in may.stdout
    refused = kubectl.run("get", "secrets", "--as=bob", check=False)
    assert (refused.returncode, refused.stderr) == (1, FORBIDDEN.format("secrets", "bob", "list", "secrets"))
    assert kubectl.run("auth", "can-i", "list", "secrets", "--as=bob", check=False).stdout == "no\n"
    kubectl.run("create", "rolebinding", "devs", "--clusterrole=edit", "--group=dev")
    as_bob = ("--as=bob", "--as-group=dev")
    assert kubectl.run("auth", "can-i", "list", "secrets", *as_bob).stdout == "yes\n"
    assert kubectl.run("create", "configmap", "a", *as_bob).stdout == "configmap/a created\n"
    listed = kubectl.run("auth", "can-i", "--list", *as_bob).stdout
    assert "deployments.apps/scale" in listed
    assert "selfsubjectreviews.authentication.k8s.io" in listed
    assert "*.*" not in listed
    assert "*.*" in kubectl.run("auth", "can-i", "--list").stdout


def test_impersonation_is_a_permission(kubectl: Kubectl) -> None:
    kubectl.run("get", "pods")  # discovery, which alice would have to do as bob, is known from here on
    refused = kubectl.run("--context=alice", "get", "pods", "--as=bob", check=False)
    assert (refused.returncode, refused.stderr) == (
        1,
        'Error from server (Forbidden): users "bob" is forbidden: User "alice" cannot impersonate resource '
        '"users" in API group "" at the cluster scope\n',
    )
    words = ("--verb=impersonate", "--resource=users", "--resource-name=bob")
    kubectl.run("create", "clusterrole", "support", *words)
    kubectl.run("create", "clusterrolebinding", "support", "--clusterrole=support", "--user=alice")
    assert "bob" in kubectl.run("--context=alice", "auth", "whoami", "--as=bob").stdout
    refused = kubectl.run("--context=alice", "get", "pods", "--as=bob", "--as-group=dev", check=False)
    assert 'groups "dev" is forbidden' in refused.stderr


def test_a_bad_token_must_log_in(with_token: Callable[[str], Kubectl], guarded: ApiServer) -> None:
    for token in ("wrong", guarded.token_for("alice", lifetime_s=0)):
        refused = with_token(token).run("get", "pods", check=False)
        assert (refused.returncode, "You must be logged in to the server" in refused.stderr) == (1, True)
    whoami = with_token(guarded.token_for("carl", ("dev",))).run("auth", "whoami").stdout
    assert "[dev system:authenticated]" in whoami


def test_a_service_account_is_let_in_as_long_as_it_exists(
    kubectl: Kubectl, with_token: Callable[[str], Kubectl]
) -> None:
    kubectl.run("create", "serviceaccount", "robot")
    robot = with_token(kubectl.run("create", "token", "robot", "--duration=10m").stdout.strip())
    name = "system:serviceaccount:default:robot"
    refused = robot.run("get", "pods", check=False)
    assert (refused.returncode, refused.stderr) == (1, FORBIDDEN.format("pods", name, "list", "pods"))
    kubectl.run("create", "rolebinding", "r", "--clusterrole=view", "--serviceaccount=default:robot")
    assert robot.run("get", "pods").returncode == 0
    may = kubectl.run("auth", "can-i", "list", "pods", f"--as={name}")
    assert may.stdout == "yes\n"
    other = with_token(kubectl.run("create", "token", "robot", "--audience=vault").stdout.strip())
    assert "You must be logged in" in other.run("get", "pods", check=False).stderr
    robot = with_token(kubectl.run("create", "token", "robot").stdout.strip())
    assert robot.run("get", "pods").returncode == 0
    kubectl.run("delete", "serviceaccount", "robot")
    assert "You must be logged in" in robot.run("get", "pods", check=False).stderr


def test_who_administers_a_namespace_gives_no_more_than_he_has(kubectl: Kubectl, guarded: ApiServer) -> None:
    give(guarded, "admin", user("alice"))
    alice = ("--context=alice",)
    kubectl.run(*alice, "create", "role", "reader", "--verb=get,list", "--resource=pods,secrets")
    kubectl.run(*alice, "create", "rolebinding", "bob", "--role=reader", "--user=bob")
    assert kubectl.run("get", "secrets", "--as=bob").returncode == 0
    refused = kubectl.run(
        *alice, "create", "rolebinding", "more", "--clusterrole=cluster-admin", "--user=alice", check=False
    )
    assert refused.returncode == 1
    assert "is attempting to grant RBAC permissions not currently held" in refused.stderr
    assert kubectl.run(
        *alice, "create", "role", "nodes", "--verb=get", "--resource=nodes", check=False
    ).stderr.endswith('{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}\n')
    patch = '{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}'
    for words in (("patch", "role", "reader", "--type=merge", "-p", patch),):
        refused = kubectl.run(*alice, *words, check=False)
        assert (refused.returncode, "not currently held" in refused.stderr) == (1, True)
    applied = yaml.safe_dump(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "Role",
            "metadata": {"name": "reader", "namespace": "default"},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
        }
    )
    for more in ((), ("--server-side", "--force-conflicts")):
        refused = kubectl.run(*alice, "apply", *more, "-f", "-", stdin=applied, check=False)
        assert (refused.returncode, "not currently held" in refused.stderr) == (1, True), more
    role = kubectl.run("get", "role", "reader", "-o", "jsonpath={.rules[*].resources}").stdout
    assert role == '["pods","secrets"]'


def test_kubectl_reconciles_roles(kubectl: Kubectl) -> None:
    tree = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "view"},
        "rules": [{"apiGroups": ["example.net"], "resources": ["widgets"], "verbs": ["get"]}],
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "of-it"}}]},
    }
    done = kubectl.run("auth", "reconcile", "-f", "-", stdin=yaml.safe_dump(tree))
    assert "clusterrole.rbac.authorization.k8s.io/view reconciled" in done.stdout


def test_refusals_are_the_api_servers(guarded: ApiServer, ask: Callable[..., requests.Response]) -> None:
    answer = ask("GET", "/api/v1/pods", "wrong")
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.status_code, answer.json()) == (
        401,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "Unauthorized",
            "reason": "Unauthorized",
            "code": 401,
        },
    )
    answer = ask("GET", "/apis/apps/v1/namespaces/default/deployments/web/scale", guarded.token_for("bob"))
    assert (answer.status_code, answer.json()) == (
        403,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'deployments.apps "web" is forbidden: User "bob" cannot get resource '
            '"deployments/scale" in API group "apps" in the namespace "default"',
            "reason": "Forbidden",
            "details": {"name": "web", "group": "apps", "kind": "deployments"},
            "code": 403,
        },
    )


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/version", 200),
        ("GET", "/readyz", 200),
        ("GET", "/api", 403),
        ("GET", "/_deltawire/stats", 403),
        ("POST", "/_deltawire/faults?kind=error", 403),
        ("GET", "/api/v1/namespaces", 403),
        ("GET", "/api/v1/nosuch", 403),
        ("DELETE", "/api/v1/namespaces/default", 403),
    ],
)
def test_strangers_see_that_the_server_is_there(
    ask: Callable[..., requests.Response], method: str, path: str, code: int
) -> None:
    answer = ask(method, path)
    assert answer.status_code == code
    if code == 403:
        assert 'User "system:anonymous" cannot ' in answer.json()["message"]


def test_a_role_for_one_object_is_enough_to_list_and_watch_it(
    guarded: ApiServer, ask: Callable[..., requests.Response]
) -> None:
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["mine"],
        "verbs": ["get", "list", "watch", "patch"],
    }
    guarded.create(f"clusterroles.{RBAC}", {"metadata": {"name": "one"}, "rules": [rule]})
    give(guarded, "one", user("bob"))
    token = guarded.token_for("bob")
    path = "/api/v1/namespaces/default/configmaps"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}
    applied = {
        "params": {"fieldManager": "m"},
        "headers": {"Content-Type": "application/apply-patch+yaml"},
        "json": body,
    }
    refused = ask("PATCH", f"{path}/mine", token, **applied)
    # The right to patch is not one to create.
    assert (refused.status_code, 'cannot create resource "configmaps"' in refused.json()["message"]) == (
        403,
        True,
    )
    guarded.create("configmaps", {"metadata": {"name": "mine"}}, "default")
    assert ask("PATCH", f"{path}/mine", token, **applied).status_code == 200
    assert ask("GET", f"{path}/mine", token).status_code == 200
    only = {"fieldSelector": "metadata.name=mine"}
    assert [item["metadata"]["name"] for item in ask("GET", path, token, params=only).json()["items"]] == [
        "mine"
    ]
    for query in ({}, {"fieldSelector": "metadata.name!=other"}, {"watch": "1"}):
        assert ask("GET", path, token, params=query).status_code == 403, query
    watched = ask("GET", path, token, params=only | {"watch": "1", "timeoutSeconds": "1"})
    assert watched.json()["type"] == "ADDED"


@pytest.fixture
def official(guarded: ApiServer, tmp_path: Path) -> Iterator[Callable[..., client.ApiClient]]:
    """``official("bob", "dev")``: the official client with a certificate for that user; the administrator's
    without a name.
    """
    opened = []

    def make(name: str = "", *groups: str) -> client.ApiClient:
        path = guarded.write_kubeconfig(tmp_path / f"for-{name}", name, groups)
        opened.append(config.new_client_from_config(str(path)))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_the_official_client_is_forbidden_and_allowed(
    official: Callable[..., client.ApiClient], guarded: ApiServer
) -> None:
    bob = client.CoreV1Api(official("bob", "dev", "ops"))
    with pytest.raises(client.ApiException) as refused:
        bob.list_namespaced_pod("default")
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    give(guarded, "view", {"kind": "Group", "name": "ops", "apiGroup": RBAC})
    assert bob.list_namespaced_pod("default").items == []
    with pytest.raises(client.ApiException) as refused:
        bob.create_namespaced_config_map("default", {"metadata": {"name": "a"}})
    assert refused.value.status == 403
    info = client.AuthenticationV1Api(bob.api_client).create_self_subject_review({})
    assert info.status.user_info.username == "bob"
    assert info.status.user_info.groups == ["dev", "ops", "system:authenticated"]


def test_the_official_client_asks_what_others_may_do(
    official: Callable[..., client.ApiClient], guarded: ApiServer
) -> None:
    give(guarded, "view", user("bob"))
    api = client.AuthorizationV1Api(official())
    on_pods = client.V1ResourceAttributes(verb="list", resource="pods", namespace="default")
    on_path = client.V1NonResourceAttributes(verb="get", path="/metrics")
    spec = client.V1SubjectAccessReviewSpec(user="bob", resource_attributes=on_pods)
    status = api.create_subject_access_review(client.V1SubjectAccessReview(spec=spec)).status
    assert status.allowed
    assert 'of ClusterRole "view" to User "bob"' in status.reason
    local = api.create_namespaced_local_subject_access_review(
        "default", client.V1LocalSubjectAccessReview(spec=spec)
    )
    assert local.status.allowed
    with pytest.raises(client.ApiException) as refused:
        api.create_namespaced_local_subject_access_review(
            "kube-system", client.V1LocalSubjectAccessReview(spec=spec)
        )
    assert refused.value.status == 422
    spec = client.V1SubjectAccessReviewSpec(user="bob", groups=["x"], non_resource_attributes=on_path)
    assert not api.create_subject_access_review(client.V1SubjectAccessReview(spec=spec)).status.allowed
    bob = client.AuthorizationV1Api(official("bob"))
    own = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=on_pods)
    )
    assert bob.create_self_subject_access_review(own).status.allowed
    rules = bob.create_self_subject_rules_review(
        client.V1SelfSubjectRulesReview(spec=client.V1SelfSubjectRulesReviewSpec(namespace="default"))
    )
    assert any("pods/log" in rule.resources for rule in rules.status.resource_rules)
    assert not rules.status.incomplete
    with pytest.raises(client.ApiException) as refused:
        bob.create_self_subject_rules_review({"spec": {}})
    assert (refused.value.status, "no namespace on request" in refused.value.body) == (400, True)
    # What others may do is not everybody's business.
    with pytest.raises(client.ApiException) as refused:
        bob.create_subject_access_review({"spec": {"user": "eve", "resourceAttributes": {"verb": "get"}}})
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("kind", "spec", "code"),
    [
        ("selfsubjectaccessreviews", {}, 422),
        ("selfsubjectaccessreviews", {"resourceAttributes": {}, "nonResourceAttributes": {}}, 422),
        ("selfsubjectaccessreviews", {"resourceAttributes": "pods"}, 400),
        ("selfsubjectaccessreviews", {"resourceAttributes": {"verb": ["get"]}}, 400),
        ("subjectaccessreviews", {"resourceAttributes": {"verb": "get"}}, 422),
        ("subjectaccessreviews", {"resourceAttributes": {"verb": "get"}, "groups": "dev"}, 400),
        ("subjectaccessreviews", {"resourceAttributes": {"verb": "get"}, "user": "x", "extra": ["y"]}, 400),
    ],
)
def test_a_malformed_review_is_refused(api_server: ApiServer, kind: str, spec: Any, code: int) -> None:
    answer = requests.post(f"{api_server.url}{REVIEWS}/{kind}", json={"spec": spec}, timeout=10)
    assert answer.status_code == code, answer.text


def test_a_token_over_plain_http_names_its_user_and_expires(api_server_factory: ServerFactory) -> None:
    bob = BearerToken("s3cret", authenticated("bob", ("dev",)))
    server = api_server_factory(tokens=(bob,))
    path = server.url + "/apis/authentication.k8s.io/v1/selfsubjectreviews"

    def code(token: str) -> int:
        answer = requests.post(path, json={}, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        if answer.ok:
            assert answer.json()["status"]["userInfo"]["username"] == "bob"
        return answer.status_code

    assert [code("s3cret"), code(server.token_for("bob")), code("x")] == [201, 201, 401]
    assert code(server.token_for("bob", lifetime_s=-1)) == 401


def test_an_open_server_forbids_nothing_but_tokens_that_are_no_good(api_server: ApiServer) -> None:
    path = api_server.url + "/api/v1/namespaces"

    def code(token: str) -> int:
        return requests.get(path, headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code

    assert [code("of-another-cluster"), code(api_server.token_for("bob"))] == [401, 200]
    assert code(api_server.token_for("bob", lifetime_s=0)) == 401
    assert api_server.call(lambda core: core.counts()).get(f"clusterroles.{RBAC}") is None


def test_an_audience_is_what_a_token_is_reviewed_for(api_server: ApiServer) -> None:
    path = f"{api_server.url}/api/v1/namespaces/default/serviceaccounts/default/token"
    made = requests.post(path, json={"spec": {"audiences": ["vault", "db"]}}, timeout=10).json()
    token = made["status"]["token"]

    def status(**spec: Any) -> dict[str, Any]:
        review = api_server.url + "/apis/authentication.k8s.io/v1/tokenreviews"
        answer = requests.post(review, json={"spec": {"token": token, **spec}}, timeout=10)
        found: dict[str, Any] = answer.json()["status"]
        return found

    assert status() == {"authenticated": False}
    reviewed = status(audiences=["db", "other"])
    assert (reviewed["authenticated"], reviewed["audiences"]) == (True, ["db"])
    assert reviewed["user"]["username"] == "system:serviceaccount:default:default"


def test_without_tls_there_are_no_certificates(api_server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="client certificates need TLS"):
        api_server.client_certificate("bob")
    with pytest.raises(ConfigError, match="client certificates need TLS"):
        api_server.write_kubeconfig(tmp_path / "kubeconfig", "bob")


def test_a_name_that_no_certificate_holds_is_a_clear_mistake(guarded: ApiServer) -> None:
    with pytest.raises(ConfigError, match="cannot be named in a certificate"):
        guarded.client_certificate("x" * 65)


def test_roles_are_kept_with_the_data_and_not_made_twice(
    api_server_factory: ServerFactory, tmp_path: Path
) -> None:
    kept = {"rbac": True, "data": tmp_path / "data"}
    server = api_server_factory(**kept)
    give(server, "view", user("bob"))
    server.call(lambda core: core.delete(f"clusterroles.{RBAC}", "edit"))
    before = server.call(lambda core: core.get(f"clusterroles.{RBAC}", "view").version)
    server.stop()
    again = api_server_factory(**kept)
    assert again.call(lambda core: core.get(f"clusterroles.{RBAC}", "view").version) == before
    assert again.call(lambda core: core.exists(f"clusterroles.{RBAC}", "edit"))
    assert again.call(lambda core: core.counts())[f"rolebindings.{RBAC}"] == 1


def test_the_command_writes_a_context_for_each_user(tmp_path: Path) -> None:
    require_kubectl()
    path, tokens = tmp_path / "kubeconfig", tmp_path / "tokens.csv"
    tokens.write_text('s3cret,carl,7,"ops"\n')
    command = [sys.executable, "-m", "deltawire.apiserver", "--rbac", "--write-kubeconfig", str(path)]
    command += ["--user", "bob=dev,ops", "--user", "eve", "--token-auth-file", str(tokens)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        eventually(path.exists, "a kubeconfig", 30)
        kubectl = Kubectl(path, tmp_path)
        assert "[dev ops system:authenticated]" in kubectl.run("--context=bob", "auth", "whoami").stdout
        assert "eve" in kubectl.run("--context=eve", "auth", "whoami").stdout
        assert "default" in kubectl.run("get", "ns").stdout
        assert kubectl.run("--context=eve", "get", "ns", check=False).returncode == 1
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out


def test_watches_work_with_a_certificate(guarded: ApiServer, tmp_path: Path) -> None:
    certificate = guarded.client_certificate("bob", ["dev"])
    give(guarded, "view", {"kind": "Group", "name": "dev", "apiGroup": RBAC})
    files = {"ca": guarded.ca_pem, "crt": certificate.certificate_pem, "key": certificate.key_pem}
    for name, pem in files.items():
        (tmp_path / name).write_bytes(pem)
    guarded.create("configmaps", {"metadata": {"name": "a"}}, "default")
    answer = requests.get(
        f"{guarded.url}/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1",
        verify=str(tmp_path / "ca"),
        cert=(str(tmp_path / "crt"), str(tmp_path / "key")),
        timeout=20,
    )
    assert answer.json()["object"]["metadata"]["name"] == "a"


def test_who_checks_tokens_finds_the_keys_where_the_document_says(api_server: ApiServer) -> None:
    document = requests.get(f"{api_server.url}/.well-known/openid-configuration", timeout=30).json()
    answer = requests.get(document["jwks_uri"], timeout=30)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/jwk-set+json")
    assert [key["alg"] for key in answer.json()["keys"]] == document["id_token_signing_alg_values_supported"]
