"""P3 and P4 over a lost host: a shard opened elsewhere, from its archive, knows what its groups were told."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from deltawire.common.store.layout import FINAL_STATE_UNKNOWN
from deltawire.common.wire.messages.group import EventRow as Event
from deltawire.informer.archive.port import ArchiveUnavailable, FencedError
from deltawire.informer.archive.record import Image, decode
from deltawire.informer.groups.events import GAP
from tests.support.archives import Killed
from tests.support.moving import DEAD, RETRY, Seen, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    for key in ("a/k0", "a/k1", "a/k2"):
        world.change(key, "put")
    world.start(world.hosts[0])
    world.join(Seen("latest", "latest"))
    world.join(Seen("every", "every"))
    yield world
    world.close()


def _lost_host(world: World) -> None:
    """The worker and its disk are gone for good; another host has the shard."""
    world.at.kill()
    world.start(world.hosts[1])


def _rest(world: World) -> list[tuple[str, str, str, str, int]]:
    """(group, kind, key, version, attempt) of all that comes."""
    world.pop()
    found = []
    while sent := world.deliver():
        found += sorted((name, event[2], event[1], event[4], event[6]) for name, event in sent)
        world.flush()
    return found


def test_what_was_acknowledged_does_not_come_again_on_another_host(world: World) -> None:
    assert len(_rest(world)) == 6
    _lost_host(world)
    assert _rest(world) == []
    assert world.shard is not None
    assert len(world.shard.indexer.all_keys()) == 3, "the list has brought the objects"


def test_what_was_sent_and_not_acknowledged_comes_again_as_another_attempt(world: World) -> None:
    world.pop()
    sent = world.deliver(lambda event: None)
    _lost_host(world)
    again = _rest(world)
    assert sorted(found[:4] for found in again) == sorted((n, e[2], e[1], e[4]) for n, e in sent)
    assert {found[4] for found in again} == {2}


def test_an_add_whose_acknowledgement_went_with_the_host_is_another_attempt_in_any_version(world: World) -> None:
    world.pop()
    assert len(world.deliver()) == 6
    world.at.kill()
    for key in list(world.state):
        world.change(key, "put")
    world.start(world.hosts[1])
    adds = [found for found in _rest(world) if found[1] == "A"]
    assert len(adds) > 0
    assert {attempt for _, _, _, _, attempt in adds} == {2}


def test_an_object_that_changed_while_the_shard_moved_is_an_update(world: World) -> None:
    _rest(world)
    world.at.kill()
    world.change("a/k1", "put")
    version = world.state["a/k1"][1]
    world.lose_queue()
    world.start(world.hosts[1])
    assert _rest(world) == [("every", "U", "a/k1", version, 1), ("latest", "U", "a/k1", version, 1)]


def test_a_deletion_while_the_shard_moved_is_told_without_content(world: World) -> None:
    _rest(world)
    world.at.kill()
    uid = world.state["a/k1"][0]
    world.change("a/k1", "delete")
    world.lose_queue()
    world.start(world.hosts[1])
    world.pop()
    found = world.deliver()
    assert {(name, event[2], event[3]) for name, event in found} == {
        ("latest", "D", uid),
        ("every", "D", uid),
    }
    for _, event in found:
        assert event[8] & FINAL_STATE_UNKNOWN
        assert msgspec.json.decode(event[9])["metadata"]["name"] == "k1"


def test_a_deletion_that_was_stored_and_not_told_loses_its_content_and_nothing_else(world: World) -> None:
    _rest(world)
    world.change("a/k1", "delete")
    world.pop()
    _lost_host(world)
    assert [found[:3] for found in _rest(world)] == [("every", "D", "a/k1"), ("latest", "D", "a/k1")]


def test_a_name_deleted_and_created_again_while_the_shard_moved_is_both(world: World) -> None:
    _rest(world)
    world.at.kill()
    world.change("a/k1", "again")
    world.lose_queue()
    world.start(world.hosts[1])
    assert [found[:3] for found in _rest(world) if found[0] == "latest"] == [
        ("latest", "D", "a/k1"),
        ("latest", "A", "a/k1"),
    ]


def test_a_change_that_waited_in_the_queue_is_an_update_behind_the_archive(world: World) -> None:
    _rest(world)
    world.change("a/k0", "put")
    world.change("a/k2", "delete")
    _lost_host(world)
    assert {found[:3] for found in _rest(world)} == {
        ("latest", "U", "a/k0"), ("latest", "D", "a/k2"), ("every", "U", "a/k0"), ("every", "D", "a/k2"),
    }  # fmt: skip


def test_versions_that_went_with_the_host_are_a_gap_for_a_group_that_wants_each(world: World) -> None:
    _rest(world)
    world.change("a/k0", "put")
    world.pop()
    world.change("a/k0", "put")
    world.pop()
    _lost_host(world)
    world.pop()
    flags = {name: (event[2], event[8] & GAP) for name, event in world.deliver()}
    assert flags == {"latest": ("U", 0), "every": ("U", GAP)}


@pytest.mark.parametrize("end", ["put", "delete"])
def test_a_gap_behind_a_change_that_is_tried_again_is_said_by_the_event_behind_the_gap(
    world: World, end: str
) -> None:
    _rest(world)
    world.change("a/k0", "put")
    world.pop()
    world.deliver(lambda event: RETRY)
    for kind in ("put", "put", end):
        world.change("a/k0", kind)
    world.pop()
    world.flush()
    _lost_host(world)
    told = []
    world.pop()
    for _ in range(5):
        world.clock.advance(60.0)
        told += [(event[2], bool(event[8] & GAP)) for name, event in world.deliver() if name == "every"]
    assert told == [("U", False), ("D" if end == "delete" else "U", True)]


def test_nothing_is_told_on_the_other_host_before_the_list_has_brought_all_content(world: World) -> None:
    world.pop()
    world.deliver(lambda event: None)
    _lost_host(world)
    for _ in ("its begin", "one object", "another one"):
        world.pop(1)
        assert world.deliver() == []
    assert len(_rest(world)) == 6, "no scan has passed what had no content"


def test_dead_letters_and_attempts_move(world: World) -> None:
    verdicts = {"a/k0": DEAD, "a/k1": RETRY}
    world.pop()
    world.deliver(lambda event: verdicts.get(event[1], 0))
    world.clock.advance(60.0)
    world.deliver(lambda event: RETRY)
    world.flush()
    _lost_host(world)
    world.pop()
    assert world.shard is not None
    for group in world.shard.groups.values():
        assert [(dead.key, dead.error) for dead in group.lot.dead_letters()] == [("a/k0", "no")]
    world.clock.advance(60.0)
    retried = {(name, event[1], event[6]) for name, event in world.deliver()}
    assert retried == {("latest", "a/k1", 3), ("every", "a/k1", 3)}


def test_nothing_is_sent_and_nothing_leaves_the_queue_before_it_is_archived(world: World) -> None:
    _rest(world)
    world.change("a/k0", "put")
    world.log.is_away = True
    with pytest.raises(ArchiveUnavailable):
        world.pop()
    assert world.deliver() == []
    assert world.queue, "the broker has no acknowledgement"
    world.log.is_away = False
    world.pop()
    assert {found[:3] for found in _rest(world)} == {("latest", "U", "a/k0"), ("every", "U", "a/k0")}


def test_what_was_committed_and_not_archived_goes_on_on_the_same_disk(world: World) -> None:
    _rest(world)
    world.change("a/k0", "put")

    def die(is_kept: bool) -> None:
        raise Killed

    world.log.trouble = die
    with pytest.raises(Killed):
        world.pop()
    world.log.trouble = lambda is_kept: None
    world.start(world.hosts[0])
    assert world.shard is not None
    assert not world.shard.is_restoring, "the disk has it all"
    assert {found[:3] for found in _rest(world)} == {("latest", "U", "a/k0"), ("every", "U", "a/k0")}


def test_a_worker_that_was_replaced_archives_nothing_more(world: World) -> None:
    _rest(world)
    stopped = world.at.informer
    world.at.informer = None
    assert stopped is not None
    old = stopped.shards[0]
    world.start(world.hosts[1])
    _rest(world)
    before = list(world.log.entries)
    old.groups["latest"].record.touch()
    with pytest.raises(FencedError):
        old.flush()
    assert world.log.entries == before
    stopped.close(clean=False)


def test_a_worker_whose_write_had_no_answer_finds_that_it_was_replaced(world: World) -> None:
    _rest(world)
    stopped = world.at.informer
    world.at.informer = None
    assert stopped is not None
    old = stopped.shards[0]
    world.log.is_away = True
    old.groups["latest"].record.touch()
    with pytest.raises(ArchiveUnavailable):
        old.flush()
    world.log.is_away = False
    world.start(world.hosts[1])
    before = list(world.log.entries)
    with pytest.raises(FencedError):
        old.probe()
    assert world.log.entries == before
    stopped.close(clean=False)


def test_a_write_that_had_no_answer_and_was_kept_is_not_taken_for_another_worker(world: World) -> None:
    _rest(world)
    world.change("a/k0", "put")

    def no_answer(is_kept: bool) -> None:
        if is_kept:
            world.log.trouble = lambda is_kept: None
            raise ArchiveUnavailable("no answer")

    world.log.trouble = no_answer
    with pytest.raises(ArchiveUnavailable):
        world.pop()
    world.pop()
    assert len(_rest(world)) == 2


def test_a_shard_that_comes_back_does_not_believe_its_old_disk(world: World) -> None:
    _rest(world)
    _lost_host(world)
    world.change("a/k0", "delete")
    world.change("a/k1", "put")
    _rest(world)
    world.at.kill()
    world.start(world.hosts[0])
    assert _rest(world) == []
    assert world.shard is not None
    assert sorted(world.shard.indexer.all_keys()) == ["a/k1", "a/k2"]


def test_births_and_fences_never_go_back(world: World) -> None:
    _rest(world)
    world.join(Seen("late", "latest"))
    assert world.shard is not None
    births = {name: group.record.state.birth for name, group in world.shard.groups.items()}
    epochs = {name: group.record.state.epoch for name, group in world.shard.groups.items()}
    _lost_host(world)
    for name, group in world.shard.groups.items():
        assert group.record.state.birth == births[name]
        assert group.record.state.epoch > epochs[name]


def test_the_log_is_copied_and_cut_and_says_the_same(world: World) -> None:
    _rest(world)
    before = _image(world)
    assert world.shard is not None
    assert world.shard.archive is not None
    world.shard.archive.write_copy()
    assert len(world.log.entries) == 1
    after = _image(world)
    assert (after.tables, after.place, after.position) == (before.tables, before.place, before.position)
    _lost_host(world)
    assert _rest(world) == []


def test_a_call_that_outlives_its_host_is_known_on_the_next_one(world: World) -> None:
    world.pop()
    sent: list[tuple[str, Event]] = world.deliver(lambda event: None)
    world.at.kill()
    held = {name: [(event[1], event[0], event[7])] for name, event in sent}
    world.start(world.hosts[1])
    assert world.shard is not None
    for name, calls in held.items():
        group = world.shard.groups[name]
        world.leave(name)
        world.join(world.groups[name], held=calls)
        assert list(group.in_flight) == [calls[0][0]]


def _image(world: World) -> Image:
    return Image().add_all(decode(data) for _, data in world.log.entries)
