"""P2 Order per key: stored order, one at a time, one holder; acks of a replica that was declared gone are refused."""

import random

import pytest

from tests.support.shard_rig import ShardRig, brief


@pytest.fixture
def rig(tmp_path):
    rig = ShardRig(tmp_path / "shard")
    rig.list("100")
    yield rig
    rig.shard.close(clean=False)


@pytest.mark.parametrize("delivery", ["latest", "every"])
@pytest.mark.parametrize("seed", range(3))
def test_the_next_event_of_a_key_waits_for_the_last_ones_ack(rig, delivery, seed):
    rng = random.Random(seed)
    replicas = [rig.join(name=f"r{n}", delivery=delivery) for n in range(2)]
    held, seen, version = [], {}, 100

    def take():
        for replica in replicas:
            for event in replica.take():
                key, seq = event[1], event[0]
                assert key not in {e[1] for _, e in held}, f"{key} is given out twice (seed {seed})"
                assert seq > seen.get(key, 0), f"{key} goes back (seed {seed})"
                seen[key] = seq
                held.append((replica, event))

    for _ in range(120):
        version += 1
        rig.pop(("U", f"a/k{rng.randrange(3)}", "u1", str(version)))
        take()
        if held and rng.random() < 0.6:
            replica, event = held.pop(rng.randrange(len(held)))
            assert replica.answer(event)
    while held:
        replica, event = held.pop()
        replica.answer(event)
        take()
    assert seen == {key: rig.row(key).seq for key in rig.stored()}


def test_who_was_declared_gone_is_not_heard_and_the_fence_rises(rig):
    first = rig.join(name="r0")
    rig.pop(("A", "a/k", "u1", "101"))
    (event,) = first.take()
    first.die("silent for three heartbeats")
    second = rig.join(name="r1")
    rig.clock.advance(60)
    (again,) = second.take()
    assert brief([again]) == [("A", "a/k", "101")]
    assert again[7] > event[7], "the fence must tell the new holder from the old one"
    assert not first.answer(event), "a late ack must be refused"
    assert second.take() == []
    assert second.answer(again)


def test_what_was_set_aside_behind_a_failure_is_not_sent_beside_it_after_a_kill(rig):
    handler = rig.join(delivery="every")
    rig.pop(("A", "a/slow", "u0", "101"), ("A", "a/k", "u1", "102"))
    _, failing = handler.take()
    handler.answer(failing, 1, after_s=5.0, error="boom")
    rig.shard.flush()
    rig.pop(("U", "a/k", "u1", "103"))
    # What is set aside is written alone: the slow key holds the group's position where it was.
    assert handler.take() == []
    rig.shard.flush()
    rig.dead.add("r0")
    rig.reopen()
    rig.clock.advance(5.0)
    told = [(e[1], e[4]) for e in rig.join(name="r1", delivery="every").work()]
    assert told == [("a/k", "102"), ("a/slow", "101"), ("a/k", "103")]
