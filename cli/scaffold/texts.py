"""The texts of the files, with $-signs for what depends on the name."""

HANDLER = '''"""Says which pods come and go."""

from deltawire import Handler

handler = Handler("$name")


@handler.on_add("pods")
def added(pod, event, ctx):
    ctx.log.info("%s came", event.key)


@handler.on_delete("pods")
def deleted(pod, event, ctx):
    ctx.log.info("%s is gone", event.key)
'''

HANDLER_TEST = '''"""Run it with: python -m pytest"""

import logging

from deltawire.handlers.testing import Harness

from $module import handler

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "ns"}}


def test_a_pod_that_comes_and_goes_is_said(caplog):
    caplog.set_level(logging.INFO)
    harness = Harness(handler)
    assert [h.verdict for h in [*harness.apply(POD), *harness.delete(POD)]] == ["done", "done"]
    assert [record.getMessage() for record in caplog.records] == ["ns/a came", "ns/a is gone"]
'''

HANDLER_RBAC = '''# What the handler needs on a cluster.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: $name}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [get, list, watch]}
'''

_README = '''# $name

$about

```console
$$ python -m pytest       # pip install pytest
$$ deltawire run $module.py --embedded$try_it --reload
```

The first runs the test, without a cluster. The second runs the handler against an API server in memory; a changed file
takes over while it runs. Without `--embedded` it uses your kubeconfig.

The rights that it needs on a cluster are in rbac.yaml. In a config:

```yaml
version: 1
handlers:
  - {name: $name, run: $module.py}
```
'''

CONTROLLER = '''"""Each ConfigMap with the label mirror=true has a copy with the suffix -copy, which follows it."""

from deltawire import Handler

handler = Handler("$name")


@handler.reconcile("configmaps", owns=["configmaps"], writes=["configmaps"])
def reconcile(key, ctx):
    source = ctx.object
    if source is None or ctx.is_deleting or (source["metadata"].get("labels") or {}).get("mirror") != "true":
        return
    metadata = {"name": source["metadata"]["name"] + "-copy"}
    copy = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": source.get("data") or {}}
    ctx.apply(ctx.own(copy))
'''

CONTROLLER_TEST = '''"""Run it with: python -m pytest"""

from deltawire import FakeClientset
from deltawire.handlers.testing import Harness

from $module import handler

METADATA = {"name": "a", "namespace": "ns", "labels": {"mirror": "true"}}
SOURCE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": METADATA, "data": {"k": "1"}}


def test_the_copy_follows_and_is_mended():
    with FakeClientset(SOURCE) as cluster:
        harness = Harness(handler, client=cluster)
        harness.settle()
        maps = cluster.core_v1().config_maps("ns")
        assert maps.get("a-copy").data == {"k": "1"}
        maps.patch("a", {"data": {"k": "2"}})
        harness.settle()
        assert maps.get("a-copy").data == {"k": "2"}
        maps.delete("a-copy")
        harness.settle()
        assert maps.get("a-copy").data == {"k": "2"}
'''

CONTROLLER_RBAC = '''# What the controller needs on a cluster.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: $name}
rules:
  - {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch, create, patch]}
'''

CRD_CONTROLLER = '''"""A $kind becomes a ConfigMap with its message, and says when it is there."""

from deltawire import Handler

handler = Handler("$name")


@handler.reconcile("$plural.$group", owns=["configmaps"], writes=["configmaps"])
def reconcile(key, ctx):
    obj = ctx.object
    if obj is None or ctx.is_deleting:
        return
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": obj["metadata"]["name"]}}
    ctx.apply(ctx.own({**child, "data": {"message": obj["spec"]["message"]}}))
    ctx.status(observedGeneration=ctx.generation, conditions=[ctx.condition("Ready", True, "Applied")])
'''

CRD_TEST = '''"""Run it with: python -m pytest"""

from pathlib import Path

import pytest
import yaml
from deltawire import DynamicClient, FakeClientset
from deltawire.client.schema import GroupVersionResource
from deltawire.handlers.testing import Harness

from $module import handler

HERE = Path(__file__).parent
RESOURCE = GroupVersionResource("$group", "v1", "$plural")


@pytest.fixture
def cluster():
    objects = [yaml.safe_load((HERE / name).read_text()) for name in ("crds/$plural.yaml", "$module.yaml")]
    with FakeClientset(*objects) as made:
        yield made


def test_it_gets_its_config_map_and_a_condition(cluster):
    harness = Harness(handler, client=cluster)
    assert {h.verdict for h in harness.settle()} == {"done"}
    assert cluster.core_v1().config_maps("default").get("first").data == {"message": "hello"}
    status = DynamicClient(cluster.rest).resource(RESOURCE).namespace("default").get("first")["status"]
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [("Ready", "True")]


def test_what_somebody_changes_is_mended(cluster):
    harness = Harness(handler, client=cluster)
    harness.settle()
    cluster.core_v1().config_maps("default").patch("first", {"data": {"message": "other"}})
    harness.settle()
    assert cluster.core_v1().config_maps("default").get("first").data == {"message": "hello"}
'''

CRD = '''apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $plural.$group}
spec:
  group: $group
  scope: Namespaced
  names: {plural: $plural, singular: $singular, kind: $kind}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [message]
              properties:
                message: {type: string}
            status:
              type: object
              properties:
                observedGeneration: {type: integer}
                conditions:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [type]
                  items:
                    type: object
                    required: [type, status]
                    properties:
                      type: {type: string}
                      status: {type: string}
                      reason: {type: string}
                      message: {type: string}
                      observedGeneration: {type: integer}
                      lastTransitionTime: {type: string, format: date-time}
'''

CRD_OBJECT = '''apiVersion: $group/v1
kind: $kind
metadata: {name: first, namespace: default}
spec: {message: hello}
'''

CRD_RBAC = '''# What the controller needs on a cluster.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: $name}
rules:
  - {apiGroups: [$group], resources: [$plural], verbs: [get, list, watch]}
  - {apiGroups: [$group], resources: [$plural/status], verbs: [patch]}
  - {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch, create, patch]}
'''


def _readme(about: str, try_it: str = "") -> str:
    return _README.replace("$about", about).replace("$try_it", try_it)


HANDLER_README = _readme("Says which pods come and go.")
CONTROLLER_README = _readme("Copies ConfigMaps with the label `mirror=true`, and keeps the copies as they should be.")
CRD_README = _readme(
    "A controller: each $kind becomes a ConfigMap with its message.",
    " --controllers --load crds/ $module.yaml",
)
