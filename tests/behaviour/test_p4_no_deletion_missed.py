"""P4 No deletion missed: what a group may have been sent reaches it as a deletion, whatever was down."""

import msgspec
import pytest

from deltawire.common.wire.messages.stream import Delta
from deltawire.fifo.in_order import InMemoryEngine
from tests.support.shard_rig import ShardRig, brief


@pytest.fixture
def rig(tmp_path):
    rig = ShardRig(tmp_path / "shard")
    rig.list("100", ("a/keep", "u1", "10"), ("a/lose", "u2", "20"))
    yield rig
    rig.shard.close(clean=False)


def total_kill(rig, boot="b2"):
    """Everything dies and comes back: worker, broker, handler."""
    rig.dead.update({"r0", "r1"})
    rig.reopen()
    rig.new_broker(boot)


def test_a_deletion_while_everything_was_down_comes_with_the_last_content(rig):
    rig.join().work()
    total_kill(rig)
    rig.list("200", ("a/keep", "u1", "10"), generation=2)
    (gone,) = rig.join(name="r1").work()
    assert brief([gone]) == [("D", "a/lose", "20")]
    assert msgspec.json.decode(gone[9])["metadata"]["name"] == "lose"


def test_a_deletion_reaches_the_group_that_was_down_when_the_others_acknowledged_it(rig):
    rig.join("early").work()
    rig.join("late", "r0").work()
    total_kill(rig)
    rig.pop(("D", "a/lose", "u2", "101"))
    assert brief(rig.join("early", "r1").work()) == [("D", "a/lose", "101")]
    rig.reopen()
    assert brief(rig.join("late", "r2").work()) == [("D", "a/lose", "101")]


def test_what_was_sent_and_not_acknowledged_is_deleted_too(rig):
    assert len(rig.join().take()) == 2  # handled, perhaps, but the acks were lost with the process
    total_kill(rig)
    rig.pop(("D", "a/lose", "u2", "101"))
    rig.clock.advance(60)
    told = brief(rig.join(name="r1").work())
    assert ("D", "a/lose", "101") in told


def test_a_name_deleted_and_created_again_while_everything_was_down_is_both(rig):
    rig.join().work()
    total_kill(rig)
    rig.list("200", ("a/keep", "u1", "10"), ("a/lose", "u3", "150"), generation=2)
    told = rig.join(name="r1").work()
    assert [(e[2], e[1], e[3]) for e in told] == [("D", "a/lose", "u2"), ("A", "a/lose", "u3")]


def test_a_deletion_behind_a_popped_add_is_not_dropped():
    """Neither queued nor stored: a broker that asked what is known would take the deletion for nothing."""
    queue = InMemoryEngine().queue("dev/pods", 0, boot="b1", latest_only=False)
    queue.add("*", 0, Delta("A", "a", "k", "u1", "10", b"{}"))
    assert queue.pop(64, 1 << 20) is not None
    queue.add("*", 0, Delta("D", "a", "k", "u1", "11", b"{}"))
    pop = queue.pop(64, 1 << 20)
    assert [row[1] for _, _, rows in pop.keys for row in rows] == ["D"]


def test_a_list_that_has_only_begun_deletes_nothing(rig):
    handler = rig.join()
    handler.work()
    rig.begin(2)
    rig.pop(("R", "a/keep", "u1", "10"))
    assert handler.work() == []
    assert set(rig.stored()) == {"a/keep", "a/lose"}
    total_kill(rig)
    rig.list("200", ("a/keep", "u1", "10"), ("a/lose", "u2", "20"), generation=3)
    assert rig.join(name="r1").work() == []
