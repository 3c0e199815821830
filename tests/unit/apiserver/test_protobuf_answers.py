"""Objects as protobuf: what is written reads as the same object."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.core.builtin import BUILTIN_RESOURCES
from deltawire.apiserver.http.negotiate import Form, negotiate
from deltawire.apiserver.protobuf.decode import decode_object
from deltawire.apiserver.protobuf.encode import NotInProtobuf, encode_event, encode_object, is_known

Tree = dict[str, Any]
POD = Path(__file__).parents[2] / "vectors" / "pod-4k.json"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def again(api_version: str, kind: str, **fields: Any) -> Tree:
    head = {"apiVersion": api_version, "kind": kind}
    read = decode_object(encode_object({**head, **fields}))
    return {name: value for name, value in read.items() if name not in head}


def test_a_pod_reads_as_it_was_but_for_what_says_nothing() -> None:
    pod = json.loads(POD.read_text())
    read = again("v1", "Pod", **{k: v for k, v in pod.items() if k not in ("kind", "apiVersion")})
    for condition in pod["status"]["conditions"]:
        del condition["lastProbeTime"]  # null
    for status in pod["status"]["containerStatuses"]:
        del status["lastState"]  # {}
    assert read == {k: v for k, v in pod.items() if k not in ("kind", "apiVersion")}


@pytest.mark.parametrize(
    ("api_version", "kind", "fields"),
    [
        ("v1", "ConfigMap", {"data": {"k": "v"}, "binaryData": {"b": "AAE="}, "immutable": True}),
        (
            "v1",
            "Service",
            {"spec": {"ports": [{"port": 80, "targetPort": "http"}, {"port": 1, "targetPort": 8080}]}},
        ),
        ("scheduling.k8s.io/v1", "PriorityClass", {"value": -5}),
        ("coordination.k8s.io/v1", "Lease", {"spec": {"renewTime": "2020-01-01T00:00:01.000005Z"}}),
        ("v1", "ResourceQuota", {"spec": {"hard": {"cpu": "500m"}}}),
        (
            "apps/v1",
            "Deployment",
            {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}, "spec": {"replicas": 0}},
        ),
        ("apps/v1", "ControllerRevision", {"data": {"spec": {"a": [1, "b"]}}, "revision": 3}),
        ("authorization.k8s.io/v1", "SubjectAccessReview", {"spec": {"extra": {"s": ["a", "b"]}}}),
        ("v1", "PersistentVolume", {"spec": {"hostPath": {"path": "/x"}, "capacity": {"storage": "1Gi"}}}),
        ("node.k8s.io/v1", "RuntimeClass", {"handler": "h", "overhead": {"podFixed": {"cpu": "1"}}}),
        (
            "v1",
            "ConfigMapList",
            {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}]},
        ),
        ("v1", "Status", {"status": "Failure", "code": 404, "details": {"causes": [{"field": "x"}]}}),
    ],
)
def test_every_kind_of_value_survives(api_version: str, kind: str, fields: Tree) -> None:
    assert again(api_version, kind, **fields) == fields


def test_built_in_kinds_and_their_lists_are_known_but_for_definitions() -> None:
    unknown = {
        resource.storage
        for resource in BUILTIN_RESOURCES
        if not is_known(resource.type.api_version, resource.type.kind)
        or (resource.is_stored and not is_known(resource.type.api_version, resource.list_kind))
    }
    assert unknown == {"customresourcedefinitions.apiextensions.k8s.io"}
    with pytest.raises(NotInProtobuf):
        encode_object({"apiVersion": "example.com/v1", "kind": "Widget"})


def test_an_event_of_a_watch_is_a_frame_with_its_length_before_it() -> None:
    frame = encode_event("ADDED", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert frame[4:11] == b"\x0a\x05ADDED"


@pytest.mark.parametrize(
    ("accept", "is_long", "form"),
    [
        (PROTOBUF, False, Form.PROTOBUF),
        (PROTOBUF, True, Form.PROTOBUF),
        (f"{PROTOBUF},application/json", False, Form.PROTOBUF),
        (f"{PROTOBUF},application/json", True, Form.OBJECT),
        (f"{PROTOBUF}, */*", True, Form.OBJECT),
        (f"application/json,{PROTOBUF}", False, Form.OBJECT),
        (f"{PROTOBUF};stream=watch", True, Form.PROTOBUF),
    ],
)
def test_what_is_long_is_sent_in_json_to_whoever_takes_it(accept: str, is_long: bool, form: Form) -> None:
    assert negotiate(accept, has_protobuf=True, is_long=is_long) is form
