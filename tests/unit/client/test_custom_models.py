"""Classes that are written from definitions of custom resources."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deltawire.client.typed.custom import module_of
from deltawire.common.errors import ConfigError
from deltawire.handlers.api import Handler
from deltawire.handlers.testing import Harness

DELTAWIRE = Path(sys.executable).with_name("deltawire")
SPEC = {
    "type": "object",
    "description": 'What is "wanted".\n  On two lines, with a \\ in it.',
    "required": ["image", "class"],
    "properties": {
        "image": {"type": "string"},
        "class": {"type": "string"},
        "replicas": {"type": "integer"},
        "maxLoad": {"type": "number"},
        "mode": {"type": "string", "enum": ["a", "b"]},
        "port": {"x-kubernetes-int-or-string": True},
        "hosts": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "any": {},
    },
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "websites.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"plural": "websites", "kind": "Website"},
        "versions": [
            {"name": "v1beta1", "schema": {"openAPIV3Schema": {"type": "object"}}},
            {
                "name": "v1",
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "spec": SPEC,
                            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
                        },
                    }
                },
            },
        ],
    },
}
SITE = {
    "apiVersion": "example.com/v1",
    "kind": "Website",
    "metadata": {"name": "shop", "namespace": "ns"},
    "spec": {
        "image": "nginx",
        "class": "fast",
        "hosts": [{"name": "x"}],
        "port": "http",
        "labels": {"a": "b"},
    },
}


def website(text=None):
    namespace = {"__name__": "website"}
    exec(compile(text or module_of([CRD]), "website.py", "exec"), namespace)  # noqa: S102  # the module is what is tested
    return namespace["Website"]


def test_a_written_class_is_what_functions_get() -> None:
    seen = []
    handler = Handler("h")
    handler.on_add(website())(seen.append)
    [handled] = Harness(handler).apply(SITE, resource="websites.example.com")
    assert handled.error == ""
    [site] = seen
    assert (site.metadata.name, site.spec.image, site.spec.class_, site.spec.port) == (
        "shop",
        "nginx",
        "fast",
        "http",
    )
    assert (site.spec.hosts[0].name, site.spec.labels, site.spec.replicas, site.status) == (
        "x",
        {"a": "b"},
        None,
        None,
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"mode": "c"}, "$.spec.mode"),
        ({"replicas": "many"}, "$.spec.replicas"),
        ({"hosts": [{"name": 7}]}, "$.spec.hosts[0].name"),
    ],
)
def test_what_does_not_fit_a_written_class_names_the_field(spec, said) -> None:
    handler = Handler("h")
    handler.on_add(website())(lambda site: None)
    [handled] = Harness(handler).apply(
        {**SITE, "spec": {**SITE["spec"], **spec}}, resource="websites.example.com"
    )
    assert handled.verdict == "dead" and said in handled.error


def test_what_is_not_set_is_not_written() -> None:
    import msgspec

    kind = website()
    spec = kind.__annotations__["spec"]
    tree = msgspec.to_builtins(kind(spec=spec(image="i", class_="c")))
    assert tree == {"spec": {"image": "i", "class": "c"}}


def test_an_object_of_a_written_class_says_its_kind() -> None:
    from deltawire.handlers.reach import kind_of

    kind = website()
    site = kind(spec=kind.__annotations__["spec"](image="i", class_="c"))
    assert kind_of(site, {}) == ("example.com/v1", "Website")


def test_another_version_can_be_chosen() -> None:
    text = module_of([CRD], version="v1beta1")
    assert 'apiVersion: str = "example.com/v1beta1"' in text
    website(text)
    with pytest.raises(ConfigError, match=r"no version 'v9' \(versions: v1beta1, v1\)"):
        module_of([CRD], version="v9")


def test_a_file_without_definitions_is_told() -> None:
    with pytest.raises(ConfigError, match="there is no CustomResourceDefinition"):
        module_of([])


def test_the_command_prints_the_module(tmp_path: Path) -> None:
    (tmp_path / "crd.yaml").write_text(yaml.safe_dump_all([{"kind": "ConfigMap"}, CRD], sort_keys=False))
    done = subprocess.run(
        [DELTAWIRE, "models", str(tmp_path / "crd.yaml")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, module_of([CRD]))
    done = subprocess.run([DELTAWIRE, "models", "gone.yaml"], capture_output=True, text=True, check=False)
    assert (done.returncode, "cannot read gone.yaml" in done.stderr) == (2, True)


def test_files_without_a_definition_are_named(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("kind: Pod\n")
    done = subprocess.run(
        [DELTAWIRE, "models", "pod.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "no CustomResourceDefinition in pod.yaml" in done.stderr
