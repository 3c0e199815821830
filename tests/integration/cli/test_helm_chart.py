"""The chart in deploy/helm makes the same objects as ``deltawire manifest``, and refuses what is wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deltawire.cli.manifest import pods
from deltawire.cli.manifest.sizes import Size
from deltawire.common.meta.units import parse_duration_s
from tests.suites import golang
from tests.support.charts import NAMESPACED, Helm, in_order, manifest, normal, understood, values

# Building helm takes minutes, once.
pytestmark = [pytest.mark.long, pytest.mark.timeout(golang.BUILD_TIMEOUT_S), pytest.mark.xdist_group("helm")]
# Custom resources, a named cluster, what is not the default, a range of replicas, a handler of the image.
CUSTOM = """
version: 1
clusters: {main: {}}
engine: {kind: nats, name: q, leases: {kind: kubernetes, namespace: leases}}
archive: {servers: ["nats://n:4222"]}
store: {shards: 8, dir: /somewhere/else, forget_after: 3d}
runtime: {workers: 1, drain_deadline: 45, heartbeat: 5, control: true, health: /x}
metrics: {listen: "127.0.0.1:1"}
informers:
  - {resource: secrets, secrets: hash}
  - {resource: widgets.example.com, namespaces: [w]}
  - {resource: deploy.v1.apps, metadata_only: true, max_bytes: 1Gi}
resources:
  - {group: example.com, version: v1, plural: widgets, kind: Widget, namespaced: true, short_names: [wd]}
handlers:
  - {name: scaled, command: [s], on: [wd], writes: [widgets.example.com], replicas: {min: 2, max: 5, backlog: 10}}
  - {name: shown, run: log, on: [{resource: widgets.example.com, indexes: {by-colour: .spec.colour}}, secrets]}
"""


@pytest.mark.parametrize(
    ("config", "options", "settings"),
    [
        (NAMESPACED, ["--monitor"], ["--set", "monitor.enabled=true,fullnameOverride=deltawire"]),
        (
            CUSTOM,
            ["--name", "dw", "--size", "300000,5000,333", "--storage-class", "fast"],
            ["--set", "size.objects=300000,size.bytes=5000,size.rate=333,volume.storageClass=fast"],
        ),
    ],
    ids=["namespaced", "custom"],
)
def test_the_chart_renders_what_the_manifest_command_writes(
    helm: Helm, tmp_path: Path, config: str, options: list[str], settings: list[str]
) -> None:
    wanted = normal(tmp_path, manifest(tmp_path, config, *options))
    rendered = helm.rendered(*values(tmp_path, config), *settings)
    hooks = [obj for obj in rendered if "helm.sh/hook" in obj["metadata"].get("annotations", {})]
    assert [obj["kind"] for obj in hooks] == ["Pod"]
    found = normal(tmp_path, [obj for obj in rendered if obj not in hooks])
    assert sorted(found) == sorted(wanted)
    for name, obj in wanted.items():
        assert found[name] == obj, name


def test_what_is_set_for_all_reaches_every_object_and_pod(helm: Helm, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        yaml.safe_dump(
            {
                "labels": {"team": "ops"},
                "annotations": {"note": "all"},
                "pullSecrets": ["pull"],
                "image": {"pullPolicy": "Always"},
                "pod": {
                    "tolerations": [{"operator": "Exists"}],
                    "nodeSelector": {"disk": "ssd"},
                    "priorityClassName": "high",
                },
                "resources": {"limits": {"memory": "3Gi"}},
                "volume": {"size": "9Gi"},
                "keys": {"secret": "core", "allowedConfigMap": "list"},
                "networkPolicy": {"enabled": False},
                "rbac": {"create": False},
                "handlers": [
                    {
                        "name": "h",
                        "command": ["h"],
                        "on": ["pods"],
                        "writes": ["pods"],
                        "image": "registry/h:2",
                        "keySecret": "mine",
                        "envFrom": [{"secretRef": {"name": "token"}}],
                        "resources": {"limits": {"memory": "1Gi"}},
                        "pod": {"nodeSelector": {"disk": "hdd"}, "annotations": {"scrape": "no"}},
                    }
                ],
            }
        )
    )
    made = helm.rendered("-f", str(tmp_path / "more.yaml"))
    assert {obj["kind"] for obj in made} == {
        "ServiceAccount", "ConfigMap", "Service", "StatefulSet", "Deployment", "Pod"
    }  # fmt: skip
    for obj in made:
        assert obj["metadata"]["labels"]["team"] == "ops"
        assert obj["metadata"]["annotations"]["note"] == "all"
    [core] = [obj["spec"] for obj in made if obj["kind"] == "StatefulSet"]
    [handler] = [obj["spec"]["template"] for obj in made if obj["kind"] == "Deployment"]
    for pod in (core["template"], handler):
        assert pod["metadata"]["labels"]["team"] == "ops"
        assert pod["spec"]["tolerations"] == [{"operator": "Exists"}]
        assert pod["spec"]["priorityClassName"] == "high"
        assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]
        assert pod["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    [container] = core["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"memory": "3Gi"}}
    assert core["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert core["volumeClaimTemplates"][0]["spec"]["resources"] == {"requests": {"storage": "9Gi"}}
    [_, keys, *_] = core["template"]["spec"]["volumes"]
    assert keys["projected"]["sources"] == [{"configMap": {"name": "list"}}, {"secret": {"name": "core"}}]
    [container] = handler["spec"]["containers"]
    assert container["image"] == "registry/h:2"
    assert container["resources"] == {"limits": {"memory": "1Gi"}}
    assert container["envFrom"] == [{"secretRef": {"name": "token"}}]
    assert handler["spec"]["nodeSelector"] == {"disk": "hdd"}
    assert handler["metadata"]["annotations"].keys() == {"scrape", "checksum/config"}
    assert handler["spec"]["volumes"][1]["projected"]["sources"][1] == {"secret": {"name": "mine"}}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"config": {"handlers": []}}, ["config", "'handlers' not allowed"]),
        ({"config": {"runtime": {"worker": 2}}}, ["runtime", "'worker' not allowed"]),
        ({"config": {"clusters": {"a": {}, "b": {}}}}, ["clusters", "maxProperties"]),
        ({"handlers": [{"name": "h", "command": ["x"]}]}, ["handlers/0", "'on'"]),
        ({"handlers": [{"name": "H", "command": ["x"], "on": ["pods"]}]}, ["handlers/0/name"]),
        ({"handlers": [{"name": "h", "command": ["x"], "on": ["widgets"]}]}, ["widgets.example.com"]),
        ({"handlers": [{"name": "h", "command": ["x"], "on": ["secrets"]}]}, ["config.informers", "hash"]),
        ({"handlers": [{"name": "h", "code": "x", "run": "h", "on": ["pods"]}]}, ["run: h.py"]),
        ({"handlers": [{"name": "h", "on": ["pods"]}]}, ["exactly one of run"]),
        ({"handlers": [{"name": "h", "run": "log", "command": ["x"], "on": ["pods"]}]}, ["exactly one of run"]),
        ({"handlers": [{"name": "h", "run": "log", "on": ["pods"]}] * 2}, ["a second one", "replicas: 2"]),
        ({"config": {"informers": [{"resource": "po"}, {"resource": "pods"}]}}, ["an informer already"]),
        ({"config": {"informers": [{"resource": "secret"}]}}, ["keep, hash or drop"]),
        ({"config": {"runtime": {"drain_deadline": "soon"}}}, ["drain_deadline", "1h30m"]),
        ({"handlers": [{"name": "h", "run": "a b.py", "code": "x", "on": ["pods"]}]}, ["\"a b.py\"", "ConfigMap"]),
        ({"handlers": [{"name": "h", "command": ["x"], "on": ["pods"], "writes": ["a b c"]}]}, ["/writes/0"]),
        ({"config": {"informers": [{"resource": "pods", "cluster": "east"}]}}, ["east", "release there"]),
        ({"config": {"engine": {"kind": "nats", "ca": "ca.pem"}}}, ["config.engine.ca", "no pod has this file"]),
        ({"config": {"archive": {"leases": "nats"}}}, ["'leases' not allowed"]),
        ({"fullnameOverride": "a" * 53}, ["/fullnameOverride"]),
        ({"volumes": {}}, ["'volumes' not allowed"]),
        ({"image": {"tag": 7}}, ["/image/tag", "want string"]),
    ],
)
def test_values_that_are_wrong_are_refused_and_named(
    helm: Helm, tmp_path: Path, wrong: Any, words: list[str]
) -> None:
    said = helm.refusal(tmp_path, wrong)
    for word in words:
        assert word in said


def test_pods_are_rolled_when_what_they_read_changes(helm: Helm, tmp_path: Path) -> None:
    def checksums(code: str, heartbeat: int) -> dict[str, str]:
        handlers = [
            {"name": "h", "run": "h.py", "code": code, "on": ["pods"]},
            {"name": "other", "run": "log", "on": ["pods"]},
        ]
        settings = {"config": {"runtime": {"heartbeat": heartbeat}}, "handlers": handlers}
        (tmp_path / "values.yaml").write_text(yaml.safe_dump(settings))
        return {
            obj["metadata"]["name"]: obj["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for obj in helm.rendered("-f", str(tmp_path / "values.yaml"))
            if obj["kind"] in ("StatefulSet", "Deployment")
        }

    first, other_code, other_config = checksums("a = 1", 2), checksums("a = 2", 2), checksums("a = 1", 3)
    assert first.keys() == {"dw", "dw-h", "dw-other"}
    assert {name for name in first if other_code[name] != first[name]} == {"dw-h"}
    assert {name for name in first if other_config[name] != first[name]} == {"dw", "dw-h", "dw-other"}


SPELT = [
    "po", "Service", "cm.v1", "nodes.v1", "DEPLOY", "rs.apps", "statefulset.v1.apps", "job.batch", "hpa", "Ingress",
    "netpol.networking.k8s.io", "crd", "Widget.example.com", "gadgets.v2.things.org", "horns.v1.example.com", "en",
]  # fmt: skip


def test_resources_are_named_as_everywhere(helm: Helm, tmp_path: Path) -> None:
    of_group = {"group": "example.com", "version": "v1", "namespaced": True}
    resources = [
        {**of_group, "plural": "horns", "kind": "Horn", "singular": "brass"},
        {**of_group, "plural": "endings", "kind": "Ending", "short_names": ["en"], "namespaced": False},
    ]
    config = {"version": 1, "informers": [{"resource": word} for word in SPELT], "resources": resources}
    handlers = [{"name": "h", "command": ["h"], "on": ["brass"], "writes": ["brass/status", "en", "Node"]}]
    text = yaml.safe_dump({**config, "handlers": handlers})
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({"config": config, "handlers": handlers}))
    rendered = helm.rendered("-n", "ops", "-f", str(tmp_path / "values.yaml"))
    found = {(obj["kind"], obj["metadata"]["name"]): obj for obj in rendered}
    wanted = {(obj["kind"], obj["metadata"]["name"]): obj for obj in manifest(tmp_path, text, "--name", "dw")}
    for name in ("dw-config", "dw-h-config"):
        texts = [of["ConfigMap", name]["data"]["deltawire.yaml"] for of in (found, wanted)]
        assert understood(tmp_path, texts[0]) == understood(tmp_path, texts[1])
        written = [[informer["resource"] for informer in yaml.safe_load(text)["informers"]] for text in texts]
        assert written[0] == written[1]
    for name in ("ops:dw", "ops:dw-h"):
        rules = [in_order(of["ClusterRole", name]["rules"]) for of in (found, wanted)]
        assert rules[0] == rules[1]


@pytest.mark.parametrize("deadline", ["250ms", "1.5h", "2m30s", "1d", "1w", 0.5, 7, "90.9", "59s999ms"])
def test_pods_get_as_long_to_drain_as_the_command_gives_them(
    helm: Helm, tmp_path: Path, deadline: object
) -> None:
    values_of = {"config": {"runtime": {"drain_deadline": deadline}}}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values_of))
    [core] = [o for o in helm.rendered("-f", str(tmp_path / "values.yaml")) if o["kind"] == "StatefulSet"]
    wanted = int(parse_duration_s(deadline)) + pods.SYNC_S
    assert core["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == wanted


@pytest.mark.parametrize(
    ("objects", "size", "rate", "workers", "reflectors"),
    [
        (1, 1, 0, 1, 1),
        (262_144, 1024, 100, 2, 1),
        (262_145, 1024, 100.5, 3, 1),
        (10_000_000, 20_000, 100_000, 64, 64),
        (98_765, 4_321, 33.3, 5, 4),
    ],
)
def test_the_chart_asks_for_as_much_as_the_command(
    helm: Helm, tmp_path: Path, objects: int, size: int, rate: float, workers: int, reflectors: int
) -> None:
    values_of = {
        "size": {"objects": objects, "bytes": size, "rate": rate},
        "config": {"runtime": {"workers": workers, "reflectors": reflectors}},
    }
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values_of))
    [core] = [o for o in helm.rendered("-f", str(tmp_path / "values.yaml")) if o["kind"] == "StatefulSet"]
    [container] = core["spec"]["template"]["spec"]["containers"]
    wanted = Size(objects, size, rate)
    assert container["resources"] == wanted.core(workers, reflectors)
    claim = core["spec"]["volumeClaimTemplates"][0]["spec"]
    assert claim["resources"]["requests"]["storage"] == wanted.disk
