"""P9 Two delivery modes: ``every`` brings each stored event, also over kill -9; ``latest`` the latest state."""

import msgspec
import pytest

from deltawire.informer.groups.events import COALESCED, DEAD, GAP, RETRY
from tests.support.shard_rig import ShardRig, brief


@pytest.fixture
def rig(tmp_path):
    rig = ShardRig(tmp_path / "shard")
    rig.list("100")
    yield rig
    rig.shard.close(clean=False)


def version_of(body):
    return body and msgspec.json.decode(body)["metadata"]["resourceVersion"]


def test_every_stored_version_arrives_in_order_also_over_a_kill(rig):
    rig.join(delivery="every").work()
    rig.dead.add("r0")
    rig.pop(("A", "a/k", "u1", "101"), ("U", "a/k", "u1", "102"), ("A", "a/l", "u2", "103"))
    rig.pop(("U", "a/k", "u1", "104"))
    rig.reopen()
    rig.new_broker("b2")
    rig.pop(("U", "a/k", "u1", "105"), ("D", "a/k", "u1", "106"))
    events = rig.join(name="r1", delivery="every").work()
    of_k = [event for event in brief(events) if event[1] == "a/k"]
    assert [(kind, version) for kind, _, version in of_k] == [
        ("A", "101"), ("U", "102"), ("U", "104"), ("U", "105"), ("D", "106"),
    ]  # fmt: skip
    assert not any(event[8] & COALESCED for event in events)


def test_old_is_the_version_before_in_every(rig):
    handler = rig.join(delivery="every")
    rig.pop(("A", "a/k", "u1", "101"))
    handler.work()
    rig.pop(("U", "a/k", "u1", "102"), ("U", "a/k", "u1", "103"))
    assert [version_of(event[10]) for event in handler.work()] == ["101", "102"]


def test_latest_brings_the_latest_state_and_what_was_acknowledged_last_as_old(rig):
    handler = rig.join(delivery="latest")
    rig.pop(("A", "a/k", "u1", "101"))
    handler.work()
    rig.pop(("U", "a/k", "u1", "102"))
    rig.pop(("U", "a/k", "u1", "103"))
    (event,) = handler.take()
    assert brief([event]) == [("U", "a/k", "103")]
    assert version_of(event[10]) == "101"
    assert event[8] & COALESCED


def test_versions_given_up_at_the_byte_bound_are_told(rig):
    handler = rig.join(delivery="every")
    rig.pop(("A", "a/k", "u1", "101"), ("U", "a/k", "u1", "102"), ("U", "a/k", "u1", "103"))
    rig.shard.give_up_history()
    assert any(event[8] & COALESCED for event in handler.work())


def test_a_new_group_begins_with_what_is_there_though_more_is_kept_for_another(rig):
    rig.join("stuck", "r9", delivery="every").die()
    rig.pop(("A", "a/tmp", "u1", "101"), ("A", "a/k", "u2", "102"), ("U", "a/k", "u2", "103"))
    rig.pop(("D", "a/tmp", "u1", "104"))
    new = rig.join("new", delivery="every")
    rig.pop(("U", "a/k", "u2", "105"))
    assert brief(new.work()) == [("A", "a/k", "103"), ("U", "a/k", "105")]


def test_what_a_relist_found_says_gap_also_over_a_kill(rig):
    rig.pop(("A", "a/k", "u1", "101"), ("A", "a/same", "u2", "102"))
    rig.join(delivery="every").work()
    rig.list("200", ("a/k", "u1", "150"), ("a/same", "u2", "102"), generation=2)
    rig.dead.add("r0")
    rig.reopen()
    rig.pop(("U", "a/same", "u2", "201"))
    events = rig.join(name="r1", delivery="every").work()
    assert [(event[1], bool(event[8] & GAP)) for event in events] == [("a/k", True), ("a/same", False)]


def lose_what_is_behind(rig, handler, verdict):
    """102 is sent and answered so (None: not at all); 103 and 104 are given up at the byte bound, 105 is there."""
    rig.pop(("A", "a/k", "u1", "101"))
    handler.work()
    rig.pop(("U", "a/k", "u1", "102"))
    (event,) = handler.take()
    for version in ("103", "104", "105"):
        rig.pop(("U", "a/k", "u1", version))
    rig.shard.give_up_history()
    if verdict is not None:
        assert handler.answer(event, verdict, 10.0, "no")
        assert handler.take() == [], "105 waits behind 102"
    rig.shard.flush()


def killed(rig):
    """The worker and the handler; those that follow."""
    rig.dead.add("r0")
    rig.reopen()
    return rig.join(name="r1", delivery="every")


def told(rig, handler):
    rig.clock.advance(11.0)
    return [(event[4], bool(event[8] & COALESCED)) for event in handler.work()]


@pytest.mark.parametrize("is_killed", [False, True], ids=["goes on", "killed"])
@pytest.mark.parametrize("verdict", [RETRY, None], ids=["failed", "in a call"])
def test_what_was_lost_behind_a_version_that_comes_again_is_said_by_what_comes_behind_it(
    rig, verdict, is_killed
):
    handler = rig.join(delivery="every")
    lose_what_is_behind(rig, handler, verdict)
    if is_killed:
        handler = killed(rig)
    elif verdict is None:
        handler.die()
        handler = rig.join(name="r1", delivery="every")
    assert told(rig, handler) == [("102", False), ("105", True)]


def test_what_a_failed_event_said_it_says_again_also_over_a_kill(rig):
    handler = rig.join(delivery="every")
    rig.pop(("A", "a/k", "u1", "101"))
    handler.work()
    for version in ("102", "103", "104"):
        rig.pop(("U", "a/k", "u1", version))
    rig.shard.give_up_history()
    (event,) = handler.take()
    assert (event[4], event[8] & COALESCED) == ("104", COALESCED)
    assert handler.answer(event, RETRY, 10.0, "no")
    rig.shard.flush()
    handler = killed(rig)
    rig.pop(("U", "a/k", "u1", "105"))
    assert told(rig, handler) == [("104", True), ("105", False)]


def test_what_is_lost_while_a_dead_letter_is_tried_again_is_said_by_what_comes_behind_it(rig):
    handler = rig.join(delivery="every", window=1)
    rig.pop(("A", "a/k", "u1", "101"))
    (event,) = handler.take()
    assert handler.answer(event, DEAD, error="no")
    rig.pop(("A", "a/l", "u2", "102"))
    (other,) = handler.take()
    for version in ("103", "104", "105"):
        rig.pop(("U", "a/k", "u1", version))
    group = rig.shard.groups["g"]
    assert group.lot.retry_dead(event[0], rig.clock.wall_s())
    assert handler.answer(other)
    (again,) = handler.take()
    assert (again[1], again[4]) == ("a/k", "105")
    rig.shard.give_up_history()
    assert handler.answer(again)
    handler.work()
    rig.pop(("U", "a/k", "u1", "106"))
    assert told(rig, handler) == [("106", True)]
