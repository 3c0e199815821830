"""The objects of a deployment: what each pod may, what it sees, and configs that the roles can read."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from deltawire.cli.main import app
from deltawire.cli.manifest.files import code_of, neighbours_of, secrets_of
from deltawire.cli.manifest.names import check_file, check_options, check_plan
from deltawire.cli.manifest.objects import objects
from deltawire.cli.manifest.shape import Shape
from deltawire.cli.manifest.sizes import Size, parse_size
from deltawire.cli.manifest.text import document
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError

CONFIG: dict[str, Any] = {
    "version": 1,
    "runtime": {"workers": 3, "drain_deadline": "10s"},
    "informers": [{"resource": "pods", "indexes": {"by-node": ".spec.nodeName"}}],
    "handlers": [
        {
            "name": "alerts",
            "command": ["alerts", "--fast"],
            "on": ["pods"],
            "env": {"LEVEL": "1"},
            "replicas": 2,
        },
        {"name": "sync", "command": ["sync"], "on": ["configmaps"], "writes": ["patch configmaps"]},
    ],
}


@pytest.fixture
def made(tmp_path: Path) -> list[dict[str, Any]]:
    plan = Plan(parse(CONFIG))
    allowed, secrets = secrets_of(plan, tmp_path / "keys")
    shape = Shape("dw", "ops", "registry/deltawire:1", Size(), monitor=True, allowed=allowed, secrets=secrets)
    return list(objects(plan, shape))


def find(made: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [obj for obj in made if (obj["kind"], obj["metadata"]["name"]) == (kind, name)]
    return found


def pods(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [obj["spec"]["template"] for obj in made if obj["kind"] in ("StatefulSet", "Deployment")]


def config_in(made: list[dict[str, Any]], name: str) -> Any:
    return yaml.safe_load(find(made, "ConfigMap", name)["data"]["deltawire.yaml"])


def test_no_container_is_root_or_may_become_it_or_writes_to_its_image(made: list[dict[str, Any]]) -> None:
    assert len(pods(made)) == 3
    for pod in pods(made):
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["spec"]["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"]
            assert not security["allowPrivilegeEscalation"]
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_a_pod_sees_its_own_secret_and_no_other(made: list[dict[str, Any]]) -> None:
    for name in ("alerts", "sync"):
        assert list(find(made, "Secret", f"dw-{name}-key")["stringData"]) == [f"handler.{name}.secret"]
    core = set(find(made, "Secret", "dw-keys")["stringData"])
    owners = ["control", "fifo", "reflector-0", "worker-0", "worker-1", "worker-2", "cli"]
    assert core == {f"{owner}.secret" for owner in owners}


def test_each_handler_has_an_account_with_what_it_writes_and_no_more(made: list[dict[str, Any]]) -> None:
    accounts = [pod["spec"]["serviceAccountName"] for pod in pods(made)]
    assert accounts == ["dw", "dw-alerts", "dw-sync"]
    rules = {obj["metadata"]["name"]: obj["rules"] for obj in made if obj["kind"] == "ClusterRole"}
    assert rules["ops:dw-sync"] == [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}]
    assert "ops:dw-alerts" not in rules
    assert {verb for rule in rules["ops:dw"] for verb in rule["verbs"]} == {"get", "list", "watch"}


def test_the_core_reads_a_config_in_which_handlers_run_elsewhere(made: list[dict[str, Any]]) -> None:
    config = config_in(made, "dw-config")
    plan = Plan(
        parse(
            {
                **config,
                "handlers": [
                    {("on" if k is True else k): v for k, v in h.items()} for h in config["handlers"]
                ],
            }
        )
    )
    assert [(h.options.replicas, h.options.command) for h in plan.handlers.values()] == [(0, []), (0, [])]
    assert plan.endpoint("worker-2") == "tcp://127.0.0.1:7412"
    assert plan.endpoint("fifo-in").startswith("ipc:///run/deltawire/")
    assert plan.informers["default/pods"].options.indexes


def test_a_handler_reads_a_config_that_leads_to_the_core(made: list[dict[str, Any]]) -> None:
    plan = Plan(parse(config_in(made, "dw-alerts-config")))
    assert plan.endpoint("control") == "tcp://dw.ops.svc:7400"
    assert plan.endpoint("worker-2") == "tcp://dw.ops.svc:7412"
    assert plan.config.runtime.control
    assert list(plan.handlers) == ["alerts"]
    assert plan.handlers["alerts"].options.env == {"LEVEL": "1"}
    assert find(made, "Deployment", "dw-alerts")["spec"]["replicas"] == 2


def test_the_core_is_found_before_it_is_ready_and_judged_by_its_own_loop(made: list[dict[str, Any]]) -> None:
    assert find(made, "Service", "dw")["spec"]["publishNotReadyAddresses"]
    [core] = find(made, "StatefulSet", "dw")["spec"]["template"]["spec"]["containers"]
    assert core["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert core["readinessProbe"]["httpGet"]["path"] == "/readyz/core"


def test_nothing_is_killed_before_it_has_drained(made: list[dict[str, Any]]) -> None:
    assert {pod["spec"]["terminationGracePeriodSeconds"] for pod in pods(made)} == {10 + 25}


def test_only_handlers_of_this_deployment_reach_control_and_workers(made: list[dict[str, Any]]) -> None:
    [handlers, everybody] = find(made, "NetworkPolicy", "dw")["spec"]["ingress"]
    assert [port["port"] for port in handlers["ports"]] == ["control", "worker-0", "worker-1", "worker-2"]
    assert handlers["from"] == [
        {
            "podSelector": {
                "matchLabels": {"app.kubernetes.io/name": "deltawire", "app.kubernetes.io/instance": "dw"}
            }
        }
    ]
    assert [port["port"] for port in everybody["ports"]] == ["metrics"]
    assert find(made, "NetworkPolicy", "dw-alerts")["spec"]["ingress"] == []


def test_no_policy_keeps_the_core_from_the_api_server_and_from_nats(made: list[dict[str, Any]]) -> None:
    policies = [obj["spec"] for obj in made if obj["kind"] == "NetworkPolicy"]
    assert policies
    for policy in policies:
        assert policy["policyTypes"] == ["Ingress"]
        assert "egress" not in policy


def test_nothing_keeps_a_node_from_being_drained(made: list[dict[str, Any]]) -> None:
    assert not [obj for obj in made if obj["kind"] == "PodDisruptionBudget"]


def test_alerts_name_metrics_that_there_are(made: list[dict[str, Any]]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "status.md").read_text()
    rules = find(made, "PrometheusRule", "dw")["spec"]["groups"][0]["rules"]
    for rule in rules:
        name = next(
            word for word in rule["expr"].replace("(", " ").replace("[", " ").split() if "deltawire_" in word
        )
        family = name.removesuffix("_total").split("_")[1]
        assert f"`{name}`" in page or f"`_{name.split('_', 2)[2]}`" in page, (name, family)


def test_a_file_of_code_is_mounted_and_named_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "code.py").write_text("from deltawire import Handler\n\nhandler = Handler(name='h')\n")
    monkeypatch.chdir(tmp_path)
    handlers = [
        {"name": "h", "run": "code.py:handler", "on": ["pods"]},
        {"name": "built-in", "run": "log", "on": ["pods"]},
    ]
    plan = Plan(parse({"version": 1, "handlers": handlers}))
    code = code_of(plan)
    assert list(code) == ["h"]
    made = list(objects(plan, Shape("dw", "ops", "i", Size(), code=code)))
    assert find(made, "ConfigMap", "dw-h-code")["data"]["code.py"].startswith("from deltawire")
    assert config_in(made, "dw-h-config")["handlers"][0]["run"] == "/usr/share/deltawire/code/code.py:handler"
    assert config_in(made, "dw-built-in-config")["handlers"][0]["run"] == "log"
    assert not [obj for obj in made if obj["kind"] == "Secret"]


def test_pods_whose_config_or_code_changes_are_made_anew_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def templates(code: str, workers: int) -> list[dict[str, Any]]:
        (tmp_path / "code.py").write_text(code)
        handlers = [
            {"name": "h", "run": "code.py", "on": ["pods"]},
            {"name": "other", "command": ["x"], "on": ["pods"]},
        ]
        plan = Plan(parse({"version": 1, "runtime": {"workers": workers}, "handlers": handlers}))
        return pods(list(objects(plan, Shape("dw", "ops", "i", Size(), code=code_of(plan)))))

    core, handler, other = templates("a = 1", 2)
    assert templates("a = 1", 2) == [core, handler, other]
    assert [t == u for t, u in zip(templates("a = 2", 2), (core, handler, other), strict=True)] == [
        True, False, True
    ]  # fmt: skip
    assert [t == u for t, u in zip(templates("a = 1", 3), (core, handler, other), strict=True)] == [
        False, False, False
    ]  # fmt: skip


def test_custom_resources_of_the_config_reach_core_and_handlers(tmp_path: Path) -> None:
    widgets = {"group": "example.com", "version": "v1", "plural": "widgets", "kind": "Widget", "namespaced": True}
    handlers = [{"name": "h", "command": ["h"], "on": ["widgets"]}]
    plan = Plan(parse({"version": 1, "resources": [widgets], "handlers": handlers}))
    made = list(objects(plan, Shape("dw", "ops", "i", Size())))
    for name in ("dw-config", "dw-h-config"):
        assert parse(config_in(made, name)).resources == plan.config.resources


@pytest.mark.parametrize("text", ["", "1", "1,2", "a,b,c", "0,1,1", "1,1,-1", "1,2,3,4", "1e9,1,1"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--size.*50000,4400,100"):
        parse_size(text)


def test_more_objects_and_changes_ask_for_more() -> None:
    small, large = Size(1_000, 1_000, 1), Size(100_000, 10_000, 500)
    assert large.core(2, 1)["requests"]["cpu"] == "850m"
    assert small.core(2, 1)["limits"]["memory"] == "352Mi"
    assert large.core(2, 1)["limits"]["memory"] == "1856Mi"
    assert (small.disk, large.disk) == ("1Gi", "4Gi")


def test_yaml_reads_back_what_was_written(made: list[dict[str, Any]]) -> None:
    text = "".join(document(obj) for obj in made)
    assert list(yaml.safe_load_all(text)) == msgspec.to_builtins(made)


@pytest.mark.parametrize(
    "arguments", [["manifest", "--name", "A_B"], ["manifest", "-n", "a.b"], ["rbac", "--account", "A"]]
)
def test_a_name_that_an_api_server_refuses_is_refused_before_anything_is_written(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deltawire.yaml").write_text("version: 1\nhandlers: [{name: a, command: ['true'], on: [pods]}]\n")
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2, done.output
    assert "is no name of an object" in done.output
    assert "kind:" not in done.output
    assert not Path("keys").exists()


def test_a_handlers_name_that_is_no_label_of_a_pod_is_refused() -> None:
    plan = Plan(parse({"version": 1, "handlers": [{"name": "a" * 56, "command": ["true"], "on": ["pods"]}]}))
    with pytest.raises(ConfigError, match="at most 55 characters"):
        list(objects(plan, Shape("dw", "ops", "i", Size())))


def test_verbs_that_are_not_joined_by_commas_are_refused() -> None:
    handler = {"name": "a", "command": ["true"], "on": ["pods"], "writes": ["get list nodes"]}
    plan = Plan(parse({"version": 1, "handlers": [handler]}))
    with pytest.raises(ConfigError, match=r"handlers\.a\.writes: 'get list' is no verb .*'get,list nodes'"):
        list(objects(plan, Shape("dw", "ops", "i", Size())))


@pytest.mark.parametrize(
    ("image", "storage_class", "says"),
    [
        ("", "", "--image: '' is no image"),
        ("a b", "", "--image: 'a b' is no image"),
        ("i", "A_B", "--storage-class: 'A_B' cannot be a storage class"),
    ],
)
def test_an_image_or_class_that_kubernetes_refuses_is_refused_with_its_option(
    image: str, storage_class: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        check_options(image, storage_class)


def test_the_longest_names_that_are_taken_make_labels_and_names_within_kubernetes_bounds(
    tmp_path: Path,
) -> None:
    name, namespace, handler = "d" * 52, "n" * 63, "h" * 55
    check_options("i:1@sha256:0", "fast.ssd")
    plan = Plan(parse({"version": 1, "handlers": [{"name": handler, "command": ["x"], "on": ["pods"]}]}))
    check_plan(plan)
    allowed, secrets = secrets_of(plan, tmp_path / "keys")
    shape = Shape(name, namespace, "i", Size(), monitor=True, allowed=allowed, secrets=secrets)
    made = list(objects(plan, shape))
    for obj in made:
        assert len(obj["metadata"]["name"]) <= 253
        assert all(len(value) <= 63 for value in obj["metadata"].get("labels", {}).values())
    assert all(len(value) <= 63 for pod in pods(made) for value in pod["metadata"]["labels"].values())


def test_a_config_that_watches_another_cluster_than_its_first_is_refused() -> None:
    """Both would be the cluster that the pods are in."""
    config = {
        "version": 1,
        "clusters": {"dev": {}, "prod": {"context": "p"}},
        "informers": [{"resource": "pods", "cluster": "dev"}, {"resource": "pods", "cluster": "prod"}],
    }
    with pytest.raises(
        ConfigError, match=r"clusters: all runs in the first cluster, 'dev', .* prod is watched"
    ):
        check_plan(Plan(parse(config)))
    check_plan(Plan(parse(config | {"informers": [{"resource": "pods"}]})))


def test_deployments_of_one_name_in_two_namespaces_share_nothing_in_the_cluster() -> None:
    plan = Plan(parse(CONFIG))
    of = {
        namespace: {
            obj["metadata"]["name"]
            for obj in objects(plan, Shape("dw", namespace, "i", Size()))
            if "namespace" not in obj["metadata"]
        }
        for namespace in ("ops", "dev")
    }
    assert of["ops"] == {"ops:dw", "ops:dw-sync"}
    assert not of["ops"] & of["dev"]


@pytest.mark.parametrize("name", ["my code.py", "ä.py", "a" * 251 + ".py"])
def test_a_file_that_no_config_map_holds_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="a ConfigMap cannot hold a file named"):
        check_file(name)


def test_a_file_is_found_also_where_its_folders_name_looks_like_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "x.pyenv"
    folder.mkdir()
    (folder / "code.py").write_text("x = 1\n")
    handlers = [{"name": "h", "run": str(folder / "code.py"), "on": ["pods"]}]
    plan = Plan(parse({"version": 1, "handlers": handlers}))
    code = code_of(plan)
    assert code == {"h": ("code.py", "x = 1\n")}
    made = list(objects(plan, Shape("dw", "ops", "i", Size(), code=code)))
    assert config_in(made, "dw-h-config")["handlers"][0]["run"] == "/usr/share/deltawire/code/code.py"


def test_two_handlers_with_files_of_one_name_have_each_their_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "code.py").write_text(f"x = {name!r}\n")
    handlers = [{"name": n, "run": str(tmp_path / n / "code.py"), "on": ["pods"]} for n in ("a", "b")]
    plan = Plan(parse({"version": 1, "handlers": handlers}))
    made = list(objects(plan, Shape("dw", "ops", "i", Size(), code=code_of(plan))))
    for name in ("a", "b"):
        assert find(made, "ConfigMap", f"dw-{name}-code")["data"] == {"code.py": f"x = {name!r}\n"}


def test_what_a_file_imports_from_beside_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("import json, near\n\ndef f():\n    from folder.x import y\n")
    (tmp_path / "near.py").write_text("")
    (tmp_path / "far.py").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__init__.py").write_text("")
    handlers = [{"name": "h", "run": str(tmp_path / "code.py"), "on": ["pods"]}]
    plan = Plan(parse({"version": 1, "handlers": handlers}))
    assert list(neighbours_of(plan)) == [("code.py", "folder"), ("code.py", "near")]


def test_without_secrets_no_key_is_made_where_its_owner_has_one_that_is_allowed(tmp_path: Path) -> None:
    plan = Plan(parse(CONFIG))
    whole, _ = secrets_of(plan, tmp_path / "keys")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "allowed").write_text(whole)
    assert secrets_of(plan, elsewhere, wants_secrets=False) == (whole, None)
    assert [file.name for file in elsewhere.iterdir()] == ["allowed"]


@pytest.mark.parametrize(
    "text",
    [
        "\n  x\n",
        "  a\nb",
        "a\t\n\tb\n",
        "a \nb",
        "- a: |\n    x\n\n\n",
        "#\n---\n...\n",
        "é\nü\r\n",
        "a\u2028b\n",
        "\ufeffa\nb\x07",
    ],
)
def test_any_text_of_a_file_is_read_back_as_it_was(text: str) -> None:
    assert yaml.safe_load(document({"data": {"f": text}})) == {"data": {"f": text}}


@pytest.mark.parametrize("section", ["engine", "archive"])
def test_the_core_reads_where_its_queue_and_its_archive_are(tmp_path: Path, section: str) -> None:
    plan = Plan(parse(CONFIG | {section: {"kind": "nats", "replicas": 1, "servers": ["nats://n1:4222"]}}))
    allowed, secrets = secrets_of(plan, tmp_path / "keys")
    shape = Shape("dw", "ops", "image", Size(), allowed=allowed, secrets=secrets)
    there = parse(config_in(list(objects(plan, shape)), "dw-config"))
    assert getattr(there, section) == getattr(plan.config, section)


@pytest.mark.parametrize(("section", "key"), [("engine", "credentials"), ("archive", "ca"), ("engine", "key")])
def test_files_for_nats_that_no_pod_has_are_refused_with_their_field(section: str, key: str) -> None:
    options = {"kind": "nats", "cert": "c.pem", "key": "k.pem"} if key == "key" else {"kind": "nats", key: "file"}
    plan = Plan(parse(CONFIG | {section: options}))
    with pytest.raises(ConfigError, match=rf"{section}\.(cert|{key}): "):
        check_plan(plan)
