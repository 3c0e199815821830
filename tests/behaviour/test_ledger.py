"""P4 over power loss: from the ledger beside a lost cache come the deletions that no list shows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deltawire.common.store.layout import FINAL_STATE_UNKNOWN
from deltawire.informer.store import generation
from deltawire.informer.store.indexer import Indexer
from deltawire.informer.store.ledger import Ledger
from tests.support.machine import Machine, Told


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    machine.relist("100", ("keep", "u1", "10"), ("lose", "u2", "20"))
    yield machine
    machine.close()


def test_a_deletion_that_a_machine_crash_hid_reaches_every_group_without_content(machine: Machine) -> None:
    assert len(machine.told("g")) == len(machine.told("h")) == 2
    machine.second()
    machine.crash()
    resume, floor, _ = machine.shard.report()["*"]
    assert (resume, floor) == ("", "100"), "the list is made, at no older state than was seen"
    machine.relist("200", ("keep", "u1", "10"), generation=2)
    for group in ("g", "h"):
        added, gone = machine.events(group)
        assert (added[2], added[1], added[3]) == ("A", "a/keep", "u1")
        assert (gone[2], gone[1], gone[3]) == ("D", "a/lose", "u2")
        assert gone[8] & FINAL_STATE_UNKNOWN
        identity = {"namespace": "a", "name": "lose", "uid": "u2"}
        assert msgspec.json.decode(gone[9]) == {"metadata": identity}
    assert not machine.shard.indexer.has_lost


def test_nothing_is_deleted_before_the_list_has_ended(machine: Machine) -> None:
    machine.told()
    machine.second()
    machine.crash()
    assert machine.told() == []
    machine.kill()
    assert machine.told() == []


def test_a_name_that_was_created_again_over_the_crash_is_a_deletion_and_then_an_add(machine: Machine) -> None:
    machine.told()
    machine.second()
    machine.crash()
    machine.relist("200", ("keep", "u1", "10"), ("lose", "u3", "150"), generation=2)
    assert machine.told() == [
        ("A", "a/keep", "u1", "10"), ("D", "a/lose", "u2", ""), ("A", "a/lose", "u3", "150"),
    ]  # fmt: skip


def test_a_deletion_that_one_group_had_still_to_see_is_not_lost_with_the_cache(machine: Machine) -> None:
    machine.told("fast")
    machine.told("away")
    machine.pop(("D", "lose", "u2", "120"))
    machine.told("fast")
    machine.second()
    machine.crash()
    machine.relist("200", ("keep", "u1", "10"), generation=2)
    assert ("D", "a/lose", "u2", "") in machine.told("away")


def test_a_deletion_that_all_have_seen_does_not_come_again(machine: Machine) -> None:
    machine.told()
    machine.pop(("D", "lose", "u2", "120"))
    assert machine.told() == [("D", "a/lose", "u2", "120")]
    machine.second()
    machine.crash()
    machine.relist("200", ("keep", "u1", "10"), generation=2)
    assert machine.told() == [("A", "a/keep", "u1", "10")]


def test_what_a_killed_worker_had_not_written_down_is_found_in_the_cache(machine: Machine) -> None:
    machine.told()
    machine.second()
    machine.pop(("A", "late", "u3", "130"))
    machine.pop(("D", "lose", "u2", "140"))
    machine.told()
    machine.kill()
    machine.second()
    machine.crash()
    machine.relist("200", ("keep", "u1", "10"), generation=2)
    assert machine.told() == [("A", "a/keep", "u1", "10"), ("D", "a/late", "u3", "")]


def test_a_second_crash_before_the_first_list_forgets_nothing(machine: Machine) -> None:
    machine.told()
    machine.second()
    machine.crash()
    machine.second()
    machine.crash()
    machine.relist("200", ("keep", "u1", "10"), generation=2)
    assert ("D", "a/lose", "u2", "") in machine.told()


def test_a_deletion_that_the_first_watch_brings_settles_what_was_lost(machine: Machine) -> None:
    machine.told()
    machine.second()
    machine.crash()
    machine.pop(("D", "lose", "u2", "130"))
    assert machine.told() == [("D", "a/lose", "u2", "130")]
    machine.relist("200", ("keep", "u1", "10"), generation=2)
    assert machine.told() == [("A", "a/keep", "u1", "10")]


def test_a_full_disk_is_reported_and_made_up_for(machine: Machine) -> None:
    machine.told()
    machine.is_disk_full = True
    machine.second()
    keeper = machine.shard.keeper
    assert keeper is not None
    assert "No space left" in keeper.error
    machine.is_disk_full = False
    machine.second()
    assert keeper.error == ""
    machine.crash()
    machine.relist("200", ("keep", "u1", "10"), generation=2)
    assert ("D", "a/lose", "u2", "") in machine.told()


def test_updates_write_no_lives(tmp_path: Path, machine: Machine) -> None:
    machine.second()
    notes: list[Any] = []
    keeper = machine.shard.keeper
    assert keeper is not None
    keeper.note = notes.append  # type: ignore[method-assign]  # to see what is noted
    for version in range(110, 120):
        machine.pop(("U", "keep", "u1", str(version)))
    assert notes == []


def test_the_ledger_of_a_clean_end_knows_every_object(tmp_path: Path, machine: Machine) -> None:
    machine.informer.close(clean=True)
    (folder,) = tmp_path.glob("c1/pods/ledger-0")
    ledger = Ledger(folder)
    assert sorted(life.key for _, life in ledger.lives()) == ["a/keep", "a/lose"]
    ledger.close()


# ---- a volume that moves to another node

MISSED = [("D", "lose", "u2", "120"), ("A", "new", "u3", "130")]
TOLD: Told = [("D", "a/lose", "u2", "120"), ("A", "a/new", "u3", "130")]


def test_a_volume_that_moves_after_a_clean_end_is_no_lost_store(machine: Machine) -> None:
    machine.told()
    machine.move(clean=True)
    assert machine.informer.discarded == 0
    assert machine.shard.report()["*"].resume == "100", "nothing is listed"
    machine.pop(*MISSED)
    assert machine.told() == TOLD


def test_a_volume_that_moves_without_a_clean_end_is_a_crash_of_the_machine(machine: Machine) -> None:
    machine.told()
    machine.second()
    machine.move(clean=False)
    assert machine.informer.discarded == 1


@pytest.fixture
def synced(tmp_path: Path) -> Iterator[Machine]:
    """With `store.sync`."""
    machine = Machine(tmp_path, sync=True)
    machine.relist("100", ("keep", "u1", "10"), ("lose", "u2", "20"))
    yield machine
    machine.close()


def test_with_sync_another_boot_id_is_no_lost_store(synced: Machine) -> None:
    """Neither after a crash of the node nor after a move without a clean end: all that was committed is on the disk."""
    assert len(synced.told()) == 2
    for _ in range(2):
        synced.move(clean=False)
        assert synced.informer.discarded == 0
        assert synced.shard.report()["*"].resume == "100", "nothing is listed"
        assert synced.told() == []
    synced.pop(*MISSED)
    assert synced.told() == TOLD


def test_with_sync_every_commit_waits_for_the_disk(synced: Machine, machine_of: "Open") -> None:
    assert synced.shard.indexer._env.flags()["sync"]
    assert synced.shard.indexer._env.flags()["metasync"]
    assert not machine_of("other").shard.indexer._env.flags()["sync"]


def test_what_was_written_without_sync_counts_as_synced_once_it_is_on_the_disk(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.told()
    machine.sync = True
    order: list[str] = []
    sync, mark = Indexer.sync, generation.mark_synced
    monkeypatch.setattr(Indexer, "sync", lambda indexer: (order.append("disk"), sync(indexer)))
    monkeypatch.setattr(generation, "mark_synced", lambda folder: (order.append("mark"), mark(folder)))
    machine.kill()
    assert order == ["disk", "mark"]
    machine.move(clean=False)
    assert machine.informer.discarded == 0


def test_a_run_without_sync_is_not_believed_for_the_run_with_it_before(synced: Machine) -> None:
    synced.sync = False
    synced.kill()
    synced.move(clean=False)
    assert synced.informer.discarded == 1


Open = Callable[[str], Machine]


@pytest.fixture
def machine_of(tmp_path: Path) -> Iterator[Open]:
    made: list[Machine] = []

    def open_machine(name: str) -> Machine:
        made.append(Machine(tmp_path / name))
        return made[-1]

    yield open_machine
    for machine in made:
        machine.close()


def test_dead_letters_stay_with_the_cache_and_go_with_it(synced: Machine, machine_of: "Open") -> None:
    synced.events(gives_up="a/lose")
    [letter] = synced.dead_letters()
    assert letter[:2] == ("a/lose", "bad")
    synced.move(clean=False)
    assert synced.dead_letters() == [letter]
    other = machine_of("other")
    other.relist("100", ("keep", "u1", "10"), ("lose", "u2", "20"))
    other.events(gives_up="a/lose")
    other.second()
    other.crash()
    assert other.dead_letters() == []


def test_without_its_volume_it_is_a_new_installation(machine: Machine, machine_of: "Open") -> None:
    assert len(machine.told()) == 2
    anew = machine_of("anew")
    anew.relist("200", ("keep", "u1", "10"))
    assert [(*row, event[6]) for row, event in zip([("A", "a/keep")], anew.events(), strict=True)] == [
        ("A", "a/keep", 1)
    ]
