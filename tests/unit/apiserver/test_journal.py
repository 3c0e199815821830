"""The data file: what a restart brings back, torn and foreign files, locks."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.core import restore
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.journal import FileJournal
from deltawire.apiserver.core.options import WatchOptions
from deltawire.common.errors import StateError, StatusError

ConfigMap = Callable[..., dict[str, Any]]
ALL = 1 << 30
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


Start = Callable[[Path], tuple[ApiCore, FileJournal]]


@pytest.fixture
def started() -> Iterator[Start]:
    """``started(path)``: a core on that data file, and its journal; all are closed with the test."""
    journals = []

    def start(path: Path) -> tuple[ApiCore, FileJournal]:
        core, journal = ApiCore(), FileJournal(path)
        journals.append(journal)
        core.restore(journal)
        core.bootstrap()
        return core, journal

    yield start
    for journal in journals:
        journal.close()


def everything(core: ApiCore) -> dict[str, dict[str, bytes]]:
    return {name: {k: r.body for k, r in table.records.items()} for name, table in core.store.tables()}


def write_some(core: ApiCore, config_map: ConfigMap) -> None:
    spec = {
        "group": "example.net",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": True, "storage": True}],
    }
    core.create(DEFINITIONS, {"metadata": {"name": "widgets.example.net"}, "spec": spec})
    body = {"apiVersion": "example.net/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"a": 1}}
    core.create("widgets.example.net", body, "default")
    core.create("configmaps", config_map("a", x="1"), "default")
    core.update("configmaps", config_map("a", x='"\n'), "a", "default")
    core.create("configmaps", config_map("b"), "default")
    core.delete("configmaps", "b", "default")


def test_a_restart_brings_back_objects_versions_and_identity(
    started: Start, tmp_path: Path, config_map: ConfigMap
) -> None:
    core, journal = started(tmp_path / "data")
    write_some(core, config_map)
    journal.close()
    again, _ = started(tmp_path / "data")
    assert everything(again) == everything(core)
    assert (again.store.version, again.cluster_uid) == (core.store.version, core.cluster_uid)
    assert again.create("configmaps", config_map("c"), "default").version == core.store.version + 1


def test_a_watch_resumes_over_a_restart(started: Start, tmp_path: Path, config_map: ConfigMap) -> None:
    core, journal = started(tmp_path / "data")
    version = core.store.version
    write_some(core, config_map)
    journal.close()
    again, _ = started(tmp_path / "data")
    cursor = again.watch("configmaps", options=WatchOptions(version=str(version)))
    assert [change.type for change in cursor.take(ALL)] == ["ADDED", "MODIFIED", "ADDED", "DELETED"]


def test_a_removed_definition_stays_removed(started: Start, tmp_path: Path, config_map: ConfigMap) -> None:
    core, journal = started(tmp_path / "data")
    write_some(core, config_map)
    core.delete(DEFINITIONS, "widgets.example.net")
    journal.close()
    again, _ = started(tmp_path / "data")
    assert again.catalogue.in_group("example.net") == []


def test_a_line_cut_short_by_a_kill_is_dropped(started: Start, tmp_path: Path, config_map: ConfigMap) -> None:
    path = tmp_path / "data"
    core, journal = started(path)
    write_some(core, config_map)
    whole = everything(core)
    core.create("configmaps", config_map("torn"), "default")
    journal.close()
    path.write_bytes(path.read_bytes()[:-20])
    again, journal = started(path)
    assert everything(again) == whole
    again.create("configmaps", config_map("next"), "default")
    journal.close()
    third, _ = started(path)
    assert everything(third) == everything(again)


def test_a_server_that_runs_for_long_keeps_its_file_short(
    started: Start, tmp_path: Path, config_map: ConfigMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "COMMITS_KEPT_MAX", 20)
    path = tmp_path / "data"
    core, journal = started(path)
    write_some(core, config_map)
    sizes = []
    for number in range(200):
        core.update("configmaps", config_map("a", x=str(number)), "a", "default")
        sizes.append(path.stat().st_size)
    assert max(sizes) < 5 * min(sizes)
    journal.close()
    again, _ = started(path)
    assert everything(again) == everything(core)
    assert again.store.version == core.store.version


def test_much_history_becomes_a_snapshot(
    started: Start, tmp_path: Path, config_map: ConfigMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data"
    core, journal = started(path)
    write_some(core, config_map)
    for number in range(50):
        core.update("configmaps", config_map("a", x=str(number)), "a", "default")
    journal.close()
    monkeypatch.setattr(restore, "COMMITS_KEPT_MAX", 20)
    large = path.stat().st_size
    _, journal = started(path)
    assert path.stat().st_size < large / 2
    journal.close()
    again, journal = started(path)
    assert everything(again) == everything(core)
    with pytest.raises(StatusError) as caught:
        again.watch("configmaps", options=WatchOptions(version=str(core.store.version - 1)))
    assert caught.value.is_expired
    again.create("configmaps", config_map("later"), "default")
    journal.close()
    third, _ = started(path)
    assert everything(third) == everything(again)


def test_a_file_belongs_to_one_server_at_a_time(started: Start, tmp_path: Path) -> None:
    _, journal = started(tmp_path / "data")
    with pytest.raises(StateError, match="in use"):
        FileJournal(tmp_path / "data")
    journal.close()
    FileJournal(tmp_path / "data").close()


@pytest.mark.parametrize("content", [b"hello\n", b'{"format":"other/1","floor":0}\n', b"\x00\x01\n"])
def test_a_foreign_file_is_refused_and_left_alone(started: Start, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data"
    path.write_bytes(content)
    with pytest.raises(StateError, match="not a data file"):
        started(path)
    assert path.read_bytes() == content


def test_damage_in_the_middle_is_named_by_its_line(started: Start, tmp_path: Path) -> None:
    path = tmp_path / "data"
    _, journal = started(path)
    journal.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"}{\n", *lines[2:]]))
    with pytest.raises(StateError, match="line 3 is damaged"):
        started(path)


def test_a_folder_cannot_be_a_data_file(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot open"):
        FileJournal(tmp_path)


class FullDisk:
    """A journal on a disk that takes nothing more."""

    def append(self, storage: str, event: object) -> None:
        raise StatusError(500, "InternalError", f"no space: {errno.ENOSPC}")


def test_what_cannot_be_kept_is_not_written(core: ApiCore, config_map: ConfigMap) -> None:
    core.store.keep_in(FullDisk())
    before, version = everything(core), core.store.version
    with pytest.raises(StatusError):
        core.create("configmaps", config_map("a"), "default")
    assert (everything(core), core.store.version) == (before, version)
