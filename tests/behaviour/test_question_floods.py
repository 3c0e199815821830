"""Who asks a worker more than it reads, or more than it should, is reset; nobody else notices."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from deltawire.common.limits import QUESTIONS_WAITING_MAX, UNREAD_BYTES_MAX
from deltawire.common.wire import sockets
from tests.behaviour.test_informer_worker import PODS, Broker, Replica, Rig
from tests.support.hostile import Attacker, attacker

OBJECT_BYTES = 200_000


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def scene(rig: Rig) -> tuple[Broker, Replica]:
    """A worker whose cache holds one large pod, which a handler has acknowledged."""
    rig.start()
    broker, replica = rig.broker(), rig.replica()
    broker.open()
    broker.send("begin", PODS, 0, "b1", 1, "*", 1)
    pod = b'{"metadata":{"name":"k","namespace":"a","uid":"u1","resourceVersion":"50"},"x":"%b"}'
    rows = [["a", "k", [[2, "R", "*", "u1", "50", int(time.time() * 1e6), pod % (b"x" * OBJECT_BYTES)]]]]
    broker.send("pop", PODS, 0, "b1", 2, 2, rows, [])
    broker.send("end", PODS, 0, "b1", 3, "*", 1, 1, "100")
    broker.number = 3
    rig.until(replica.events, "the event")
    replica.acknowledge(*replica.events())
    rig.until(lambda: replica.said("synced"), "the end of the initial list")
    return broker, replica


def query(number: int) -> list[Any]:
    return ["query", number, PODS, 0, "get", ["a/k"]]


def ask(flooder: Attacker, numbers: range, *, at_once: int = 1) -> None:
    """Questions of the flooder's session, so many in a frame."""
    for first in range(numbers.start, numbers.stop, at_once):
        flooder._n += 1
        messages = [query(n) for n in range(first, min(first + at_once, numbers.stop))]
        flooder.raw(msgpack.packb([2, flooder.session, flooder._n, messages]))


def serves_others(rig: Rig, broker: Broker, replica: Replica) -> None:
    """An event comes, and so does an answer."""
    events, answers = len(replica.events()), len(replica.said("rows"))
    broker.pop(("U", f"b/n{events}", "u9", str(200 + events)))
    rig.until(lambda: len(replica.events()) > events, "an event")
    replica.acknowledge(*replica.events()[events:])
    rig.until(lambda: replica.link.is_open, "a session")
    replica.link.send(msgpack_query(answers + 1))
    rig.until(lambda: len(replica.said("rows")) > answers, "an answer")


def msgpack_query(number: int) -> Any:
    from deltawire.common.wire.codec import plain

    return plain(*query(number))


def test_who_asks_and_never_reads_is_reset_and_nobody_else_notices(
    rig: Rig, scene: tuple[Broker, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rig.worker is not None
    # Connections made from now on hold few frames, so that what piles up reaches the end soon.
    monkeypatch.setattr(sockets, "SOCKET_MESSAGES_MAX", 100)
    rig.worker._listener.socket.setsockopt(sockets.zmq.SNDHWM, 100)
    with attacker(rig.plan.endpoint("worker-0"), "cli-1") as flooder:
        flooder._socket.setsockopt(sockets.zmq.RCVHWM, 1)
        flooder.join("cli", {})
        ask(flooder, range(1, QUESTIONS_WAITING_MAX + 200))
        rig.until(lambda: rig.worker.status()["malformed"], "the reset")
        assert rig.codes == []
        serves_others(rig, *scene)
        unread = rig.worker._listener._unread[f"cli-1.{flooder.nonce}".encode()]
        assert unread.bytes < UNREAD_BYTES_MAX + 2 * OBJECT_BYTES
    rig.until(lambda: len(rig.worker._listener._unread) == 1, "what it did not read to be forgotten")


def test_who_does_not_read_for_a_while_gets_all_its_answers_once_it_does(
    rig: Rig, scene: tuple[Broker, Replica]
) -> None:
    assert rig.worker is not None
    with attacker(rig.plan.endpoint("worker-0"), "cli-1") as slow:
        slow.join("cli", {})
        ask(slow, range(1, 257))
        rig.until(lambda: rig.worker._handlers._queries._waiting, "the bound")
        serves_others(rig, *scene)
        for number in range(1, 257):
            rig.turn()
            assert slow.wait_for("rows", "reset")[4] == number
    assert rig.worker.status()["malformed"] == 0


def test_questions_by_the_thousand_in_one_frame_keep_nobody_waiting(
    rig: Rig, scene: tuple[Broker, Replica]
) -> None:
    assert rig.worker is not None
    with attacker(rig.plan.endpoint("worker-0"), "cli-1") as flooder:
        flooder.join("cli", {})
        ask(flooder, range(1, 60_000), at_once=60_000)
        rig.until(lambda: rig.worker.status()["malformed"], "the reset")
        assert rig.worker.status()["malformed"] == 1
        serves_others(rig, *scene)
