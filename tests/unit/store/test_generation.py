"""Whose a shard's folder is: of which boot of the machine, and of which version of the program."""

from pathlib import Path

import msgspec
import pytest

from deltawire.common.errors import StateError
from deltawire.common.store import layout
from deltawire.informer.store import generation
from deltawire.informer.store.generation import NOTE, choose_folder, mark_clean, require_schema
from deltawire.informer.store.ledger import Ledger, LedgerState


def opened(store: Path, boot: str, *, shard: int = 0) -> tuple[Path, bool]:
    folder, discarded = choose_folder(store, "c1", "pods", shard, boot)
    (folder / "data.mdb").touch()
    return folder, discarded


def raise_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the program is of the next version."""
    monkeypatch.setattr(layout, "SCHEMA", layout.SCHEMA + 1)


def lower_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SCHEMA", layout.SCHEMA - 1)


def test_a_cache_of_a_newer_version_is_refused_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_schema(monkeypatch)
    folder, _ = opened(tmp_path, "boot-1")
    before = (folder / NOTE).read_bytes()
    lower_schema(monkeypatch)
    said = f"{folder} was written in schema {layout.SCHEMA + 1}, this program reads {layout.SCHEMA}"
    # Another boot, too: what a crash may have torn is the newer version's to make anew.
    for boot in ("boot-1", "boot-2"):
        with pytest.raises(StateError, match=said):
            opened(tmp_path, boot)
    assert (folder / NOTE).read_bytes() == before
    assert folder.parent.name == "00000001"


def test_before_anything_starts_the_shards_of_this_program_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path, "boot-1", shard=0)
    raise_schema(monkeypatch)
    opened(tmp_path, "boot-1", shard=1)
    require_schema(tmp_path, range(2))
    lower_schema(monkeypatch)
    require_schema(tmp_path, [0])
    with pytest.raises(StateError, match="shard-1 was written in schema"):
        require_schema(tmp_path, range(2))


def test_a_note_that_does_not_say_its_schema_is_of_the_first(tmp_path: Path) -> None:
    folder, _ = opened(tmp_path, "boot-1")
    (folder / NOTE).write_bytes(msgspec.json.encode({"boot_id": "boot-1", "clean": False}))
    assert opened(tmp_path, "boot-1") == (folder, False)


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger-0")
    ledger.commit(LedgerState(7, schema=layout.SCHEMA + 1), {})
    ledger.close()
    with pytest.raises(StateError, match=f"ledger-0 was written in schema {layout.SCHEMA + 1}, this"):
        Ledger(tmp_path / "ledger-0")


# ---- boots


def test_in_the_same_boot_a_killed_workers_cache_goes_on(tmp_path: Path) -> None:
    folder, _ = opened(tmp_path, "boot-1")
    assert opened(tmp_path, "boot-1") == (folder, False)


def test_a_volume_that_moved_after_a_clean_end_is_no_lost_store(tmp_path: Path) -> None:
    """A pod that was drained, on another node: another boot id."""
    folder, _ = opened(tmp_path, "node-1")
    mark_clean(folder)
    assert opened(tmp_path, "node-2") == (folder, False)


def test_after_it_moved_and_was_written_on_it_counts_as_in_use_again(tmp_path: Path) -> None:
    folder, _ = opened(tmp_path, "node-1")
    mark_clean(folder)
    opened(tmp_path, "node-2")
    anew, discarded = opened(tmp_path, "node-3")
    assert discarded
    assert anew.parent.name == "00000002"


def test_a_volume_that_moved_without_a_clean_end_is_made_anew(tmp_path: Path) -> None:
    opened(tmp_path, "node-1")
    folder, discarded = opened(tmp_path, "node-2")
    assert discarded
    assert folder.parent.name == "00000002"


def test_a_machine_without_a_boot_id_is_always_the_same(tmp_path: Path) -> None:
    folder, _ = opened(tmp_path, "")
    assert opened(tmp_path, "") == (folder, False)
    assert generation.boot_id()
