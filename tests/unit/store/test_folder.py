"""Whose a state folder is; every refusal says what to do."""

from pathlib import Path

import msgspec
import pytest

from deltawire.common.errors import StateError
from deltawire.common.store import folder
from deltawire.informer.store.identities import remember_name


def test_a_new_folder_becomes_ours_and_stays(tmp_path: Path) -> None:
    folder.prepare(tmp_path / "state", 4)
    folder.prepare(tmp_path / "state", 4)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_folder_with_other_things_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("x")
    with pytest.raises(StateError, match=r"not a state folder.*letters.txt.*store.dir"):
        folder.prepare(tmp_path, 4)


def test_another_number_of_shards_is_refused_with_both_numbers(tmp_path: Path) -> None:
    folder.prepare(tmp_path / "s", 4)
    with pytest.raises(StateError, match="made with 4 shards, the config says 8"):
        folder.prepare(tmp_path / "s", 8)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / folder.MARKER).write_bytes(msgspec.json.encode({"schema": 99, "shards": 4}))
    with pytest.raises(StateError, match="schema 99"):
        folder.prepare(tmp_path, 4)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"schema": "x"}'])
def test_a_marker_that_cannot_be_read_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / folder.MARKER).write_bytes(content)
    with pytest.raises(StateError, match="cannot be read"):
        folder.prepare(tmp_path, 4)


def test_a_file_in_the_folders_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("x")
    with pytest.raises(StateError, match="cannot be used"):
        folder.prepare(tmp_path / "s", 4)


def test_a_held_folder_is_in_use_until_it_is_let_go(tmp_path: Path) -> None:
    held = folder.hold(tmp_path)
    with pytest.raises(StateError, match=r"in use.*process \d+"):
        folder.hold(tmp_path)
    held.close()
    folder.hold(tmp_path).close()


def test_the_newest_generation_of_each_shard_is_found(tmp_path: Path) -> None:
    for generation, shard in ((1, 0), (2, 0), (1, 1), (3, 10)):
        path = folder.shard_folder(tmp_path, "id", "pods", generation, shard)
        path.mkdir(parents=True)
        if generation != 3:
            (path / "data.mdb").touch()
    assert [p.relative_to(tmp_path / "id/pods") for p in folder.find_shards(tmp_path, "id", "pods")] == [
        Path("00000002/shard-0"),
        Path("00000001/shard-1"),
    ]
    assert folder.find_shards(tmp_path, "id", "nodes") == []


@pytest.mark.parametrize("hostile", ["../../etc", "/etc", "", ".", "a\0b", "x" * 300])
def test_what_an_api_server_says_never_leads_out_of_the_folder(tmp_path: Path, hostile: str) -> None:
    path = folder.shard_folder(tmp_path, hostile, hostile, 1, 0)
    assert path.resolve().is_relative_to(tmp_path.resolve())
    assert len(path.relative_to(tmp_path).parts) == 4


def test_the_last_id_of_a_cluster_is_remembered_by_name(tmp_path: Path) -> None:
    assert folder.last_cluster_id(tmp_path, "dev") == ""
    remember_name(tmp_path, "dev", "one")
    remember_name(tmp_path, "prod", "two")
    remember_name(tmp_path, "dev", "three")
    assert folder.last_cluster_id(tmp_path, "dev") == "three"
    assert folder.last_cluster_id(tmp_path, "prod") == "two"
