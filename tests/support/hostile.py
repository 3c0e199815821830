"""A peer that keeps no rule: raw frames on a pipeline's sockets, and what comes back."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import zmq

from deltawire.common.limits import SOCKET_MESSAGES_MAX
from deltawire.common.wire.identity import host_id, process_started
from tests.support.patience import Patience

# Messages that a flooding peer's own socket holds; with what its encoder has begun it is fewer than ON_THE_WAY.
_OWN_QUEUE = 100
ON_THE_WAY = 500


class Attacker:
    """One DEALER on ``endpoint`` with the identity ``<name>.<nonce>``; nothing it sends is checked."""

    def __init__(self, context: zmq.Context, endpoint: str, name: str = "stranger") -> None:
        self.name = name
        self.nonce = secrets.token_hex(4)
        self.session = 0
        self._n = 0
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.IDENTITY, f"{name}.{self.nonce}".encode())
        self._socket.connect(endpoint)

    def raw(self, data: bytes) -> None:
        self._socket.send(data)

    def message(self, kind: Any, session: Any, n: Any, *body: Any, version: Any = 2) -> None:
        """A message as msgpack has it, alone in a frame with whatever head."""
        self.raw(msgpack.packb([version, session, n, [[kind, *body]]]))

    def say(self, kind: str, *body: Any) -> None:
        """The next message of the session."""
        self._n += 1
        self.message(kind, self.session, self._n, *body)

    def hello(self, role: str, body: Any, *, name: Any = None, pid: Any = None) -> None:
        me = os.getpid()
        who = [role, name or self.name, self.nonce, pid or me, process_started(me), host_id()]
        self.message("hello", 0, 0, *who, body)

    def join(self, role: str, body: dict[str, Any]) -> None:
        """A hello that is welcomed; messages can be said afterwards."""
        self.hello(role, body)
        answer = self.wait_for("welcome")
        self.session, self._n = answer[2], 0

    def wait_for(self, *kinds: str, seconds: float = 10.0) -> list[Any]:
        """The first answer of one of these kinds: version, kind, session, n, fields."""
        seen = []
        patience = Patience(seconds)
        while not patience.is_over():
            if self._socket.poll(100):
                version, session, n, messages = msgpack.unpackb(self._socket.recv())
                for kind, *body in messages:
                    if kind in kinds:
                        return [version, kind, session, n, *body]
                    seen.append(kind)
        raise AssertionError(f"no {' or '.join(kinds)} within {seconds} s; came: {seen[:20]}")

    def drain(self) -> None:
        """Throw away what has come."""
        while self._socket.poll(0):
            self._socket.recv()

    def close(self) -> None:
        self._socket.close(linger=0)


@contextmanager
def attacker(endpoint: str, name: str = "stranger") -> Iterator[Attacker]:
    with zmq.Context() as context:
        made = Attacker(context, endpoint, name)
        try:
            yield made
        finally:
            made.close()


def flood(endpoint: str, count: int, *, with_heartbeats: bool = False) -> None:
    """Send so many messages that belong to no session, read nothing, and leave: when all are sent, or when the other
    end's queue and our own are full and nothing has moved for two seconds. All but ON_THE_WAY have arrived then."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.SNDHWM, _OWN_QUEUE)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.IDENTITY, f"stranger.{secrets.token_hex(4)}".encode())
    if with_heartbeats:
        # The other end then keeps timers for this connection, too. Its answers may be late on a busy machine.
        socket.setsockopt(zmq.HEARTBEAT_IVL, 200)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 30_000)
        socket.setsockopt(zmq.HEARTBEAT_TTL, 4000)
    socket.connect(endpoint)
    message = msgpack.packb([2, 12345, 1, [["mark"]]])
    patience = Patience(60)
    sent = 0
    while sent < count:
        if socket.poll(2000, zmq.POLLOUT):
            socket.send(message, zmq.NOBLOCK)
            sent += 1
        elif sent > SOCKET_MESSAGES_MAX:
            break
        else:
            assert not patience.is_over(), f"only {sent} messages were taken in a minute"
    socket.close()
    context.term()
