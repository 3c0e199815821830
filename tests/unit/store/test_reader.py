"""Readers: what they find, and that they hold nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.errors import StateError
from deltawire.common.store import layout, meta
from deltawire.common.store.pages import PAGE_OBJECTS_MAX
from deltawire.common.store.reader import OtherSchema, ShardReader
from tests.support.shard_rig import ShardRig

LONG_NAME = "n" * 600
NODE = "x" * 600


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    rig = ShardRig(tmp_path / "shard", indexes={"by-node": ".spec.node"})
    rig.begin()
    rig.pop(*(("R", f"a/k{i:04}", f"u{i}", str(i + 1)) for i in range(300)), spec={"node": "n1"})
    rig.pop(("R", f"b/{LONG_NAME}", "ul", "400"), ("R", f"b/{LONG_NAME}x", "um", "401"), spec={"node": NODE})
    rig.pop(("R", "c/none", "uc", "402"))
    rig.end("500")
    rig.shard.close(clean=False)
    yield rig.folder


@pytest.fixture
def reader(folder: Path) -> Iterator[ShardReader]:
    reader = ShardReader(folder, FakeClock())
    yield reader
    reader.close()


def keys(rows: list) -> list[str]:
    return [row.key for row in rows]


def test_get_finds_the_object_of_a_key(reader: ShardReader) -> None:
    row = reader.get("a/k0007")
    assert row is not None
    assert (row.key, row.uid, row.version) == ("a/k0007", "u7", "8")
    assert reader.get("a/k9999") is None


def test_long_names_are_found_and_told_apart(reader: ShardReader) -> None:
    first, second = reader.get(f"b/{LONG_NAME}"), reader.get(f"b/{LONG_NAME}x")
    assert first is not None
    assert second is not None
    assert (first.uid, second.uid) == ("ul", "um")
    assert first.key == f"b/{LONG_NAME}"


def test_a_long_list_comes_in_pages(reader: ShardReader) -> None:
    found, after, pages = [], "", 0
    while pages == 0 or after:
        rows, after = reader.page("a/", after)
        assert len(rows) <= PAGE_OBJECTS_MAX
        found += keys(rows)
        pages += 1
    assert found == [f"a/k{i:04}" for i in range(300)]
    assert pages == 2


def test_a_page_takes_5_ms_at_most(folder: Path) -> None:
    class Slow(FakeClock):
        def now_s(self) -> float:
            self.advance(0.003)
            return super().now_s()

    reader = ShardReader(folder, Slow())
    rows, after = reader.page()
    assert 0 < len(rows) < 60
    assert after == rows[-1].key
    reader.close()


def test_a_prefix_is_a_namespace(reader: ShardReader) -> None:
    rows, _ = reader.page("b/")
    assert len(rows) == 2
    assert keys(reader.index_page("namespace", "c")[0]) == ["c/none"]
    assert reader.index_values("namespace") == ["a", "b", "c"]


def test_an_index_is_paged_and_long_values_are_compared_in_full(reader: ShardReader) -> None:
    rows, after = reader.index_page("by-node", "n1", limit=200)
    more, end = reader.index_page("by-node", "n1", after, limit=200)
    assert keys(rows + more) == [f"a/k{i:04}" for i in range(300)]
    assert end == ""
    assert len(reader.index_page("by-node", NODE)[0]) == 2
    assert reader.index_page("by-node", NODE + "y")[0] == []
    assert reader.index_values("by-node") == ["n1", NODE]


def test_an_unknown_index_is_a_clear_error(reader: ShardReader) -> None:
    with pytest.raises(StateError, match=r"no index 'by-colour' \(indexes: by-node\)"):
        reader.index_page("by-colour", "red")


def test_freshness_is_told_per_stream(reader: ShardReader) -> None:
    fresh = reader.meta()
    assert fresh.streams["*"].resume == "500"
    assert fresh.streams["*"].synced
    assert fresh.committed_at > 0
    assert fresh.indexes == ["by-node"]
    assert reader.count() == 303


def test_two_readers_of_a_process_share_the_environment(folder: Path) -> None:
    one, two = ShardReader(folder), ShardReader(folder)
    one.close()
    assert two.get("a/k0001") is not None
    two.close()
    three = ShardReader(folder)
    assert three.get("a/k0001") is not None
    three.close()


def test_a_reader_works_on_both_sides_of_a_fork(reader: ShardReader) -> None:
    assert reader.get("a/k0001") is not None
    child = os.fork()
    if child == 0:
        try:
            found = reader.get("a/k0002")
            os._exit(0 if found is not None and found.uid == "u2" else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert reader.get("a/k0003") is not None


def test_a_folder_without_a_cache_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="holds no cache"):
        ShardReader(tmp_path)


def written_in(folder: Path, schema: int) -> None:
    """The environment as if a program of this schema had taken it over."""
    with lmdb.open(str(folder), map_size=layout.MAP_BYTES, max_dbs=layout.DBS_MAX) as env:
        db = env.open_db(layout.META, create=False)
        with env.begin(write=True) as txn:
            state = meta.decode_state(txn.get(meta.STATE_KEY, db=db))
            state.schema = schema
            txn.put(meta.STATE_KEY, meta.encode(state), db=db)


@pytest.mark.parametrize("schema", [layout.SCHEMA + 1, layout.SCHEMA - 2 or 99])
def test_a_schema_that_is_not_read_here_is_refused(folder: Path, schema: int) -> None:
    written_in(folder, schema)
    with pytest.raises(OtherSchema, match=f"written in schema {schema}, this program reads {layout.SCHEMA}"):
        ShardReader(folder)


def test_the_schema_before_is_read(folder: Path) -> None:
    written_in(folder, layout.SCHEMA - 1)
    reader = ShardReader(folder)
    assert reader.get("a/k0001") is not None
    reader.close()


def test_a_reader_that_is_opened_again_sees_that_the_schema_was_raised(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ShardReader(folder)
    monkeypatch.setattr(layout, "SCHEMA", layout.SCHEMA - 1)
    with pytest.raises(OtherSchema):
        ShardReader(folder)
    first.close()
