"""P3 Convergence, at least once: whatever is killed, each group ends at the last state of every key."""

import random
import sys

import pytest

from deltawire.common.clock import SystemClock
from deltawire.fifo.actions import Send, Side
from deltawire.fifo.broker import Broker
from deltawire.fifo.in_order import InMemoryEngine
from deltawire.handlers.dispatch import Dispatch, Route
from deltawire.handlers.events import Delivery
from deltawire.handlers.executor import Results
from deltawire.handlers.jsonlines import ChildProcess
from tests.support.fifo_model import World
from tests.support.fifo_model_informer import RealWorker
from tests.support.messages import kind_of, tell
from tests.support.shard_rig import ShardRig

KEYS = [f"a/k{n}" for n in range(4)]


@pytest.mark.parametrize("seed", range(12))
def test_after_kills_at_any_moment_the_group_has_acknowledged_the_last_state(tmp_path, seed):
    """Worker and handler die at random; what the handler did is what it did before its acknowledgement."""
    rng = random.Random(seed)
    rig = ShardRig(tmp_path / "shard")
    rig.list("100")
    version, lives, done = 100, 0, {}
    server = {}
    handler = rig.join(name="r0")

    def handle(events, chance=1.0):
        for event in events:
            if rng.random() < chance:
                done[event[1]] = None if event[2] == "D" else (event[3], event[4])
                if rng.random() < 0.8:
                    handler.answer(event)

    for _ in range(80):
        dice, key = rng.random(), rng.choice(KEYS)
        version += 1
        if dice < 0.6:
            kind = "U" if key in server else "A"
            server[key] = (server[key][0] if key in server else f"u{version}", str(version))
            rig.pop((kind, key, *server[key]))
        elif dice < 0.75 and key in server:
            uid, _ = server.pop(key)
            rig.pop(("D", key, uid, str(version)))
        elif dice < 0.9:
            handle(handler.take(), chance=0.7)
            if rng.random() < 0.5:
                rig.shard.flush()
        else:
            lives += 1
            handler.die()
            rig.reopen()
            rig.new_broker(f"b{version}")
            handler = rig.join(name=f"r{lives}")
            rig.clock.advance(60)
    handler.die()
    rig.reopen()
    handler = rig.join(name="last")
    rig.clock.advance(3600)
    for event in handler.work():
        done[event[1]] = None if event[2] == "D" else (event[3], event[4])
    told = {key: state for key, state in done.items() if state}
    rig.shard.close(clean=False)
    assert told == server, f"seed {seed}"


def test_a_stream_resumes_where_its_slowest_shard_is():
    """A new broker, two shards: what lies between them is missing in the slower one."""
    broker = Broker({"dev/pods": ["*"]}, 2, boot="b1", engine=InMemoryEngine())
    hellos = {"streams": [["dev/pods", "*"]]}, {"shards": [["dev/pods", 0], ["dev/pods", 1]]}
    broker.hello(Side.REFLECTORS, b"r.1", "reflector", "r", hellos[0])
    tell(broker, Side.REFLECTORS, b"r.1", "cluster", ["dev", "c1"])
    broker.hello(Side.WORKERS, b"w.1", "informer", "w", hellos[1])
    actions = []
    for shard, resume in ((0, "5000"), (1, "4000")):
        said = ["dev/pods", shard, "c1", "", 0, {"*": [resume, resume, 1]}]
        actions += tell(broker, Side.WORKERS, b"w.1", "shard", said)
    (start,) = [a for a in actions if isinstance(a, Send) and kind_of(a.message) == "start"]
    assert start.message.resume == "4000"


def test_a_batch_that_comes_again_changes_nothing(tmp_path):
    """Committed, but the ack was lost with the worker: the broker, which lives, sends it again."""
    rig = ShardRig(tmp_path / "shard")
    rig.begin(1)
    before = rig.number
    rig.pop(("R", "a/k", "u1", "50"), ("D", "a/k", "u1", "60"), ("R", "a/l", "u2", "61"))
    stored = rig.stored()
    rig.reopen()
    rig.number = before
    rig.pop(("R", "a/k", "u1", "50"))
    assert rig.stored() == stored == {"a/l": ("u2", "61")}
    rig.shard.close(clean=False)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_the_store_equals_the_server_whatever_is_killed(first):
    for seed in range(first, first + 20):
        try:
            World(seed, worker=RealWorker).run(150)
        except AssertionError as error:
            pytest.fail(f"seed {seed}: {error}")


def test_a_handler_that_was_killed_in_a_call_has_acknowledged_nothing():
    """The ack comes after the call: a handler that dies inside has not done its work."""
    child = ChildProcess(
        "audit", [sys.executable, "-c", "input(); exit(3)"], {}, 1, Results(), clock=SystemClock()
    )
    dispatch = Dispatch({"dev/pods": Route(frozenset("AUDS"))}, attempts_max=0)
    acks = dispatch.arrive([Delivery(0, "dev/pods", 0, 1, "a/k", "A", "u1", "1", 0, 1, 5, 0, b"{}", None)])
    for call in dispatch.take(1):
        child.submit([call])
    child._process.wait(60)
    for thread in child._threads:
        thread.join(0.5)
    for call, outcome in child.results.take():
        acks += dispatch.ended(call, outcome)
    child.close(1.0)
    child.results.close()
    assert acks == []


@pytest.mark.parametrize("delivery", ["latest", "every"])
def test_an_event_that_may_have_come_before_the_kill_says_so(tmp_path, delivery):
    rig = ShardRig(tmp_path / "shard")
    rig.list("100")
    rig.pop(("A", "a/k", "u1", "101"))
    (event,) = rig.join(delivery=delivery).take()
    rig.dead.add("r0")
    rig.reopen()
    (again,) = rig.join(name="r1", delivery=delivery).work()
    assert (again[:5], event[6], again[6] > 1) == (event[:5], 1, True)
    rig.shard.close(clean=False)
