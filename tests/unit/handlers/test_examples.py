"""The Python examples do what their first line says."""

from pathlib import Path

import pytest

from deltawire.handlers.loader import MODULE, load
from deltawire.handlers.testing import Harness

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def harness_of(monkeypatch):
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))

    def harness_of(name):
        [handler] = load(str(EXAMPLES / name))
        return Harness(handler)

    yield harness_of
    sys.modules.pop(MODULE, None)


def deployment(replicas, version, **spec):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": version},
        "spec": {"replicas": replicas, **spec},
    }


def pod(name, node=None, version="1"):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": f"u-{name}", "resourceVersion": version},
        "spec": {"nodeName": node} if node else {},
    }


def test_hello_greets_each_pod(harness_of, capsys):
    harness_of("hello.py").apply(pod("a"))
    assert capsys.readouterr().out == "hello, shop/a\n"


def test_printer_prints_changed_fields_only(harness_of, capsys):
    harness = harness_of("printer.py")
    harness.apply(deployment(2, "1", images=["a", "b"]))
    harness.apply(deployment(3, "2", images=["a", "c"], paused=True))
    harness.delete(deployment(3, "2"))
    assert capsys.readouterr().out.splitlines() == [
        "+ shop/web replicas=2",
        "~ shop/web spec.replicas: 2 → 3",
        "~ shop/web spec.images[1]: b → c",
        "~ shop/web spec.paused: None → True",
        "- shop/web",
    ]


def test_printer_says_when_the_old_state_is_not_known(harness_of, capsys):
    harness = harness_of("printer.py")
    stored = harness._as_stored(deployment(2, "1"))
    harness._deliver("deployments.apps", "U", stored, None, 1)
    assert capsys.readouterr().out == "~ shop/web (what it was before is no longer known)\n"


def test_pods_are_counted_per_node_through_the_index(harness_of, capsys):
    harness = harness_of("pods_per_node.py")
    for obj in (pod("a"), pod("a", "n1", "2"), pod("b", "n1"), pod("c", "n2")):
        assert {h.verdict for h in harness.apply(obj)} == {"done"}
    assert {h.verdict for h in harness.delete(pod("b", "n1"))} == {"done"}
    assert capsys.readouterr().out.splitlines() == ["n1: 1 pods", "n1: 2 pods", "n2: 1 pods", "n1: 1 pods"]


def test_pods_per_node_declares_its_index():
    [handler] = load(str(EXAMPLES / "pods_per_node.py"))
    assert handler.indexes == {"pods": {"by-node": ".spec.nodeName"}}


def test_hello_has_five_lines_of_code():
    source = (EXAMPLES / "hello.py").read_text()
    assert len([line for line in source.splitlines() if line.strip()]) == 5
