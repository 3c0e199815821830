"""Trimming: what the config asks for is gone, the rest is as it was, and twice is once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltawire.common.errors import ConfigError
from deltawire.reflector.transform import trimmer

SECRET = {
    "kind": "Secret",
    "apiVersion": "v1",
    "metadata": {
        "name": "db",
        "uid": "u1",
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"password":"aHVudGVyMg=="}}',
            "team": "a",
        },
    },
    "data": {"password": "aHVudGVyMg==", "user": "ZGVsdGE="},
    "type": "Opaque",
}


def trimmed(obj, **options):
    return json.loads(trimmer(**options)(json.dumps(obj).encode()))


def test_nothing_asked_for_is_no_work():
    assert trimmer() is None
    assert trimmer(secrets="keep") is None


def test_dropped_paths_are_gone_and_the_rest_stays():
    pod = {"metadata": {"name": "a", "managedFields": [1]}, "spec": {"containers": [{"env": 1, "name": "c"}]}}
    assert trimmed(pod, drop=[".metadata.managedFields", "{.spec.containers[*].env}", ".status"]) == {
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "c"}]},
    }


def test_a_bad_path_is_refused_before_anything_runs():
    with pytest.raises(ConfigError):
        trimmer(drop=[".a..b"])


def test_metadata_only_keeps_the_type_and_the_metadata():
    assert trimmed(SECRET, metadata_only=True).keys() == {"kind", "apiVersion", "metadata"}


@pytest.mark.parametrize("mode", ["hash", "drop"])
def test_no_value_of_a_secret_leaves(mode):
    data = trimmer(secrets=mode)(json.dumps(SECRET).encode())
    assert b"aHVudGVyMg" not in data
    assert json.loads(data)["metadata"]["annotations"] == {"team": "a"}


def test_hashed_values_keep_their_keys_and_show_a_change():
    before = trimmed(SECRET, secrets="hash")["data"]
    after = trimmed({**SECRET, "data": {**SECRET["data"], "password": "b3RoZXI="}}, secrets="hash")["data"]
    assert before.keys() == SECRET["data"].keys()
    assert all(value.startswith("sha256:") and len(value) == 23 for value in before.values())
    assert before["password"] != after["password"]
    assert before["user"] == after["user"]


def test_two_secrets_with_one_password_do_not_show_it():
    other = {**SECRET, "metadata": {"name": "other", "uid": "u2"}}
    assert trimmed(SECRET, secrets="hash")["data"] != trimmed(other, secrets="hash")["data"]


def test_dropped_data_is_gone_and_the_type_stays():
    found = trimmed(SECRET, secrets="drop")
    assert "data" not in found
    assert found["type"] == "Opaque"


def test_values_that_are_no_map_are_not_let_through():
    assert "data" not in trimmed({**SECRET, "data": "aHVudGVyMg=="}, secrets="hash")


def test_an_object_that_is_none_is_refused():
    with pytest.raises(ValueError, match="not an object"):
        trimmer(metadata_only=True)(b"[1]")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5), st.lists, max_leaves=4
)
objects = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"name": st.text(max_size=5), "uid": st.text(max_size=5)})},
    optional={
        "data": st.dictionaries(st.text(max_size=3), st.text(max_size=8), max_size=3),
        "spec": st.dictionaries(st.sampled_from(["a", "b"]), values, max_size=2),
    },
)
options = st.fixed_dictionaries(
    {
        "drop": st.lists(st.sampled_from([".spec.a", ".spec.*", ".metadata.uid", ".data.x"])),
        "metadata_only": st.booleans(),
        "secrets": st.sampled_from(["keep", "hash", "drop"]),
    }
)


@given(objects, options)
def test_trimming_is_idempotent(obj, wanted):
    trim = trimmer(**wanted)
    if trim is not None:
        once = trim(json.dumps(obj).encode())
        assert trim(once) == once
