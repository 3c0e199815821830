"""Server-side apply: ownership, conflicts, force, and fields that no manager lists any more."""

from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.managed.fields import from_fields_v1, to_fields_v1
from deltawire.apiserver.managed.managers import APPLY, UPDATE_MANAGERS_MAX, Manager
from deltawire.common.errors import StatusError

Tree = dict[str, Any]


def by(name: str, *, applies: bool = True, subresource: str = "") -> Manager:
    return Manager(name, APPLY if applies else "Update", "v1", subresource)


def config(**data: str) -> Tree:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def apply(core: ApiCore, manager: str, obj: Tree, *, force: bool = False, to: str = "configmaps") -> Tree:
    return core.apply(to, obj, "a", "default", manager=by(manager), force=force).record.decode()


def deployment(**spec: Any) -> Tree:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}


def with_containers(*containers: Tree) -> Tree:
    labels = {"a": "b"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers)}}
    return deployment(selector={"matchLabels": labels}, template=template)


def images(obj: Tree) -> list[tuple[str, str]]:
    return [(c["name"], c["image"]) for c in obj["spec"]["template"]["spec"]["containers"]]


def managers(obj: Tree) -> list[tuple[str, str]]:
    return [(e["manager"], e["operation"]) for e in obj["metadata"].get("managedFields", ())]


def test_applying_what_is_not_there_creates_it(core: ApiCore) -> None:
    applied = core.apply("configmaps", config(x="1"), "a", "default", manager=by("m"))
    assert applied.is_new
    entry = applied.record.decode()["metadata"]["managedFields"][0]
    assert entry["fieldsV1"] == {"f:data": {"f:x": {}}}
    assert (entry["operation"], entry["fieldsType"], entry["apiVersion"]) == ("Apply", "FieldsV1", "v1")


def test_applying_the_same_again_writes_nothing(core: ApiCore) -> None:
    first = apply(core, "m", config(x="1"))
    assert apply(core, "m", config(x="1")) == first


def test_another_value_of_somebody_elses_field_is_a_conflict(core: ApiCore) -> None:
    apply(core, "m", config(x="1"))
    with pytest.raises(StatusError) as refused:
        apply(core, "n", config(x="2"))
    error = refused.value
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == 'Apply failed with 1 conflict: conflict with "m": .data.x'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "m"', "field": ".data.x"}
    assert error.details is not None
    assert error.details["causes"] == [cause]
    assert core.get("configmaps", "a", "default").decode()["data"] == {"x": "1"}


def test_the_same_value_is_shared(core: ApiCore) -> None:
    apply(core, "m", config(x="1"))
    shared = apply(core, "n", config(x="1"))
    assert managers(shared) == [("m", "Apply"), ("n", "Apply")]
    # One of two owners gives the field up: it stays.
    assert apply(core, "n", config(y="1"))["data"] == {"x": "1", "y": "1"}


def test_force_takes_the_field_over(core: ApiCore) -> None:
    apply(core, "m", config(x="1", y="1"))
    forced = apply(core, "n", config(x="2"), force=True)
    assert forced["data"] == {"x": "2", "y": "1"}
    owned = {e["manager"]: e["fieldsV1"] for e in forced["metadata"]["managedFields"]}
    assert owned == {"n": {"f:data": {"f:x": {}}}, "m": {"f:data": {"f:y": {}}}}


def test_a_field_no_longer_applied_is_removed(core: ApiCore) -> None:
    apply(core, "m", config(x="1", y="1"))
    assert apply(core, "m", config(x="1"))["data"] == {"x": "1"}
    assert "data" not in apply(core, "m", {k: v for k, v in config().items() if k != "data"})


def test_whoever_updates_a_field_owns_it_then(core: ApiCore) -> None:
    apply(core, "m", config(x="1", y="1"))
    changed = core.patch(
        "configmaps",
        lambda o: {**o, "data": {"x": "2", "y": "1"}},
        "a",
        "default",
        manager=by("ed", applies=False),
    ).decode()
    assert managers(changed) == [("m", "Apply"), ("ed", "Update")]
    with pytest.raises(StatusError) as refused:
        apply(core, "m", config(x="1", y="1"))
    assert 'conflict with "ed" using v1: .data.x' in refused.value.message


def test_items_of_keyed_lists_belong_to_different_managers(core: ApiCore) -> None:
    apply(core, "m", with_containers({"name": "c", "image": "i"}), to="deployments.apps")
    both = apply(core, "n", with_containers({"name": "d", "image": "j"}), to="deployments.apps")
    assert images(both) == [("c", "i"), ("d", "j")], "the live order stays"
    left = apply(core, "n", deployment(paused=True), to="deployments.apps")
    assert images(left) == [("c", "i")]
    assert "tty" not in left["spec"]["template"]["spec"]["containers"][0]


def test_a_field_of_an_item_that_others_hold_is_removed_alone(core: ApiCore) -> None:
    apply(core, "m", with_containers({"name": "c", "image": "i"}), to="deployments.apps")
    apply(core, "n", with_containers({"name": "c", "tty": True}), to="deployments.apps")
    left = apply(core, "n", deployment(paused=True), to="deployments.apps")
    assert images(left) == [("c", "i")]
    assert "tty" not in left["spec"]["template"]["spec"]["containers"][0]


def test_a_conflict_inside_an_item_is_told_by_its_key(core: ApiCore) -> None:
    apply(core, "m", with_containers({"name": "c", "image": "i"}), to="deployments.apps")
    with pytest.raises(StatusError) as refused:
        apply(core, "n", with_containers({"name": "c", "image": "j"}), to="deployments.apps")
    assert refused.value.message.endswith('.spec.template.spec.containers[name="c"].image')


def test_lists_without_keys_belong_to_one_manager_as_a_whole(core: ApiCore) -> None:
    one = {"name": "c", "image": "i", "args": ["1"]}
    apply(core, "m", with_containers(one), to="deployments.apps")
    with pytest.raises(StatusError):
        apply(core, "n", with_containers({**one, "args": ["1", "2"]}), to="deployments.apps")


def test_status_is_applied_through_its_subresource_only(core: ApiCore) -> None:
    obj = with_containers({"name": "c", "image": "i"}) | {"status": {"replicas": 1}}
    assert apply(core, "m", obj, to="deployments.apps")["status"] == {}
    manager = by("m", subresource="status")
    got = core.apply("deployments.apps", obj, "a", "default", manager=manager).record.decode()
    assert got["status"] == {"replicas": 1}
    assert [e.get("subresource") for e in got["metadata"]["managedFields"]] == [None, "status"]


@pytest.mark.parametrize(
    "obj",
    [
        {"metadata": {"name": "a"}},
        config() | {"metadata": {"name": "b"}},
        config() | {"metadata": {"name": "a", "managedFields": [{"manager": "m"}]}},
        config() | {"metadata": "a"},
    ],
)
def test_a_bad_configuration_is_refused(core: ApiCore, obj: Tree) -> None:
    with pytest.raises(StatusError) as refused:
        apply(core, "m", obj)
    assert refused.value.code == 400


def test_a_dry_apply_stores_nothing(core: ApiCore) -> None:
    core.apply("configmaps", config(x="1"), "a", "default", manager=by("m"), dry_run=True)
    assert core.counts().get("configmaps") is None


def test_old_updaters_are_joined_beyond_the_bound(core: ApiCore) -> None:
    apply(core, "m", config(x="0"))
    for n in range(UPDATE_MANAGERS_MAX + 3):
        core.patch(
            "configmaps",
            lambda o, n=n: {**o, "data": {**o["data"], f"k{n}": "1"}},
            "a",
            "default",
            manager=by(f"u{n}", applies=False),
        )
    names = [name for name, _ in managers(core.get("configmaps", "a", "default").decode())]
    assert names.count("ancient-changes") == 1
    assert len(names) == UPDATE_MANAGERS_MAX + 1


def test_sets_of_fields_survive_their_written_form() -> None:
    paths = {
        ("f:a",),
        ("f:a", "f:b"),
        ("f:l", 'k:{"name":"c"}'),
        ("f:l", 'k:{"name":"c"}', "f:image"),
        ("f:s", 'v:"x"'),
    }
    assert from_fields_v1(to_fields_v1(paths)) == paths


@pytest.mark.parametrize(
    ("to", "empty", "filled", "path"),
    [
        ("configmaps", {"data": {}}, {"data": {"a": "c"}}, "data"),
        ("configmaps", {"metadata": {"labels": {}}}, {"metadata": {"labels": {"l": "1"}}}, "metadata.labels"),
    ],
)
def test_what_was_applied_empty_and_then_filled_by_the_same_manager_is_stored(
    core: ApiCore, to: str, empty: Tree, filled: Tree, path: str
) -> None:
    base = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}

    def merged(part: Tree) -> Tree:
        return {**base, **part, "metadata": {**base["metadata"], **part.get("metadata", {})}}  # type: ignore[dict-item]

    apply(core, "m", merged(empty), to=to)
    stored: Any = apply(core, "m", merged(filled), to=to)
    wanted: Any = filled
    for step in path.split("."):
        stored, wanted = stored[step], wanted[step]
    assert stored == wanted


@pytest.mark.parametrize("empty", [{"resources": {}}, {"ports": []}, {"env": []}])
def test_parts_of_containers_applied_empty_and_then_filled_are_stored(core: ApiCore, empty: Tree) -> None:
    full = {
        "resources": {"limits": {"cpu": "1"}},
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "env": [{"name": "A", "value": "b"}],
    }
    name = next(iter(empty))
    container = {"name": "c", "image": "i"}
    apply(core, "m", with_containers({**container, **empty}), to="deployments.apps")
    stored = apply(core, "m", with_containers({**container, name: full[name]}), to="deployments.apps")
    assert stored["spec"]["template"]["spec"]["containers"][0][name] == full[name]
