"""Built-in objects are held to the types of their fields, in the words of Go's decoder."""

from typing import Any

import pytest

from deltawire.apiserver.http.duplicates import duplicate_fields
from deltawire.apiserver.schemas.typed import NotReadable, typed

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"a": "b"}, "creationTimestamp": None},
    "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": 1, "memory": "64Mi"}}}]},
}


def pod(**spec: Any) -> dict[str, Any]:
    return POD | {"spec": POD["spec"] | spec}


def test_what_is_well_formed_is_kept_and_nulls_go() -> None:
    read, unknown = typed("core_v1", "Pod", POD)
    assert unknown == []
    assert read["metadata"] == {"name": "p", "labels": {"a": "b"}}
    assert read["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1", "memory": "64Mi"}}
    assert read["status"] == {}, "what Go always writes is there"
    assert POD["metadata"]["creationTimestamp"] is None, "the caller's object is not changed"


def test_unknown_fields_are_dropped_and_named() -> None:
    containers = [{"name": "c", "img": 1}, {"name": "d", "ports": [{"containerPort": 1, "prot": "x"}]}]
    read, unknown = typed("core_v1", "Pod", pod(containers=containers, nope={}) | {"extra": 1})
    assert unknown == ["spec.containers[0].img", "spec.containers[1].ports[0].prot", "spec.nope", "extra"]
    assert read["spec"]["containers"] == [
        {"name": "c", "resources": {}},
        {"name": "d", "ports": [{"containerPort": 1}], "resources": {}},
    ]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"hostNetwork": "yes"}, "string into Go struct field PodSpec.spec.hostNetwork of type bool"),
        ({"priority": 1.5}, "number 1.5 into Go struct field PodSpec.spec.priority of type int32"),
        ({"priority": True}, "bool into Go struct field PodSpec.spec.priority of type int32"),
        ({"terminationGracePeriodSeconds": "1"}, "PodSpec.spec.terminationGracePeriodSeconds of type int64"),
        ({"nodeName": 1}, "number into Go struct field PodSpec.spec.nodeName of type string"),
        ({"containers": {}}, "object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        ({"containers": ["c"]}, "string into Go struct field PodSpec.spec.containers of type v1.Container"),
        (
            {"containers": [{"args": [1]}]},
            "number into Go struct field Container.spec.containers.args of type string",
        ),
        ({"affinity": []}, "array into Go struct field PodSpec.spec.affinity of type v1.Affinity"),
        ({"nodeSelector": {"a": 1}}, "number into Go struct field PodSpec.spec.nodeSelector of type string"),
        (
            {"nodeSelector": []},
            "array into Go struct field PodSpec.spec.nodeSelector of type map[string]string",
        ),
        ({"overhead": {"cpu": "much"}}, "quantities must match the regular expression"),
        ({"overhead": {"cpu": True}}, "quantities must match the regular expression"),
    ],
)
def test_a_wrong_type_is_told_as_go_tells_it(spec: dict[str, Any], told: str) -> None:
    with pytest.raises(NotReadable) as refused:
        typed("core_v1", "Pod", pod(**spec))
    assert told in str(refused.value)


def test_secrets_hold_base64_and_ports_numbers_or_names() -> None:
    assert typed("core_v1", "Secret", {"data": {"a": "Yg=="}})[1] == []
    for bad in ("not base64!", 5):
        with pytest.raises(NotReadable):
            typed("core_v1", "Secret", {"data": {"a": bad}})
    for port in (80, "http"):
        assert typed("core_v1", "Service", {"spec": {"ports": [{"port": 80, "targetPort": port}]}})[1] == []
    with pytest.raises(NotReadable):
        typed("core_v1", "Service", {"spec": {"ports": [{"port": 80, "targetPort": [80]}]}})


def test_a_kind_without_a_model_is_held_to_nothing() -> None:
    obj = {"spec": {"any": "thing"}}
    assert typed("example_v1", "Widget", obj) == (obj, [])


def test_fields_named_twice_are_found_with_their_paths() -> None:
    raw = b'{"a":1,"b":[{"c":1,"c":2},{"d":{"e":1,"e":1,"e":1}}],"a":{"f":1}}'
    assert duplicate_fields(raw) == ["a", "b[0].c", "b[1].d.e"]
    assert duplicate_fields(b'{"a":{"x":1},"b":{"x":1}}') == []
    assert duplicate_fields(b"[]") == []
