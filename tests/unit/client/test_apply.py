import json
from typing import Any

import msgspec
import pytest

from deltawire.client.apply.configuration import configuration
from deltawire.client.apply.extract import extract
from deltawire.client.typed.models import models
from deltawire.common.errors import ConfigError

apps, core, meta = models("apps_v1"), models("core_v1"), models("meta_v1")


def test_a_configuration_holds_what_was_set_and_its_identity() -> None:
    found = configuration(apps.Deployment, "web", "default").with_labels({"app": "web"})
    found.with_spec(configuration(apps.DeploymentSpec).with_replicas(3).with_min_ready_seconds(0))
    assert json.loads(msgspec.json.encode(found)) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {"replicas": 3, "minReadySeconds": 0},  # a zero that was set is sent
    }


def test_scalars_are_replaced_lists_grow_and_maps_are_merged() -> None:
    spec = configuration(core.PodSpec).with_node_name("a").with_node_name("b")
    spec.with_containers(core.Container(name="one")).with_containers({"name": "two"}, {"name": "three"})
    spec.with_node_selector({"x": "1"}).with_node_selector({"y": "2"})
    assert spec == {
        "nodeName": "b",
        "containers": [{"name": "one"}, {"name": "two"}, {"name": "three"}],
        "nodeSelector": {"x": "1", "y": "2"},
    }
    assert configuration(core.ServiceSpec).with_cluster_ip("None") == {"clusterIP": "None"}
    labels = configuration(meta.ObjectMeta).with_labels({"a": "1"}).with_labels({"b": "2"})
    assert labels == {"labels": {"a": "1", "b": "2"}}


def test_a_cluster_scoped_kind_has_no_namespace() -> None:
    assert configuration(core.Node, "n", "default")["metadata"] == {"name": "n"}


def test_a_field_that_does_not_exist_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="DeploymentSpec has no field 'replica'"):
        configuration(apps.DeploymentSpec).with_replica(3)
    with pytest.raises(ConfigError, match="takes one value"):
        configuration(apps.DeploymentSpec).with_replicas(1, 2)
    with pytest.raises(AttributeError):
        configuration(apps.DeploymentSpec).replicas  # noqa: B018 - the mistake under test
    with pytest.raises(ConfigError, match="not the class of a resource"):
        configuration(apps.DeploymentSpec, "web")


def managed(fields: dict[str, Any], manager: str = "me", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


OBJECT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "default",
        "uid": "u",
        "resourceVersion": "7",
        "labels": {"mine": "1", "other": "2"},
        "finalizers": ["a", "b"],
        "managedFields": [
            managed(
                {
                    "f:metadata": {"f:labels": {"f:mine": {}}, "f:finalizers": {'v:"b"': {}}},
                    "f:spec": {
                        "f:replicas": {},
                        "f:template": {
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"web"}': {
                                        ".": {},
                                        "f:name": {},
                                        "f:image": {},
                                        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}}},
                                    }
                                },
                                "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:emptyDir": {".": {}}}},
                            }
                        },
                        "f:gone": {},
                    },
                }
            ),
            managed({"f:status": {"f:readyReplicas": {}}}, subresource="status"),
            managed({"f:spec": {"f:paused": {}}}, manager="you"),
            {**managed({"f:spec": {"f:paused": {}}}), "operation": "Update"},
        ],
    },
    "spec": {
        "replicas": 0,
        "paused": True,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "nginx",
                        "tty": True,
                        "ports": [
                            {"containerPort": 80, "protocol": "TCP", "hostPort": 9},
                            {"containerPort": 81},
                        ],
                    },
                    {"name": "sidecar", "image": "x"},
                ],
                "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}],
            }
        },
    },
    "status": {"readyReplicas": 1, "replicas": 1},
}
IDENTITY = {"name": "web", "namespace": "default"}


def test_exactly_what_the_manager_applied_is_extracted() -> None:
    assert extract(OBJECT, "me") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**IDENTITY, "labels": {"mine": "1"}, "finalizers": ["b"]},
        "spec": {
            "replicas": 0,
            "template": {
                "spec": {
                    "containers": [
                        {"name": "web", "image": "nginx", "ports": [{"containerPort": 80, "protocol": "TCP"}]}
                    ],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                }
            },
        },
    }


def test_a_sub_resource_is_extracted_apart() -> None:
    found = extract(OBJECT, "me", "status")
    assert (found["status"], found["metadata"]) == ({"readyReplicas": 1}, IDENTITY)
    assert "spec" not in found


def test_a_stranger_owns_the_identity_alone() -> None:
    assert extract(OBJECT, "nobody") == {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": IDENTITY}


def test_a_typed_object_is_extracted_as_well() -> None:
    one = core.ConfigMap(
        metadata=meta.ObjectMeta(
            name="one",
            managedFields=[
                meta.ManagedFieldsEntry(
                    manager="me", operation="Apply", fieldsV1={"f:data": {"f:a": {}}}, fieldsType="FieldsV1"
                )
            ],
        ),
        data={"a": "1", "b": "2"},
    )
    assert extract(one, "me")["data"] == {"a": "1"}


@pytest.mark.parametrize("fields", [{"f:spec": 7}, {"f:metadata": {"f:finalizers": {"v:nonsense": {}}}}])
def test_managed_fields_that_cannot_be_read_are_an_error(fields: dict[str, Any]) -> None:
    broken = {**OBJECT, "metadata": {**OBJECT["metadata"], "managedFields": [managed(fields)]}}
    with pytest.raises(ConfigError, match="managedFields"):
        extract(broken, "me")


def test_an_object_without_a_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="kind"):
        extract({"metadata": {"name": "a"}}, "me")
