"""Who asks a worker more than it reads, or more than it should, is reset; nobody else notices."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from deltawire.cli.supervisor.control import ControlSocket
from deltawire.common.clock import SystemClock
from deltawire.common.limits import QUESTIONS_WAITING_MAX, UNREAD_BYTES_MAX
from deltawire.common.loop import Loop
from deltawire.common.wire import sockets
from tests.behaviour.test_informer_worker import PODS, Broker, Replica, Rig
from tests.support.hostile import Attacker, attacker
from tests.support.patience import wait_until

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


class NoBeats:
    turns = 0

    def show(self) -> None: ...


class Control:
    """A supervisor's socket; each answer has so many bytes."""

    def __init__(self, endpoint: str) -> None:
        self.answered = 0
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = ControlSocket(
            self.context, endpoint, heartbeat_s=2.0, on_ready=lambda *_: None, on_silent=lambda *_: None,
            on_status=lambda *_: None, answer=self._answer, clock=SystemClock(),
        )  # fmt: skip
        self.loop = Loop(SystemClock(), NoBeats())
        self.socket.join(self.loop)

    def _answer(self, verb: str, arguments: dict[str, Any]) -> str:
        self.answered += 1
        return "x" * OBJECT_BYTES

    def turn(self) -> None:
        self.loop.turn(wait_s_max=0.01)

    def close(self) -> None:
        self.socket.close()
        self.context.destroy(linger=0)


@pytest.mark.parametrize("at_once", [1, 1000], ids=["frame by frame", "in one frame"])
def test_who_asks_the_supervisor_and_never_reads_is_reset_and_nobody_else_notices(at_once: int) -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as folder:
        control = Control(f"ipc://{folder}/control")
        try:
            with (
                attacker(f"ipc://{folder}/control", "cli-1") as flooder,
                attacker(f"ipc://{folder}/control", "cli-2") as other,
            ):
                for peer in (flooder, other):
                    peer._socket.setsockopt(zmq.RCVHWM, 1)
                    peer.hello("cli", {})
                    wait_until(lambda p=peer: p._socket.poll(0), "a welcome", turn=control.turn)
                    peer.session = peer.wait_for("welcome")[2]
                for first in range(0, 2000, at_once):
                    flooder._n += 1
                    asks = [["ask", n, "status", {}] for n in range(first, first + at_once)]
                    flooder.raw(msgpack.packb([2, flooder.session, flooder._n, asks]))
                    control.turn()
                wait_until(lambda: control.socket.rejected, "the reset", turn=control.turn)
                assert control.answered * OBJECT_BYTES < 8 * UNREAD_BYTES_MAX
                other.say("ask", 1, "status", {})
                wait_until(lambda: other._socket.poll(0), "an answer", turn=control.turn)
        finally:
            control.close()
