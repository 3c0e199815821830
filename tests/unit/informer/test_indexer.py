"""The store's writer: one owner, and no object that it cannot store."""

from collections.abc import Iterator
from pathlib import Path

import lmdb
import msgspec
import pytest

from deltawire.common.store.layout import text_key
from deltawire.common.store.reader import ReaderUnavailable
from deltawire.informer.store.index_functions import VALUES_MAX, IndexFunctions
from deltawire.informer.store.trouble import OwnerLost
from tests.support.shard_rig import ShardRig

PATHS = {
    "node": ".spec.nodeName",
    "app": "{.metadata.labels['app.kubernetes.io/name']}",
    "image": ".spec.containers[*].image",
    "container": ".spec.containers",
    "zone": ".spec.nodeName.zone",
}


def keys_by(rig: ShardRig, name: str, value: str) -> list[str]:
    return [row.key for row in rig.shard.indexer.query_index(name, value, "", 100)[0]]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ShardRig]:
    rig = ShardRig(tmp_path / "shard", indexes={"by-node": ".spec.node"})
    rig.list("100")
    yield rig
    rig.shard.close(clean=False)


def test_a_worker_that_was_replaced_writes_nothing_more(rig: ShardRig) -> None:
    rig.pop(("A", "a/k", "u1", "101"))
    # A successor has taken the environment over while this worker stood still.
    with rig.shard.indexer.batch() as batch:
        batch.state.owner = "successor"
    with pytest.raises(OwnerLost):
        rig.pop(("U", "a/k", "u1", "102"))
    with pytest.raises(OwnerLost):
        rig.join("late")
    assert rig.stored() == {"a/k": ("u1", "101")}


def test_an_index_follows_updates_and_deletions(rig: ShardRig) -> None:
    rig.pop(("A", "a/k", "u1", "101"), ("A", "a/l", "u2", "102"), spec={"node": "n1"})
    rig.pop(("U", "a/k", "u1", "103"), spec={"node": ["n2", "n3"]})
    assert keys_by(rig, "by-node", "n1") == ["a/l"]
    assert keys_by(rig, "by-node", "n2") == keys_by(rig, "by-node", "n3") == ["a/k"]
    rig.pop(("D", "a/k", "u1", "104"))
    assert keys_by(rig, "by-node", "n2") == []


def test_a_600_byte_value_is_indexed(rig: ShardRig) -> None:
    rig.pop(("A", "a/k", "u1", "101"), spec={"node": "x" * 600})
    assert keys_by(rig, "by-node", "x" * 600) == ["a/k"]
    assert keys_by(rig, "by-node", "x" * 601) == []
    rig.pop(("U", "a/k", "u1", "102"), spec={"node": ""})
    assert keys_by(rig, "by-node", "x" * 600) == []
    assert keys_by(rig, "by-node", "") == ["a/k"]


def test_an_odd_object_never_fails_its_batch(rig: ShardRig) -> None:
    rig.pop(("A", "a/map", "u1", "101"), spec={"node": {"a": 1}})
    rig.pop(("A", "a/list", "u2", "102"), spec=[1, 2])
    rig.pop_bytes("a/broken", "u3", "103", b'{"spec"')
    assert set(rig.stored()) == {"a/map", "a/list", "a/broken"}
    assert rig.shard.indexer.functions.errors == 2
    assert rig.shard.indexer.functions.last_error.startswith("a/broken: ")


def test_changed_indices_are_made_anew_from_what_is_stored(rig: ShardRig) -> None:
    rig.pop(("A", "a/k", "u1", "101"), spec={"node": "n1", "zone": "z1"})
    rig.reopen(indexes={"by-zone": ".spec.zone"})
    assert keys_by(rig, "by-zone", "z1") == ["a/k"]
    assert rig.shard.indexer.state.indexes == ["by-zone"]
    rig.pop(("U", "a/k", "u1", "102"), spec={"zone": "z2"})
    rig.reopen(indexes={"by-zone": ".spec.zone", "by-node": ".spec.node"})
    assert keys_by(rig, "by-zone", "z2") == ["a/k"]
    assert keys_by(rig, "by-zone", "z1") == keys_by(rig, "by-node", "n1") == []


def test_a_key_of_600_bytes_goes_through_a_whole_life(rig: ShardRig) -> None:
    key = "a/" + "k" * 600
    handler = rig.join()
    rig.pop(("A", key, "u1", "101"), spec={"node": "n1"})
    rig.pop(("U", key, "u1", "102"), spec={"node": "n1"})
    assert keys_by(rig, "by-node", "n1") == [key]
    assert [event[1] for event in handler.work()] == [key]
    rig.list("110", generation=2)
    assert [(event[1], event[2]) for event in handler.work()] == [(key, "D")]
    assert rig.stored() == {}


def test_all_index_functions_read_the_fast_shape_and_the_odd_object_alike() -> None:
    functions = IndexFunctions(PATHS)
    pod = {
        "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"image": "a"}, {"image": "b"}, {"image": "a"}]},
    }
    expected = {"node": ["n1"], "app": ["web"], "image": ["a", "b"]}
    assert functions.entries("k", msgspec.json.encode(pod)) == expected
    # `spec` in a shape that no path expects: the slow way, and no error.
    odd = {"metadata": {"labels": None}, "spec": "text"}
    assert functions.entries("k", msgspec.json.encode(odd)) == {}


@pytest.mark.parametrize(
    ("value", "texts"),
    [("x", ["x"]), (True, ["true"]), (3, ["3"]), (1.5, ["1.5"]), (None, []), (["b", "a", "b"], ["a", "b"])],
)
def test_scalars_and_lists_of_them_are_values(value: object, texts: list[str]) -> None:
    functions = IndexFunctions({"i": ".v"})
    assert functions.entries("k", msgspec.json.encode({"v": value})).get("i", []) == texts
    assert functions.errors == 0


def test_an_object_with_too_many_values_keeps_some_and_says_so() -> None:
    functions = IndexFunctions({"i": ".v"})
    many = msgspec.json.encode({"v": [str(i) for i in range(VALUES_MAX + 1)]})
    assert len(functions.entries("k", many)["i"]) == VALUES_MAX
    assert functions.errors == 1


def test_a_key_and_a_cut_key_never_collide() -> None:
    long = "a/" + "x" * 500
    assert text_key(long) != text_key(long[:480])


def test_a_worker_without_a_reader_slot_says_that_it_passes(
    rig: ShardRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        """An environment of which other processes hold all slots of readers."""

        def begin(self, **_: object) -> None:
            raise lmdb.ReadersFullError("begin")

        def reader_check(self) -> int:
            return 0

    monkeypatch.setattr(rig.shard.indexer, "_env", Full())
    with pytest.raises(ReaderUnavailable) as caught, rig.shard.indexer.view():
        pass
    assert caught.value.retryable
    monkeypatch.undo()
    assert rig.stored() == {}
