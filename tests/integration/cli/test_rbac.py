"""``deltawire rbac``: what it prints is enough for what the pipeline asks, and nothing of it is too much."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from deltawire.apiserver.server import ApiServer
from deltawire.cli import checks
from deltawire.cli.rbac import objects
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from tests.support.pipeline import DELTAWIRE
from tests.support.servers import ServerFactory

CONFIG = """
version: 1
store: {dir: state}
informers:
  - {resource: pods}
  - {resource: deploy, namespaces: [a, b]}
  - {resource: nodes}
"""
PATHS = {
    "ServiceAccount": "api/v1/namespaces/{namespace}/serviceaccounts",
    "ClusterRole": "apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
}
WRITER = "handlers: [{name: tidy, command: [cat], on: [pods], writes: [configmaps]}]\n"
Check = Callable[[list[dict[str, Any]]], list[checks.Result]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "deltawire.yaml"
    path.write_text(CONFIG)
    return path


def ran(config: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(DELTAWIRE), "rbac", "-c", str(config)], capture_output=True, text=True, check=False
    )


def printed(config: Path) -> list[dict[str, Any]]:
    done = ran(config)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


@dataclass
class Account:
    """A server that knows what was applied, and a token of the ServiceAccount."""

    server: ApiServer
    trusted: Path
    token: str

    def code(self, verb: str, path: str, body: Any = None, kind: str = "application/json") -> int:
        """The answer's, without anything being written."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        url = f"{self.server.url}/{path}"
        return requests.request(
            verb,
            url,
            json=body,
            headers=headers,
            params={"dryRun": "All"},
            verify=str(self.trusted),
            timeout=30,
        ).status_code


@pytest.fixture
def check(account: Callable[[list[dict[str, Any]]], Account], config: Path) -> Check:
    """`deltawire check` as the ServiceAccount, after these objects were applied."""

    def run(found: list[dict[str, Any]]) -> list[checks.Result]:
        account(found)
        return list(checks.run(Plan(load(config))))

    return run


@pytest.fixture
def account(
    api_server_factory: ServerFactory, config: Path, tmp_path: Path
) -> Callable[[list[dict[str, Any]]], Account]:
    """Apply these objects to a fresh server that forbids all else."""

    def run(found: list[dict[str, Any]]) -> Account:
        server: ApiServer = api_server_factory(rbac=True, tls=True)
        trusted = tmp_path / "ca.pem"
        trusted.write_bytes(server.ca_pem)
        admin = {"Authorization": f"Bearer {server.token_for('root', ('system:masters',))}"}

        def create(path: str, body: dict[str, Any]) -> Any:
            answer = requests.post(
                f"{server.url}/{path}", json=body, headers=admin, verify=str(trusted), timeout=30
            )
            assert answer.status_code == 201, answer.text
            return answer.json()

        for name in ("deltawire", "a", "b"):
            create("api/v1/namespaces", {"metadata": {"name": name}})
        for obj in found:
            path = PATHS[obj["kind"]].format(namespace=obj["metadata"].get("namespace"))
            create(path, obj)
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = create("api/v1/namespaces/deltawire/serviceaccounts/deltawire/token", asked)["status"][
            "token"
        ]
        tree = yaml.safe_load(server.write_kubeconfig(tmp_path / "kubeconfig").read_text())
        tree["users"] = [{"name": user["name"], "user": {"token": token}} for user in tree["users"]]
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(tree))
        engine = [line for line in config.read_text().splitlines(True) if line.startswith("engine:")]
        where = f"clusters: {{default: {{kubeconfig: {tmp_path / 'kubeconfig'}}}}}\n"
        config.write_text(CONFIG + "".join(engine) + where)
        return Account(server, trusted, token)

    return run


def test_with_what_is_printed_all_that_is_configured_can_be_listed_and_watched(
    check: Check, config: Path
) -> None:
    results = check(printed(config))
    assert [r.text for r in results if not r.is_ok] == []
    assert sum(r.text == "may be listed and watched" for r in results) == 3


@pytest.mark.parametrize(
    ("kind", "plural"), [("ClusterRole", "pods"), ("ClusterRole", "nodes"), ("Role", "deployments")]
)
@pytest.mark.parametrize("verb", ["list", "watch"])
def test_without_any_verb_of_it_a_line_names_what_is_missing(
    check: Check, config: Path, kind: str, plural: str, verb: str
) -> None:
    found = objects(Plan(load(config)), "default", account="deltawire", namespace="deltawire")
    for obj in found:
        for rule in obj.get("rules", []):
            if obj["kind"] == kind and plural in rule["resources"] and "list" in rule["verbs"]:
                kept = {**rule, "resources": [r for r in rule["resources"] if r != plural]}
                less = {**rule, "resources": [plural], "verbs": [v for v in rule["verbs"] if v != verb]}
                others = [r for r in obj["rules"] if r is not rule]
                obj["rules"] = [*others, *([kept] if kept["resources"] else []), less]
                break
    [missing] = [r for r in check(found) if not r.is_ok]
    assert f'cannot {verb} resource "{plural}"' in missing.text


LEADING = "engine: {kind: nats, name: dw, leases: {kind: kubernetes, namespace: b}}\n"


def leasing(config: Path) -> list[dict[str, Any]]:
    config.write_text(CONFIG + LEADING)
    return objects(Plan(load(config)), "default", account="deltawire", namespace="deltawire")


def leases_line(results: list[checks.Result]) -> checks.Result:
    [found] = [result for result in results if "leases in" in result.what]
    return found


def test_brokers_may_make_any_lease_and_read_and_write_their_own(check: Check, config: Path) -> None:
    found = leasing(config)
    [role] = [obj for obj in found if obj["kind"] == "Role" and obj["metadata"]["namespace"] == "b"]
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert [rule for rule in role["rules"] if rule["resources"] == ["leases"]] == [
        {**leases, "verbs": ["create"]},
        {
            **leases,
            "resourceNames": ["dw.default.deployments.apps", "dw.default.nodes", "dw.default.pods"],
            "verbs": ["get", "update"],
        },
    ]
    assert leases_line(check(found)).text == "may be read and written"


@pytest.mark.parametrize("verb", ["get", "create", "update"])
def test_without_any_verb_on_the_leases_a_line_names_what_is_missing(
    check: Check, config: Path, verb: str
) -> None:
    found = leasing(config)
    for rule in [rule for obj in found for rule in obj.get("rules", []) if rule["resources"] == ["leases"]]:
        rule["verbs"] = [v for v in rule["verbs"] if v != verb] or ["list"]
    missing = leases_line(check(found))
    assert not missing.is_ok
    assert f'cannot {verb} resource "leases"' in missing.text
    assert "deltawire rbac -c FILE prints the rules" in missing.text


def test_a_namespace_of_leases_that_is_not_there_is_named(check: Check, config: Path) -> None:
    config.write_text(CONFIG + LEADING.replace("namespace: b", "namespace: nowhere"))
    found = objects(Plan(load(config)), "default", account="deltawire", namespace="deltawire")
    everywhere = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]}]
    for obj in found:
        if obj["kind"] == "ClusterRole":
            obj["rules"] += everywhere
    missing = leases_line(check([obj for obj in found if obj["metadata"].get("namespace") != "nowhere"]))
    assert "make the namespace, or name another one in engine.leases.namespace" in missing.text


def test_a_role_of_one_namespace_is_not_printed_where_all_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "deltawire.yaml"
    path.write_text(
        "version: 1\ninformers: [{resource: websites.example.com, namespaces: [a]}, {resource: pods}]\n"
    )
    found = objects(Plan(load(path)), "default", account="dw", namespace="ops")
    assert [(o["kind"], o["metadata"].get("namespace")) for o in found] == [
        ("ServiceAccount", "ops"),
        ("ClusterRole", None),
        ("ClusterRoleBinding", None),
        ("Role", "a"),
        ("RoleBinding", "a"),
    ]
    assert found[1]["rules"][0]["resourceNames"] == ["kube-system"]
    assert found[3]["rules"] == [
        {"apiGroups": ["example.com"], "resources": ["websites"], "verbs": ["list", "watch"]}
    ]


def test_pipelines_of_one_name_in_two_namespaces_share_no_role(tmp_path: Path) -> None:
    path = tmp_path / "deltawire.yaml"
    path.write_text("version: 1\ninformers: [{resource: pods}, {resource: services, namespaces: [ops, a]}]\n" + WRITER)
    plan = Plan(load(path))

    def names(namespace: str) -> set[tuple[str, str | None, str]]:
        found = objects(plan, "default", account="dw", namespace=namespace)
        return {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in found}

    assert not names("ops") & names("dev")
    assert {("ClusterRole", None, "ops:dw"), ("Role", "ops", "dw"), ("Role", "a", "ops:dw")} < names("ops")
    assert ("ClusterRole", None, "ops:dw-tidy") in names("ops")


def test_a_custom_resource_without_its_group_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "deltawire.yaml"
    path.write_text("version: 1\ninformers: [{resource: websites}]\n")
    done = ran(path)
    assert done.returncode == 2
    assert "the API group of 'websites' is not known" in done.stderr
    assert "Traceback" not in done.stderr


WRITING = """
version: 1
informers: [{resource: pods, namespaces: [a]}]
handlers:
  - name: tidy
    command: [cat]
    on: [pods]
    writes: [configmaps, patch pods/status, "create,patch namespaces"]
"""
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
MERGE = "application/merge-patch+json"


def test_a_handler_may_write_what_it_says_where_it_watches_and_nothing_else(
    account: Callable[[list[dict[str, Any]]], Account], tmp_path: Path
) -> None:
    path = tmp_path / "writing.yaml"
    path.write_text(WRITING)
    may = account(printed(path))
    name = {"metadata": {"name": "x"}}
    # 404: the right is there, the object is not.
    assert may.code("POST", "api/v1/namespaces/a/configmaps", name) == 201
    assert may.code("DELETE", "api/v1/namespaces/a/configmaps/x") == 404
    assert may.code("PATCH", "api/v1/namespaces/a/pods/p/status", {}, MERGE) == 404
    assert may.code("POST", "api/v1/namespaces", name) == 201
    for verb, place, body in (
        ("POST", "api/v1/namespaces/b/configmaps", name),
        ("POST", "api/v1/namespaces/a/pods", POD),
        ("PUT", "api/v1/namespaces/a/pods/p/status", {"metadata": {"name": "p"}}),
        ("DELETE", "api/v1/namespaces/a", None),
        ("GET", "api/v1/namespaces/a/secrets", None),
    ):
        assert may.code(verb, place, body) == 403, (verb, place)


def test_what_a_plug_in_says_it_writes_is_printed(tmp_path: Path) -> None:
    (tmp_path / "tidy.py").write_text(
        "from deltawire import Handler\n"
        "handler = Handler('tidy', writes=['svc', 'patch deploy/status'])\n"
        "@handler.on_add('pods')\n"
        "def added(obj): ...\n"
    )
    path = tmp_path / "deltawire.yaml"
    path.write_text("version: 1\nhandlers: [{name: tidy, run: " + str(tmp_path / "tidy.py") + "}]\n")
    [role] = [o for o in printed(path) if o["metadata"]["name"] == "deltawire:deltawire-tidy" and "rules" in o]
    assert role["kind"] == "ClusterRole"
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["services"],
            "verbs": ["get", "create", "update", "patch", "delete"],
        },
        {"apiGroups": ["apps"], "resources": ["deployments/status"], "verbs": ["patch"]},
    ]


def test_what_is_no_write_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "tidy.py").write_text(
        "from deltawire import Handler\nhandler = Handler('tidy', writes=['Patch! pods'])\n"
    )
    path = tmp_path / "deltawire.yaml"
    path.write_text("version: 1\nhandlers: [{name: tidy, run: " + str(tmp_path / "tidy.py") + "}]\n")
    done = ran(path)
    assert done.returncode == 2
    assert "'Patch! pods' is not what is written" in done.stderr
    assert "Traceback" not in done.stderr
