"""P5 Bounded: every queue has a bound, and what a bound costs is marked and counted, never silent."""

import pytest

from deltawire.common.limits import SHARD_DELTAS_MAX, STREAM_DELTAS_MAX
from deltawire.common.store import layout
from deltawire.common.wire.messages.stream import Delta
from deltawire.fifo.in_order import InMemoryEngine
from deltawire.fifo.shards import Shard
from deltawire.fifo.streams import Stream
from deltawire.informer.groups.events import COALESCED
from deltawire.informer.store.lost import minimal_object
from tests.support.shard_rig import ShardRig, brief


@pytest.fixture
def rig(tmp_path):
    rig = ShardRig(tmp_path / "shard")
    rig.list("100")
    yield rig
    rig.shard.close(clean=False)


def test_a_handler_holds_no_more_keys_than_its_window(rig):
    handler = rig.join(window=4)
    rig.pop(*(("A", f"a/k{n}", f"u{n}", str(101 + n)) for n in range(20)))
    events = handler.take()
    assert len(events) == 4
    assert handler.take() == []
    handler.answer(events[0])
    assert len(handler.take()) == 1


def test_a_group_that_stays_slow_costs_one_row_a_key_and_is_told_what_it_missed(rig):
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"))
    (first,) = handler.take()
    for version in range(102, 200):
        rig.pop(("U", "a/k", "u1", str(version)))
    assert len(rig.shard.indexer.rows(layout.CHANGES)) == 1
    assert rig.shard.indexer.rows(layout.HISTORY) == []
    handler.answer(first)
    (last,) = handler.take()
    assert brief([last]) == [("U", "a/k", "199")]
    assert last[8] & COALESCED
    assert rig.shard.groups["g"].counters.coalesced == 97


def test_a_deletion_and_a_new_life_of_a_name_are_never_coalesced(rig):
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"))
    (first,) = handler.take()
    rig.pop(("U", "a/k", "u1", "102"), ("D", "a/k", "u1", "103"), ("A", "a/k", "u2", "104"))
    rig.pop(("U", "a/k", "u2", "105"))
    handler.answer(first)
    assert brief(handler.work()) == [("D", "a/k", "103"), ("A", "a/k", "105")]


def test_a_worker_is_sent_no_more_than_its_window():
    queue = InMemoryEngine().queue("dev/pods", 0, boot="b1", latest_only=False)
    shard = Shard(0, queue, owner=b"w", report=object())
    for n in range(SHARD_DELTAS_MAX + 100):
        queue.add("*", 0, Delta("A", "a", f"k{n}", "u", "1", b"{}"))
    while shard.is_ready:
        queue.pop(64, 1 << 20)
        assert queue.leased < SHARD_DELTAS_MAX + 64
    assert queue.depth > 0


def test_a_stream_without_credit_is_not_read_on():
    stream = Stream("dev/pods", "*")
    stream.start("10", "10", 0)
    assert not stream.is_blocked
    stream.deltas(STREAM_DELTAS_MAX, 0, 2 * STREAM_DELTAS_MAX, "11")
    assert stream.is_blocked


def test_deletions_give_up_their_content_at_the_byte_bound_but_not_their_identity(rig):
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"), pad="x" * 1000)
    handler.work()
    rig.pop(("D", "a/k", "u1", "102"), pad="x" * 1000)
    rig.shard.shorten_gone()
    (gone,) = handler.take()
    assert len(gone[9]) < 200
    assert gone[9] == minimal_object(layout.Row("a/k", "u1", "102", 0, 0, 0, b""))


def test_versions_given_up_at_the_byte_bound_are_counted_and_flagged_one_by_one(rig):
    handler = rig.join(delivery="every", window=1)
    rig.pop(("A", "a/k", "u1", "101"))
    (first,) = handler.take()
    rig.pop(*(("U", "a/k", "u1", str(v)) for v in range(102, 107)), ("A", "a/l", "u2", "107"))
    rig.shard.give_up_history()
    assert rig.shard.groups["g"].counters.coalesced == 4  # 102 to 105: 101 is in flight, 106 is there
    handler.answer(first)
    rig.shard.flush()
    rig.dead.add("r0")
    rig.reopen()
    rest = rig.join(name="r1", delivery="every").work()
    told = {(event[1], event[4]): bool(event[8] & COALESCED) for event in rest}
    assert told == {("a/k", "106"): True, ("a/l", "107"): False}
