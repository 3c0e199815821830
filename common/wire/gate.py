"""The gate of a process whose sockets use CURVE: it answers libzmq's question whether a connection may be made (ZAP).

libzmq asks on `ADDRESS` once for each handshake, before it passes on anything. A thread answers, so that a main loop in
a long turn keeps nobody waiting. A connection that is not let in gets no byte of ours.

https://rfc.zeromq.org/spec/27/
"""

import logging
import threading
from typing import NamedTuple

import zmq
from zmq.utils import z85

from deltawire.common.clock import Clock
from deltawire.common.waker import Waker
from deltawire.common.wire.guard import Guard

log = logging.getLogger(__name__)

ADDRESS = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_QUESTION_PARTS = 7


class Question(NamedTuple):
    """What libzmq asks. ``domain``: the socket's name; ``key``: the connection's, 32 bytes."""

    version: bytes
    number: bytes
    domain: bytes
    address: bytes
    identity: bytes
    mechanism: bytes
    key: bytes


def answer(parts: list[bytes], guards: dict[str, Guard], now_s: float) -> list[bytes]:
    """The reply to a question. The connection's user id becomes its key, Z85."""
    if len(parts) != _QUESTION_PARTS:
        return _reply(parts[1] if len(parts) > 1 else b"", "400")
    question = Question(*parts)
    guard = guards.get(question.domain.decode(errors="replace"))
    if question.version != _VERSION or question.mechanism != b"CURVE" or guard is None:
        return _reply(question.number, "400")
    key = z85.encode(question.key).decode()
    if not guard.admit(key, question.address.decode(errors="replace"), now_s):
        return _reply(question.number, "400")
    return _reply(question.number, "200", key)


def _reply(number: bytes, status: str, user: str = "") -> list[bytes]:
    text = b"" if status == "200" else b"not allowed"
    return [_VERSION, number, status.encode(), text, user.encode(), b""]


class Gate:
    """The thread that answers. Only for contexts that bind sockets with CURVE."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", clock: Clock) -> None:
        self._clock = clock
        self._guards: dict[str, Guard] = {}
        self._waker = Waker()
        self._stop = threading.Event()
        self._socket = context.socket(zmq.REP)
        self._socket.bind(ADDRESS)
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)

    def guard(self, guard: Guard) -> None:
        """Ask this guard about the connections of its socket."""
        self._guards = self._guards | {guard.socket: guard}
        if self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._waker.wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close(linger=0)
        self._waker.close()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._waker.fileno(), zmq.POLLIN)
        while not self._stop.is_set():
            if self._socket in dict(poller.poll()):
                parts = self._socket.recv_multipart()
                self._socket.send_multipart(answer(parts, self._guards, self._clock.now_s()))
