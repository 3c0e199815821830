"""The session rules of docs/wire.md §3 as two pure state machines, one for each end.

Both count messages per direction. A message of another session, or a gap, means that something was lost:
ZeroMQ drops what a dead peer had received and delivers what comes after.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.wire.codec import VERSIONS_ACCEPTED, WIRE_VERSION, Frame, parts

# Beats come on a connection of their own (docs/wire.md §3).
BEAT_SUFFIX = b"~"

# What a counted frame is to a session, whatever its messages are.
COUNTED = ""

ClientVerdict = Literal["opened", "lost", "refused", "older", "beat", "ignore"]
ServerVerdict = Literal["hello", "beat", "reset", "ignore"]


class Message(msgspec.Struct, frozen=True):
    """A message as the rules of a session see it. ``kind`` is `COUNTED` for a frame of counted ones."""

    kind: str
    session: int
    n: int
    body: list[Any]
    version: int = WIRE_VERSION


def message_of(frame: Frame) -> Message:
    """Raises ProtocolError where a frame that is not counted does not hold one message."""
    if frame.n > 0:
        return Message(COUNTED, frame.session, frame.n, frame.messages, frame.version)
    if len(frame.messages) != 1:
        raise ProtocolError("what is not counted travels alone")
    kind, body = parts(frame.messages[0])
    return Message(kind, frame.session, frame.n, body, frame.version)


@dataclass(slots=True)
class Session:
    """An open session at one end: the messages of both directions are counted. ``version``: in which both ends speak.

    ``waiting``: packed messages that travel as the next frame, ``waiting_bytes`` in all. They end with the session.
    """

    number: int
    version: int = WIRE_VERSION
    sent: int = 0
    received: int = 0
    waiting: list[msgspec.Raw] = field(default_factory=list)
    waiting_bytes: int = 0

    def accepts(self, frame: Frame) -> bool:
        """True if this is the session's next counted frame; counts it."""
        if frame.n != self.received + 1 or frame.session != self.number:
            return False
        self.received += 1
        return True


@dataclass(slots=True)
class Allowance:
    """At most ``count_max`` in each ``every_s``, and each key once. ``refused`` counts what was not allowed."""

    count_max: int
    every_s: float
    refused: int = 0
    _began_s: float = float("-inf")
    _count: int = 0
    _keys: set[object] = field(default_factory=set)

    def take(self, now_s: float, key: object = None) -> bool:
        """True if there is room. Without a key only the number counts."""
        if now_s - self._began_s >= self.every_s:
            self._began_s, self._count = now_s, 0
            self._keys.clear()
        if self._count >= self.count_max or (key is not None and key in self._keys):
            self.refused += 1
            return False
        self._count += 1
        if key is not None:
            self._keys.add(key)
        return True


@dataclass(slots=True)
class ClientSession:
    """The end that connects. It has no session until a welcome came, and loses it on any doubt.

    ``version``: of its next hello: its own, or the one before where the other end has said that it is older.
    """

    hello_every_s: float = 2.0
    refused_for_s: float = 5.0
    open: Session | None = None
    said_hello_at_s: float | None = None
    quiet_until_s: float = 0.0
    version: int = WIRE_VERSION

    def hello_due(self, now_s: float) -> bool:
        return self.open is None and now_s >= self.hello_due_s()

    def hello_due_s(self) -> float:
        """When the next hello is to be said, as long as no session is open."""
        if self.said_hello_at_s is None:
            return self.quiet_until_s
        return max(self.quiet_until_s, self.said_hello_at_s + self.hello_every_s)

    def said_hello(self, now_s: float) -> None:
        self.open = None
        self.said_hello_at_s = now_s

    def is_next(self, frame: Frame) -> bool:
        """True for the session's next counted frame; `on_message` decides on all others."""
        return self.open is not None and self.open.accepts(frame)

    def on_message(self, message: Message, now_s: float) -> ClientVerdict:
        """What to do with a message that is not the next counted one; "lost" and "refused" end the session."""
        if message.kind == "welcome":
            if self.open is not None:
                # Two hellos were under way and the other end has ended the session that we hold.
                return self._end("lost")
            if self.said_hello_at_s is None:
                return "ignore"
            self.open = Session(message.session, self.version)
            return "opened"
        if message.kind == "refuse":
            if self._is_older(message):
                return "older"
            self.quiet_until_s = now_s + self.refused_for_s
            return self._end("refused")
        if self.open is None or message.session != self.open.number:
            # A late message of an older session says nothing about this one.
            return "ignore"
        return "beat" if message.kind == "beat" else self._end("lost")

    def _is_older(self, refusal: Message) -> bool:
        """True if the other end speaks an older version, which is spoken here, too: the next hello is said in it."""
        others = refusal.body[1] if len(refusal.body) > 1 else None
        if type(others) is not int or others >= self.version or others not in VERSIONS_ACCEPTED:
            return False
        self.version, self.open, self.said_hello_at_s = others, None, None
        return True

    def _end(self, verdict: Literal["lost", "refused"]) -> Literal["lost", "refused"]:
        self.open = None
        self.said_hello_at_s = None
        # It may be another program by now.
        self.version = WIRE_VERSION
        return verdict


@dataclass(slots=True)
class Peer:
    """The other end, as its hello describes it. ``identity`` is unique to one start of one process.

    ``key``: of its connection, "" where there are no keys. ``version``: of the wire, in which it is spoken to.
    """

    identity: bytes
    role: str
    name: str
    nonce: str
    pid: int
    started: int
    host: str
    body: dict[str, Any]
    run: str = ""
    key: str = field(default="", repr=False)
    version: int = WIRE_VERSION
    heard_at_s: float = 0.0
    turns: int = 0
    # Frames that it had been sent when its last beat was answered.
    sent_at_beat: int = 0
    open: Session | None = field(default=None, repr=False)

    @property
    def session(self) -> int:
        """The session's number, 0 without one."""
        return self.open.number if self.open else 0

    def is_same_process_as(self, other: "Peer") -> bool:
        """By what both say of themselves, and the key that they have in common."""
        mine, others = ((p.role, p.name, p.pid, p.started, p.host, p.key) for p in (self, other))
        return mine == others


def parse_hello(identity: bytes, message: Message) -> Peer | None:
    """The peer of a hello, or None where it breaks the rules of docs/wire.md §3."""
    if len(message.body) != 7:
        return None
    role, name, nonce, pid, started, host, body = message.body
    if not all(isinstance(text, str) for text in (role, name, nonce, host)):
        return None
    if type(pid) is not int or type(started) is not int or not isinstance(body, dict):
        return None
    if identity != f"{name}.{nonce}".encode():
        return None
    run = body.pop("run", "")
    if not isinstance(run, str):
        return None
    return Peer(identity, role, name, nonce, pid, started, host, body, run, version=message.version)


@dataclass(slots=True)
class ServerSessions:
    """The end that binds: who is here, by identity. ``new_session`` gives a fresh number at each call."""

    new_session: Callable[[], int]
    silent_s: float
    peers: dict[bytes, Peer] = field(default_factory=dict)

    def next_of(self, identity: bytes, frame: Frame, now_s: float) -> Peer | None:
        """The peer whose next counted frame this is; None: `on_message` decides."""
        peer = self.peers.get(identity)
        if peer is not None and peer.open is not None and peer.open.accepts(frame):
            peer.heard_at_s = now_s
            return peer
        return None

    def on_message(self, identity: bytes, message: Message, now_s: float) -> ServerVerdict:
        """What to do with a message that is not the next counted one of its session.

        "reset": its session, if there is one, is void and must be ended.

        "hello" leaves the peer unknown until `welcome`.
        """
        if message.kind == "hello":
            return "hello"
        peer = self.peers.get(identity.removesuffix(BEAT_SUFFIX))
        if peer is None or peer.open is None:
            return "reset"
        if message.session != peer.open.number:
            # Sent before the peer got its newer session, or by a process before it: void either way.
            return "ignore"
        peer.heard_at_s = now_s
        if message.kind == "beat":
            peer.turns = message.body[0] if message.body and type(message.body[0]) is int else peer.turns
            # What it was sent since its last beat has shown that we live: an answer would wake it for nothing.
            is_answered, peer.sent_at_beat = peer.open.sent > peer.sent_at_beat, peer.open.sent
            return "ignore" if is_answered else "beat"
        return "reset"

    def welcome(self, peer: Peer, now_s: float) -> int:
        """Opens a session for the peer of a hello and returns its number."""
        peer.open, peer.sent_at_beat = Session(self.new_session(), peer.version), 0
        peer.heard_at_s = now_s
        self.peers[peer.identity] = peer
        return peer.open.number

    def silent(self, now_s: float) -> list[Peer]:
        """Peers that have sent nothing for longer than allowed."""
        return [peer for peer in self.peers.values() if now_s - peer.heard_at_s > self.silent_s]

    def end(self, identity: bytes) -> Peer | None:
        """Forgets the peer; None if it was not here."""
        return self.peers.pop(identity, None)
