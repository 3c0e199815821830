"""The official Python client and lightkube, with what goes beyond the plain verbs."""

# Types of the official client are named, not loaded: that takes a second in each process that collects the tests.
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightkube
import pytest
from kubernetes import client, config, dynamic
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap
from lightkube.types import PatchType

from deltawire.apiserver.server import ApiServer

POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


@pytest.fixture
def official(kubeconfig: Path) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(str(kubeconfig)) as api_client:
        yield api_client


@pytest.fixture
def lk(kubeconfig: Path) -> Iterator[lightkube.Client]:
    with lightkube.Client(config=KubeConfig.from_file(str(kubeconfig)), field_manager="lk") as opened:
        yield opened


def test_logs_evictions_scale_and_reviews(official: client.ApiClient, api_server: ApiServer) -> None:
    api_server.create("pods", POD, "default")
    api_server.script_log("p", "hello")
    core = client.CoreV1Api(official)
    assert core.read_namespaced_pod_log("p", "default") == "hello\n"
    core.create_namespaced_pod_eviction(
        "p", "default", client.V1Eviction(metadata=client.V1ObjectMeta(name="p"))
    )
    assert core.list_namespaced_pod("default").items == []
    api_server.create("deployments.apps", {"metadata": {"name": "d"}}, "default")
    apps = client.AppsV1Api(official)
    apps.patch_namespaced_deployment_scale("d", "default", {"spec": {"replicas": 4}})
    assert apps.read_namespaced_deployment_scale("d", "default").spec.replicas == 4
    spec = client.V1SelfSubjectAccessReviewSpec(
        resource_attributes=client.V1ResourceAttributes(verb="list", resource="pods")
    )
    review = client.AuthorizationV1Api(official).create_self_subject_access_review(
        client.V1SelfSubjectAccessReview(spec=spec)
    )
    assert review.status.allowed is True


def test_a_dictionary_is_a_strategic_patch(official: client.ApiClient, api_server: ApiServer) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    api_server.create("deployments.apps", {"metadata": {"name": "d"}, "spec": spec}, "default")
    body = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "s"}]}}}}
    patched = client.AppsV1Api(official).patch_namespaced_deployment("d", "default", body)
    # What the patch names first, as on a real server.
    assert [c.name for c in patched.spec.template.spec.containers] == ["side", "c"]


def test_the_dynamic_client_applies(official: client.ApiClient, tmp_path: Path) -> None:
    maps: Any = dynamic.DynamicClient(official, cache_file=str(tmp_path / "discovery")).resources.get(
        api_version="v1", kind="ConfigMap"
    )
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    maps.server_side_apply(body=body, name="a", namespace="default", field_manager="m")
    with pytest.raises(dynamic.exceptions.ConflictError):
        maps.server_side_apply(
            body=body | {"data": {"x": "2"}}, name="a", namespace="default", field_manager="n"
        )
    assert maps.get(name="a", namespace="default").data.to_dict() == {"x": "1"}


def test_lightkube_creates_patches_applies_scales_and_deletes(lk: lightkube.Client) -> None:
    made = lk.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="default"), data={"x": "1"}))
    assert made.metadata is not None
    assert made.metadata.uid
    lk.patch(ConfigMap, "a", {"data": {"y": "2"}}, namespace="default", patch_type=PatchType.MERGE)
    lk.patch(ConfigMap, "a", {"data": {"z": "3"}}, namespace="default")
    assert lk.get(ConfigMap, "a", namespace="default").data == {"x": "1", "y": "2", "z": "3"}
    listed = [o.metadata.name for o in lk.list(ConfigMap, namespace="default", chunk_size=1) if o.metadata]
    assert listed == ["a"]
    wanted = ConfigMap(metadata=ObjectMeta(name="b", namespace="default"), data={"x": "1"})
    lk.apply(wanted)
    wanted.data = {"x": "2"}
    with pytest.raises(ApiError) as conflict:
        lk.apply(wanted, field_manager="other")
    assert conflict.value.status.code == 409
    assert lk.apply(wanted, field_manager="other", force=True).data == {"x": "2"}
    template: Any = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec: Any = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    lk.create(
        Deployment(metadata=ObjectMeta(name="d", namespace="default"), spec=DeploymentSpec.from_dict(spec))
    )
    scaled: Any = lk.patch(Deployment.Scale, "d", {"spec": {"replicas": 3}}, namespace="default")
    assert scaled.spec.replicas == 3
    lk.delete(ConfigMap, "a", namespace="default")
    with pytest.raises(ApiError) as missing:
        lk.get(ConfigMap, "a", namespace="default")
    assert missing.value.status.code == 404
