"""An event of `every` says `gap` if, and only if, versions before it were lost after the group's birth and after what
it last acknowledged; each list that closes such a hole has one notice (P9)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.common.wire.messages.group import EventRow as Event
from deltawire.informer.groups.events import COALESCED, GAP
from deltawire.informer.groups.gap_notices import NOTICES_MAX, Gap, GapNotices
from deltawire.informer.store.indexer import Indexer
from deltawire.informer.store.ledger import Ledger, LedgerState
from deltawire.informer.store.recovery import recover
from tests.support.shard_rig import Handler, ShardRig

RETRY = 1


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ShardRig]:
    rig = ShardRig(tmp_path / "shard")
    rig.list("100", ("a/same", "u1", "50"), ("a/new-version", "u2", "51"), ("a/ended", "u3", "52"),
             ("a/replaced", "u4", "53"))  # fmt: skip
    yield rig
    rig.shard.close(clean=False)


def relist(rig: ShardRig, generation: int = 2) -> None:
    """Behind a hole: one object is as it was, one has changed, one has ended, one was replaced, one is new."""
    rig.list("200", ("a/same", "u1", "50"), ("a/new-version", "u2", "150"), ("a/replaced", "u5", "151"),
             ("a/added", "u6", "152"), generation=generation)  # fmt: skip


def told(events: list[Event]) -> dict[tuple[str, str], bool]:
    return {(event[2], event[1]): bool(event[8] & GAP) for event in events}


ALL_AFTER_RELIST = {
    ("U", "a/new-version"): True,
    ("D", "a/ended"): True,
    ("D", "a/replaced"): True,
    ("A", "a/replaced"): True,
    ("A", "a/added"): True,
}


def test_what_a_relist_finds_says_gap_and_the_same_version_has_missed_nothing(rig: ShardRig) -> None:
    handler = rig.join(delivery="every")
    assert not any(told(handler.work()).values())
    relist(rig)
    assert told(handler.work()) == ALL_AFTER_RELIST
    assert rig.shard.groups["g"].counters.gaps == 5


def test_latest_never_says_gap(rig: ShardRig) -> None:
    handler = rig.join()
    handler.work()
    relist(rig)
    assert told(handler.work()) == dict.fromkeys(ALL_AFTER_RELIST, False)
    assert rig.shard.groups["g"].gaps.waiting == []


def test_a_kill_between_the_relist_and_the_delivery_keeps_the_gap(rig: ShardRig) -> None:
    rig.join(delivery="every").work()
    relist(rig)
    rig.dead.add("r0")
    rig.reopen()
    assert told(rig.join(name="r1", delivery="every").work()) == ALL_AFTER_RELIST


def test_once_it_is_acknowledged_the_next_version_says_nothing(rig: ShardRig) -> None:
    handler = rig.join(delivery="every")
    handler.work()
    relist(rig)
    handler.work()
    rig.pop(("U", "a/new-version", "u2", "201"), ("D", "a/added", "u6", "202"))
    assert told(handler.work()) == {("U", "a/new-version"): False, ("D", "a/added"): False}


def test_until_it_is_acknowledged_each_delivery_says_so(rig: ShardRig) -> None:
    handler = rig.join(delivery="every")
    handler.work()
    relist(rig)
    events = handler.take()
    for event in events:
        handler.answer(event, RETRY, error="boom")
    assert told(handler.work()) == ALL_AFTER_RELIST
    assert rig.shard.groups["g"].counters.gaps == 5


def test_what_was_lost_before_the_group_was_born_is_no_gap_of_its(rig: ShardRig) -> None:
    relist(rig)
    handler = rig.join(delivery="every")
    assert not any(told(handler.work()).values())
    assert rig.shard.groups["g"].gaps.waiting == []


def test_a_first_list_is_no_gap_though_the_group_was_there_before(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "new")
    handler = rig.join(delivery="every")
    rig.list("100", ("a/k", "u1", "50"))
    assert told(handler.work()) == {("A", "a/k"): False}
    assert rig.shard.groups["g"].gaps.waiting == []
    rig.shard.close(clean=False)


def test_a_first_list_that_was_cut_loses_the_history_of_what_it_had_brought(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "new")
    handler = rig.join(delivery="every")
    rig.begin(1)
    rig.pop(("R", "a/k", "u1", "50"))
    handler.work()
    rig.list("100", ("a/k", "u1", "90"), ("a/l", "u2", "91"), generation=2)
    assert told(handler.work()) == {("U", "a/k"): True, ("A", "a/l"): False}
    rig.shard.close(clean=False)


def test_what_a_watch_brings_before_the_open_list_has_named_the_key_says_gap_and_afterwards_not(
    rig: ShardRig,
) -> None:
    handler = rig.join(delivery="every")
    handler.work()
    rig.begin(2)
    rig.pop(("D", "a/ended", "u3", "140"), ("R", "a/same", "u1", "50"), ("R", "a/new-version", "u2", "150"))
    rig.pop(("U", "a/same", "u1", "160"), ("U", "a/new-version", "u2", "161"))
    rig.pop(("R", "a/replaced", "u4", "53"))
    rig.end("200", 2)
    found = [(event[2], event[1], event[4], bool(event[8] & GAP)) for event in handler.work()]
    assert sorted(found) == [
        ("D", "a/ended", "140", True),
        ("U", "a/new-version", "150", True),
        ("U", "a/new-version", "161", False),
        ("U", "a/same", "160", False),
    ]


def told_in_order(handler: Handler, key: str) -> list[tuple[str, str, bool]]:
    """(kind, version, whether it says gap) of each event of a key."""
    return [(e[2], e[4], bool(e[8] & GAP)) for e in handler.work() if e[1] == key]


def test_a_change_in_the_same_batch_as_the_first_lists_item_is_no_gap(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "new")
    handler = rig.join(delivery="every")
    rig.begin(1)
    rig.pop(
        ("R", "a/k", "u1", "50"), ("U", "a/k", "u1", "60"), ("D", "a/k", "u1", "61"), ("R", "a/k", "u2", "62")
    )
    rig.end("70", 1)
    found = told_in_order(handler, "a/k")
    assert found == [("A", "50", False), ("U", "60", False), ("D", "61", False), ("A", "62", False)]
    rig.shard.close(clean=False)


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_behind_a_hole_only_the_first_event_of_a_key_says_gap(rig: ShardRig, in_one_batch: bool) -> None:
    handler = rig.join(delivery="every")
    handler.work()
    deltas = [
        ("R", "a/new-version", "u2", "150"), ("U", "a/new-version", "u2", "155"), ("D", "a/new-version", "u2", "156"),
        ("R", "a/new-version", "u9", "157"), ("U", "a/new-version", "u9", "158"),
    ]  # fmt: skip
    rig.begin(2)
    for batch in [deltas] if in_one_batch else [[delta] for delta in deltas]:
        rig.pop(*batch)
    rig.end("200", 2)
    found = told_in_order(handler, "a/new-version")
    assert [(kind, version) for kind, version, _ in found] == [
        ("U", "150"), ("U", "155"), ("D", "156"), ("A", "157"), ("U", "158")
    ]  # fmt: skip
    assert [says_gap for _, _, says_gap in found] == [True, False, False, False, False]


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_life_that_begins_after_a_deletion_that_said_gap_says_none(
    rig: ShardRig, in_one_batch: bool
) -> None:
    handler = rig.join(delivery="every")
    handler.work()
    deltas = [("D", "a/ended", "u3", "140"), ("A", "a/ended", "u9", "141"), ("U", "a/ended", "u9", "142")]
    rig.begin(2)
    for batch in [deltas] if in_one_batch else [[delta] for delta in deltas]:
        rig.pop(*batch)
    rig.end("200", 2)
    assert told_in_order(handler, "a/ended") == [("D", "140", True), ("A", "141", False), ("U", "142", False)]


def test_a_gap_outlives_the_version_that_was_to_say_it(rig: ShardRig) -> None:
    handler = rig.join(delivery="every", window=1)
    handler.work()
    rig.pop(("U", "a/same", "u1", "101"))
    (first,) = handler.take()
    relist(rig)
    rig.pop(("U", "a/new-version", "u2", "201"), ("U", "a/added", "u6", "202"))
    rig.shard.give_up_history()
    handler.answer(first)
    rig.shard.flush()
    rig.dead.add("r0")
    rig.reopen()
    flags = {event[1]: event[8] for event in rig.join(name="r1", delivery="every").work() if event[2] != "D"}
    assert flags["a/new-version"] & (GAP | COALESCED) == GAP | COALESCED
    assert flags["a/added"] & (GAP | COALESCED) == GAP | COALESCED
    assert flags["a/replaced"] & (GAP | COALESCED) == GAP


def test_after_a_crash_of_the_machine_the_history_is_lost_from_where_the_ledger_knows(tmp_path: Path) -> None:
    before = ShardRig(tmp_path / "before")
    before.list("100", ("a/k", "u1", "50"))
    ledger = Ledger(tmp_path / "ledger")
    ledger.commit(LedgerState(before.shard.seq, dict(before.shard.progress.streams)), {})
    before.shard.close(clean=False)
    after = ShardRig(tmp_path / "after")
    after.shard.close(clean=False)
    indexer = Indexer(
        tmp_path / "fresh", owner="w", informer="dev/pods", indexes={}, index_hash="", clock=after.clock
    )
    recover(indexer, ledger)
    assert indexer.streams()["*"].lost_from == "100"
    indexer.close()
    ledger.close()


def notices(rig: ShardRig) -> list[tuple[str, str, str]]:
    return [(gap.stream, gap.lost_from, gap.version) for gap in rig.shard.groups["g"].gaps.waiting]


def every(rig: ShardRig, name: str = "r0") -> Handler:
    handler = rig.join(name=name, delivery="every")
    handler.work()
    return handler


def test_a_group_is_told_of_each_relist_from_which_version_to_which(rig: ShardRig) -> None:
    every(rig)
    rig.pop(("U", "a/same", "u1", "120"))
    relist(rig)
    assert notices(rig) == [("*", "120", "200")]
    relist(rig, generation=3)
    # Nothing can have changed between a version and itself.
    assert notices(rig) == [("*", "120", "200")]


def test_a_list_that_was_cut_is_told_when_another_one_ends(rig: ShardRig) -> None:
    every(rig)
    rig.begin(2)
    rig.pop(("R", "a/same", "u1", "50"))
    assert notices(rig) == []
    rig.dead.add("r0")
    rig.reopen()
    relist(rig, generation=3)
    assert notices(rig) == [("*", "100", "200")]


def test_a_notice_outlives_the_worker_until_it_is_seen(rig: ShardRig) -> None:
    every(rig)
    relist(rig)
    rig.dead.add("r0")
    rig.reopen()
    every(rig, "r1")
    group = rig.shard.groups["g"]
    ((gap, times),) = group.gaps.untold(b"r1")
    assert group.gaps.untold(b"r1") == []
    group.gaps.left(b"r1")
    assert group.gaps.untold(b"r2") == [(gap, times + 1)]
    assert group.gaps.seen(gap.number)
    assert not group.gaps.seen(gap.number)
    group.record.touch()
    rig.shard.flush()
    rig.reopen()
    assert notices(rig) == []


def test_a_notice_that_may_have_been_told_before_does_not_say_that_it_is_the_first(rig: ShardRig) -> None:
    every(rig)
    relist(rig)
    gaps = rig.shard.groups["g"].gaps
    assert [times for _, times in gaps.untold(b"r0")] == [1]
    gaps.left(b"r0")
    assert [times for _, times in gaps.untold(b"r1")] == [2]
    rig.dead.add("r0")
    rig.reopen()  # the worker was killed: it may have sent the notice
    assert [times for _, times in rig.shard.groups["g"].gaps.untold(b"r2")] == [2]


def test_notices_are_bounded_and_the_oldest_become_one() -> None:
    gaps = GapNotices([])
    for number in range(NOTICES_MAX + 3):
        gaps.add(Gap(0, "relist", "*", number, str(number), str(number + 1), 0))
    assert len(gaps.waiting) == NOTICES_MAX
    assert (gaps.waiting[0].lost_from, gaps.waiting[0].version) == ("0", "4")
    assert len({gap.number for gap in gaps.waiting}) == NOTICES_MAX
