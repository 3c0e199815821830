"""A group's view begins with the objects that were alive when it was born, in the version that they had then (P9)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.common.store import layout
from tests.support.shard_rig import ShardRig, brief


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ShardRig]:
    """A shard with a group that takes every version and is stuck, so that all of them are kept."""
    rig = ShardRig(tmp_path / "shard")
    rig.list("100")
    rig.join("stuck", "r9", delivery="every").die()
    rig.pop(("A", "a/k", "u1", "101"), ("A", "a/tmp", "u2", "102"))
    rig.pop(("U", "a/k", "u1", "103"), ("U", "a/tmp", "u2", "104"))
    rig.pop(("D", "a/tmp", "u2", "105"))
    yield rig
    rig.shard.close(clean=False)


@pytest.mark.parametrize("delivery", ["every", "latest"])
def test_what_ended_before_a_group_was_born_is_not_told_nor_are_earlier_versions(
    rig: ShardRig, delivery: str
) -> None:
    assert brief(rig.join("new", delivery=delivery).work()) == [("A", "a/k", "103")]


@pytest.mark.parametrize(
    ("delivery", "told"),
    [
        ("every", [("A", "a/k", "103"), ("U", "a/k", "106"), ("U", "a/k", "107")]),
        ("latest", [("A", "a/k", "107")]),
    ],
)
def test_later_versions_follow_the_one_at_birth(
    rig: ShardRig, delivery: str, told: list[tuple[str, str, str]]
) -> None:
    new = rig.join("new", delivery=delivery)
    rig.pop(("U", "a/k", "u1", "106"))
    rig.pop(("U", "a/k", "u1", "107"))
    assert brief(new.work()) == told


@pytest.mark.parametrize(
    ("delivery", "told"),
    [("every", [("A", "a/k", "103"), ("D", "a/k", "106")]), ("latest", [("D", "a/k", "106")])],
)
def test_what_was_alive_at_birth_and_is_deleted_before_it_was_sent_is_told(
    rig: ShardRig, delivery: str, told: list[tuple[str, str, str]]
) -> None:
    new = rig.join("new", delivery=delivery)
    rig.pop(("D", "a/k", "u1", "106"))
    assert brief(new.work()) == told


def test_the_birth_outlives_the_worker(rig: ShardRig) -> None:
    rig.join("new", delivery="every").die()
    rig.pop(("U", "a/k", "u1", "106"))
    rig.reopen()
    assert brief(rig.join("new", "r1", delivery="every").work()) == [("A", "a/k", "103"), ("U", "a/k", "106")]


def test_a_group_that_was_removed_and_is_added_again_is_new(rig: ShardRig) -> None:
    first = rig.join("new", delivery="every")
    first.work()
    first.die()
    rig.pop(("U", "a/k", "u1", "106"), ("A", "a/tmp", "u3", "107"))
    rig.pop(("D", "a/tmp", "u3", "108"))
    assert rig.shard.forget("new")
    assert brief(rig.join("new", "r1", delivery="every").work()) == [("A", "a/k", "106")]


def test_a_group_that_changes_from_latest_to_every_is_told_no_version_from_before_the_change(
    rig: ShardRig,
) -> None:
    slow = rig.join("new", delivery="latest", window=1)
    (first,) = slow.take()
    rig.pop(("U", "a/k", "u1", "106"), ("A", "a/l", "u4", "107"))
    rig.pop(("U", "a/k", "u1", "108"), ("U", "a/l", "u4", "109"))
    slow.answer(first)
    rig.shard.flush()
    slow.die()
    again = rig.join("new", "r1", delivery="every")
    rig.pop(("U", "a/l", "u4", "110"))
    assert brief(again.work()) == [("U", "a/k", "108"), ("A", "a/l", "109"), ("U", "a/l", "110")]


def test_a_group_that_comes_back_after_it_was_forgotten_begins_anew_and_keeps_its_dead_letters(
    rig: ShardRig,
) -> None:
    rig.pop(("A", "a/l", "u5", "106"), ("A", "a/m", "u6", "107"))
    first = rig.join("new", delivery="every", attempts_max=9)
    by_key = {event[1]: event for event in first.take()}
    first.answer(by_key["a/k"], 1, after_s=5.0, error="boom")
    first.answer(by_key["a/l"], 2, error="no use")
    first.answer(by_key["a/m"])
    first.die()
    rig.shard.flush()
    rig.clock.advance(100.0)
    rig.shard.forget_absent(60.0)
    rig.pop(("U", "a/k", "u1", "108"), ("D", "a/m", "u6", "109"))
    rig.pop(("U", "a/k", "u1", "110"))
    back = rig.join("new", "r1", delivery="every", attempts_max=9)
    assert [dead.key for dead in rig.shard.groups["new"].lot.dead_letters()] == ["a/l"]
    events = back.work()
    assert brief(events) == [("A", "a/l", "106"), ("A", "a/k", "110")]
    rig.clock.advance(100.0)
    assert back.work() == []
    group = rig.shard.groups["new"]
    assert [dead.key for dead in group.lot.dead_letters()] == []  # a newer state of a/l was handled
    assert rig.shard.pending(group) == 0


def test_a_store_of_before_is_read_and_its_history_learns_what_replaced_it(rig: ShardRig) -> None:
    with rig.shard.indexer.batch() as batch:
        for raw, data in rig.shard.indexer.rows(layout.HISTORY):
            row, _ = layout.unpack_past(data)
            batch.put(layout.HISTORY, raw, layout.pack_row(row, with_key=True))
        for raw, _ in rig.shard.indexer.rows(layout.OWED):
            batch.delete(layout.OWED, raw)
            group, _, born = raw.partition(b"\0")
            batch.put(layout.OWED, group + b"\0" + layout.text_key("a/k"), born + b"a/k")
        batch.state.schema = 1
    rig.reopen()
    assert rig.shard.indexer.state.schema == layout.SCHEMA
    assert brief(rig.join("new", delivery="every").work()) == [("A", "a/k", "103")]
    told = brief(rig.join("stuck", "r10", delivery="every").work())
    assert [t for t in told if t[1] == "a/tmp"] == [
        ("A", "a/tmp", "102"), ("U", "a/tmp", "104"), ("D", "a/tmp", "105"),
    ]  # fmt: skip
