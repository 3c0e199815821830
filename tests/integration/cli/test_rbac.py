"""``deltawire rbac``: what it prints is enough for what the pipeline asks, and nothing of it is too much."""

import subprocess
from collections.abc import Callable
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
Check = Callable[[list[dict[str, Any]]], list[checks.Result]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "deltawire.yaml"
    path.write_text(CONFIG)
    return path


def printed(config: Path, *arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [str(DELTAWIRE), "rbac", "-c", str(config), *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture
def check(api_server_factory: ServerFactory, config: Path, tmp_path: Path) -> Check:
    """Apply these objects to a fresh server that forbids all else, then `deltawire check` as the ServiceAccount."""

    def run(found: list[dict[str, Any]]) -> list[checks.Result]:
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
        text = CONFIG + f"clusters: {{dev: {{kubeconfig: {tmp_path / 'kubeconfig'}}}}}\n"
        config.write_text(text)
        return list(checks.run(Plan(load(config))))

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
                rule["resources"] = [r for r in rule["resources"] if r != plural]
                obj["rules"] = [
                    *obj["rules"],
                    {**rule, "resources": [plural], "verbs": [v for v in rule["verbs"] if v != verb]},
                ]
                break
    [missing] = [r for r in check(found) if not r.is_ok]
    assert f'cannot {verb} resource "{plural}"' in missing.text


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


def test_a_custom_resource_without_its_group_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "deltawire.yaml"
    path.write_text("version: 1\ninformers: [{resource: websites}]\n")
    done = subprocess.run(
        [str(DELTAWIRE), "rbac", "-c", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "the API group of 'websites' is not known" in done.stderr
    assert "Traceback" not in done.stderr
