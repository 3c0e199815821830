"""A proof goes behind what its shard's queue holds: its receiver has everything that the proof covers."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from deltawire.common.wire.messages.proofs import Proof
from deltawire.common.wire.messages.stream import Delta
from deltawire.fifo.actions import Send, Side
from deltawire.fifo.broker import Broker
from deltawire.fifo.in_order import InMemoryEngine, InOrderQueue
from deltawire.fifo.limits import MARK_EVERY_S
from deltawire.fifo.proofs import ProofTrail
from tests.support.messages import fields_of, kind_of, tell

PODS = "dev/pods"
BOUND_US = 150_000_000


def proof(number: int) -> Proof:
    return Proof(1000 + number, 900, BOUND_US)


def put(queue: InOrderQueue, name: str) -> None:
    queue.add("*", 1, Delta("A", "default", name, "u", "5", b"{}"))


@given(st.lists(st.sampled_from(["delta", "begin", "prove", "pop", "release"]), max_size=40))
def test_a_proof_never_overtakes_what_came_before_it(steps: list[str]) -> None:
    queue, trail = InOrderQueue(), ProofTrail()
    last_of: dict[int, int] = {}
    for step, what in enumerate(steps):
        if what == "delta":
            put(queue, f"p{step}")
        elif what == "begin":
            queue.begin("*", step + 1)
        elif what == "prove":
            trail.put(queue, "*", proof(step))
            last_of[step] = queue.last
        elif what == "pop":
            queue.pop(2, 1000)
        else:
            queue.release()
        waiting = {entry.number if hasattr(entry, "number") else entry[0][0] for entry in queue._entries}
        for taken in trail.take(queue).values():
            assert all(number > last_of[taken.as_of_us - 1000] for number in waiting)


@given(st.integers(1, 20))
def test_the_first_proof_is_not_put_off_by_newer_ones_and_no_more_than_two_are_kept(count: int) -> None:
    queue, trail = InOrderQueue(), ProofTrail()
    for number in range(count):
        put(queue, f"p{number}")
        trail.put(queue, "*", proof(number))
    queue.pop(1, 1000)
    assert trail.take(queue) == {"*": proof(0)}
    assert len(trail._waiting) <= 2
    queue.pop(100, 100_000)
    assert trail.take(queue) == ({"*": proof(count - 1)} if count > 1 else {})


class Rig:
    """A broker of two shards, with one reflector and two workers that own one each."""

    def __init__(self) -> None:
        self.broker = Broker({PODS: ["*"]}, 2, boot="b", engine=InMemoryEngine())
        self.now_s = 0.0
        self.broker.hello(Side.REFLECTORS, b"r", "reflector", "reflector-0", {"streams": [[PODS, "*"]]})
        self.say("cluster", "dev", "c1")
        for number in (0, 1):
            self.join(number)

    def join(self, number: int) -> None:
        self.broker.hello(
            Side.WORKERS, b"w%d" % number, "informer", f"worker-{number}", {"shards": [[PODS, number]]}
        )
        tell(
            self.broker,
            Side.WORKERS,
            b"w%d" % number,
            "shard",
            [PODS, number, "c1", "", 0, {"*": ["4", "4", 1]}],
        )

    def say(self, kind: str, *body: Any) -> list[Any]:
        return tell(self.broker, Side.REFLECTORS, b"r", kind, list(body))

    def prove(self, number: int) -> None:
        self.say("proof", [[PODS, "*", [1000 + number, 900, BOUND_US]]])

    def out(self) -> list[tuple[bytes, str, Any]]:
        """What goes to the workers: pops first, then what is due."""
        self.now_s += MARK_EVERY_S
        actions = [*self.broker.pump(), *self.broker.tick(self.now_s)]
        return [
            (a.identity, kind_of(a.message), msgspec.to_builtins(fields_of(a.message)))
            for a in actions
            if isinstance(a, Send) and a.side is Side.WORKERS
        ]

    def proofs(self) -> dict[bytes, list[Any]]:
        return {identity: body[0] for identity, kind, body in self.out() if kind == "proof"}


def test_a_worker_gets_one_message_for_all_its_shards_and_streams_behind_the_deltas() -> None:
    rig = Rig()
    rows = [["A", "default", f"p{n}", "u", "5", b"{}"] for n in range(8)]
    rig.say("deltas", PODS, "*", "5", 1, rows)
    rig.prove(1)
    kinds = [(identity, kind) for identity, kind, _ in rig.out()]
    for worker in (b"w0", b"w1"):
        mine = [kind for identity, kind in kinds if identity == worker]
        assert mine[0] == "pop"
        assert mine.count("proof") == 1
        assert mine.index("proof") > mine.index("pop")


def test_a_proof_while_a_list_is_open_or_of_another_owner_is_dropped() -> None:
    rig = Rig()
    rig.prove(1)
    assert set(rig.proofs()) == {b"w0", b"w1"}
    rig.say("begin", PODS, "*", 2)
    rig.prove(2)
    assert rig.proofs() == {}


def test_what_waits_for_a_worker_waits_with_its_proof() -> None:
    rig = Rig()
    rig.broker.gone(Side.WORKERS, b"w1")
    rig.prove(1)
    assert set(rig.proofs()) == {b"w0"}
    rig.join(1)
    assert rig.proofs() == {b"w1": [[PODS, "*", [1001, 900, BOUND_US], [1]]]}


def test_a_malformed_proof_ends_the_session_and_nothing_of_it_counts() -> None:
    rig = Rig()
    for body in (
        [[PODS, "*", [1, 2]]],
        [[PODS, "nowhere", [1, 2, 3]]],
        [["x", "*", [1, 2, 3]]],
        [["dev/pods"]],
        7,
    ):
        made = Rig()
        made.say("proof", body)
        assert made.broker.counters.malformed == 1
        assert made.proofs() == {}
    assert rig.broker.counters.malformed == 0
