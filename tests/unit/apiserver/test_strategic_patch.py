"""Strategic merge patch: lists of built-in kinds merge by key."""

from typing import Any

import pytest

from deltawire.apiserver.kinds.types import struct
from deltawire.apiserver.patch.strategic import strategic_merge_patch
from deltawire.common.errors import StatusError


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **spec}}


def patched(target: dict[str, Any], patch: dict[str, Any], kind: str = "Pod") -> Any:
    return strategic_merge_patch(target, patch, struct("core_v1", kind))["spec"]


def test_containers_merge_by_name_and_new_ones_follow() -> None:
    target = pod({"name": "a", "image": "x", "args": ["1"]}, {"name": "b", "image": "y"})
    got = patched(target, pod({"name": "b", "image": "z"}, {"name": "c", "image": "w"}))
    assert [(c["name"], c["image"]) for c in got["containers"]] == [("a", "x"), ("b", "z"), ("c", "w")]
    assert target["spec"]["containers"][1]["image"] == "y"


def test_the_asked_order_wins() -> None:
    target = pod({"name": "a"}, {"name": "b"})
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
            "containers": [{"name": "a", "image": "i"}],
        }
    }
    assert patched(target, patch)["containers"] == [{"name": "b"}, {"name": "a", "image": "i"}]
    only_order = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    assert [c["name"] for c in patched(target, only_order)["containers"]] == ["b", "a"]


def test_an_item_is_deleted_by_its_key() -> None:
    got = patched(pod({"name": "a"}, {"name": "b"}), pod({"name": "a", "$patch": "delete"}))
    assert got["containers"] == [{"name": "b"}]


def test_a_list_and_a_map_can_be_replaced() -> None:
    target = pod({"name": "a"}, {"name": "b"}, nodeSelector={"x": "1"})
    got = patched(
        target, pod({"$patch": "replace"}, {"name": "c"}, nodeSelector={"$patch": "replace", "y": "2"})
    )
    assert (got["containers"], got["nodeSelector"]) == ([{"name": "c"}], {"y": "2"})


def test_only_the_named_keys_are_retained() -> None:
    target = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert patched(target, patch)["strategy"] == {"type": "Recreate"}


def test_ports_have_the_key_of_their_kind() -> None:
    container = pod({"name": "a", "ports": [{"containerPort": 80, "name": "x"}, {"containerPort": 81}]})
    got = patched(container, pod({"name": "a", "ports": [{"containerPort": 80, "name": "y"}]}))
    assert got["containers"][0]["ports"] == [{"containerPort": 80, "name": "y"}, {"containerPort": 81}]
    service = {"spec": {"ports": [{"port": 1}, {"port": 2}]}}
    assert patched(service, {"spec": {"ports": [{"port": 2, "$patch": "delete"}]}}, "Service")["ports"] == [
        {"port": 1}
    ]


@pytest.mark.parametrize("name", ["tolerations", "args", "rules"])
def test_other_lists_are_one_value(name: str) -> None:
    assert patched({"spec": {name: [{"a": 1}, {"b": 2}]}}, {"spec": {name: [{"c": 3}]}})[name] == [{"c": 3}]


def test_sets_of_plain_values_unite_and_give_up_values() -> None:
    target = {"metadata": {"finalizers": ["a", "b"]}}
    more = strategic_merge_patch(target, {"metadata": {"finalizers": ["b", "c"]}}, struct("core_v1", "Pod"))
    assert more["metadata"]["finalizers"] == ["a", "b", "c"]
    less = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic_merge_patch(target, less)["metadata"]["finalizers"] == ["b"]


def test_null_removes_a_field_and_directives_are_never_stored() -> None:
    got = strategic_merge_patch(
        {"data": {"a": "1"}, "x": {"z": 1}},
        {
            "data": {"a": None, "b": "2"},
            "x": {"$patch": "replace", "y": 1},
            "w": {"$patch": "replace", "y": 1},
        },
    )
    assert got == {"data": {"b": "2"}, "x": {"y": 1}}, "what is not there is not replaced"


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ([], 400),
        ({"spec": {"containers": [{"image": "x"}]}}, 500),
        ({"spec": {"$patch": "explode"}}, 500),
        ({"spec": {"$retainKeys": 1}}, 400),
    ],
)
def test_a_malformed_patch_is_refused(patch: Any, code: int) -> None:
    with pytest.raises(StatusError) as refused:
        strategic_merge_patch(pod({"name": "a"}), patch, struct("core_v1", "Pod"))
    assert refused.value.code == code
