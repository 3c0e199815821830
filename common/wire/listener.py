"""The end that binds: a ROUTER that keeps a session with each peer."""

import logging
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from deltawire.common.clock import Clock
from deltawire.common.errors import ProtocolError
from deltawire.common.limits import BATCH_BYTES_MAX, MESSAGE_BYTES_MAX, RESETS_EVERY_S, RESETS_MAX
from deltawire.common.wire import codec, keys, sockets
from deltawire.common.wire.bounded_log import BoundedLog
from deltawire.common.wire.codec import WIRE_VERSION, Frame, UnspokenVersion, unpack
from deltawire.common.wire.guard import Guard
from deltawire.common.wire.identity import is_known_dead
from deltawire.common.wire.listener_events import Arrived, Ending, Gone, Hello, ListenerEvent
from deltawire.common.wire.session import (
    BEAT_SUFFIX,
    Allowance,
    Message,
    Peer,
    ServerSessions,
    message_of,
    parse_hello,
)
from deltawire.common.wire.unread import Unread

log = logging.getLogger(__name__)
_BEAT, _RESET = codec.encode(codec.plain("beat")), codec.encode(codec.plain("reset"))
# How often peers on this host are looked up in the process table.
_LOOK_EVERY_S = 0.5
# A socket that could not be bound again for so long is named in the log.
_SLOW_S = 5.0
# Of a name that a stranger gave itself, in the log.
_SHOWN_CHARS = 80


class Listener:
    """One bound socket with the session rules of docs/wire.md §3. Not thread-safe."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        *,
        clock: Clock,
        silent_s: float,
        run: str = "",
    ) -> None:
        """``run``: peers of another run are refused; where one side has none, nothing is compared."""
        self._run = run
        self.endpoint = endpoint
        self._context = context
        self.socket, self._lock, self._guard = sockets.bind(context, endpoint, clock)
        # Of the connection that the frame in hand came on.
        self._key = ""
        self._looked_at_keys_s = clock.now_s()
        self._is_unbound, self._unbound_at_s = False, 0.0
        # Answers to a flood are bounded: a peer without an answer says hello anyway.
        self._resets = Allowance(RESETS_MAX, RESETS_EVERY_S)
        self._warn = BoundedLog(log, endpoint, clock).warning
        # Messages that broke the rules, and hellos that were refused.
        self.malformed = 0
        self.refused = 0
        self._clock = clock
        self._sessions = ServerSessions(lambda: secrets.randbits(53) | 1, silent_s)
        self._gone: list[ListenerEvent] = []
        # Called when a peer was found gone; `receive` returns which.
        self.on_gone: Callable[[], object] = lambda: None
        self._looked_at_s = 0.0
        self._waiting: dict[bytes, Peer] = {}
        # Of peers that asked something; it outlives the session, as the connection does.
        self._unread: dict[bytes, Unread] = {}
        self._when_first: Callable[[], object] | None = None
        self._when_used: Callable[[], object] | None = None
        self._ends: sockets.Ends | None = None

    def watch_ends(self) -> None:
        """Let `tick` find at once whose connection has ended, also where its process cannot be seen."""
        self._ends = sockets.Ends(self.socket)

    @property
    def unanswered(self) -> int:
        """Messages of peers without a session that got no reset, since others got as many as may be."""
        return self._resets.refused

    @property
    def connections_refused(self) -> int:
        """Connections that were refused for their key, before they said anything."""
        return 0 if self._guard is None else self._guard.refused

    @property
    def peers(self) -> list[Peer]:
        return list(self._sessions.peers.values())

    def receive(self, frames_max: int = 100) -> list[ListenerEvent]:
        """What has arrived, and who was found gone while sending, without waiting."""
        events = self._take_gone() if self._gone else []
        socket = self.socket
        for number in range(frames_max):
            # Mostly there is one message and no more: asking first costs less than the exception for none.
            if number and not sockets.has_message(socket):
                return events
            try:
                identity = socket.recv(sockets.NOBLOCK)
            except zmq.Again:
                return events
            part = socket.recv(sockets.NOBLOCK, copy=False)
            data = part.bytes
            # A frame knows whether more follows; asking the socket costs twice as much.
            if part.more:
                # A peer that breaks the rules: what belongs together stays together.
                data = b"".join([data, *socket.recv_multipart(sockets.NOBLOCK)])
            if self._guard is not None:
                self._key = str(part.get("User-Id"))
                if not self._guard.may_speak(self._key, identity):
                    self._reject_stranger(identity, self._key)
                    continue
            try:
                frame = unpack(data)
            except ProtocolError as error:
                self._reject(identity, error)
                events += self._take_gone()
                continue
            peer = self._sessions.next_of(identity, frame, self._clock.now_s())
            if peer is not None:
                for message in frame.messages:
                    events.append(Arrived(peer, message))
            else:
                events = self._take(identity, frame, events)
        if self._when_used is not None:
            self._when_used()
        return events

    def welcome(self, peer: Peer, body: dict[str, Any] | None = None) -> bool:
        """Opens the session that a Hello asked for; False if the peer has vanished since."""
        session = self._sessions.welcome(peer, self._clock.now_s())
        if self._guard is not None:
            self._guard.opens(peer.key, peer.identity)
        welcome = codec.encode(codec.plain("welcome", body or {}))
        return self._transmit(peer.identity, codec.pack(session, 0, welcome, version=peer.version))

    def refuse(self, peer: Peer, reason: str) -> None:
        self.refused += 1
        self._warn("refused %s: %s", peer.name[:_SHOWN_CHARS], reason)
        if self._resets.take(self._clock.now_s(), (peer.identity, "refuse")):
            refusal = codec.encode(codec.plain("refuse", reason))
            self._transmit(peer.identity, codec.pack(0, 0, refusal, version=peer.version))

    def reset(self, peer: Peer, reason: str) -> None:
        """Ends a session whose peer broke the rules; it must say hello again. A Gone follows."""
        self._end(peer.identity, reason, Ending.RESET)
        self._transmit(peer.identity, codec.pack(peer.session, 0, _RESET, version=peer.version))

    def let_go(self, peer: Peer, reason: str) -> None:
        """Ends the session of a peer that has said goodbye. A Gone follows."""
        self._end(peer.identity, reason, Ending.LEFT)

    @property
    def guard(self) -> Guard | None:
        """Who may do what; None where there are no keys."""
        return self._guard

    def gather(self, when_first: Callable[[], object], when_used: Callable[[], object] | None = None) -> None:
        """As `Link.gather`."""
        self._when_first, self._when_used = when_first, when_used

    def send(
        self, identity: bytes, message: msgspec.Struct | msgspec.Raw, unread: Unread | None = None
    ) -> bool:
        """Sends to a peer with a session; False if there is none (any more): a Gone was or will be reported.

        ``unread``: of an answer (`answer`), to which it is added.
        Raises CapacityError for a message over the bound. At the high-water mark the session ends.
        """
        peer = self._sessions.peers.get(identity)
        session = None if peer is None else peer.open
        if peer is None or session is None:
            return False
        data = codec.packed(message)
        size = len(data)
        if size > MESSAGE_BYTES_MAX:
            raise codec.too_large(message, size)
        if session.waiting_bytes + size > BATCH_BYTES_MAX:
            # Only one that travels alone may be larger than a batch.
            self._flush(peer)
        session.waiting.append(msgspec.Raw(data))
        session.waiting_bytes += size
        if unread is not None:
            unread.add(size)
        if self._when_first is None:
            return self._flush(peer)
        if not self._waiting:
            self._when_first()
        self._waiting[identity] = peer
        return True

    def answer(self, peer: Peer, message: msgspec.Struct | msgspec.Raw) -> bool:
        """As `send`, for what the peer has asked for and no credit bounds: only while `may_answer`."""
        if not self.has(peer):
            return False
        return self.send(peer.identity, message, self._unread.setdefault(peer.identity, Unread()))

    def may_answer(self, peer: Peer) -> bool:
        """False while the peer's connection has not taken as many answers as may wait (`UNREAD_BYTES_MAX`)."""
        unread = self._unread.get(peer.identity)
        return unread is None or unread.has_room()

    def has(self, peer: Peer) -> bool:
        """True while the session of a peer that has come goes on."""
        return self._sessions.peers.get(peer.identity) is peer

    def flush(self) -> None:
        """Sends what waits, one frame a peer."""
        waiting, self._waiting = self._waiting, {}
        peers = self._sessions.peers
        for identity, peer in waiting.items():
            if peers.get(identity) is peer:
                self._flush(peer)

    def _flush(self, peer: Peer) -> bool:
        """Sends what waits for a peer, as its session's next frame."""
        session = peer.open
        if session is None or not session.waiting:
            return False
        messages, session.waiting, session.waiting_bytes = session.waiting, [], 0
        data = codec.packed([session.version, session.number, session.sent + 1, messages])
        if self._when_used is not None:
            self._when_used()
        unread = self._unread.get(peer.identity) if self._unread else None
        try:
            if unread is not None and unread.wants_mark:
                unread.mark(sockets.send_followed(self.socket, peer.identity, data))
            else:
                self.socket.send(peer.identity, sockets.SNDMORE)
                self.socket.send(data, sockets.NOBLOCK)
        except zmq.ZMQError as error:
            self._was_not_sent(peer.identity, error)
            return False
        session.sent += 1
        return True

    def tick(self) -> None:
        """Finds silent and dead peers; their Gone comes with the next `receive`."""
        now_s = self._clock.now_s()
        if self._ends is not None and self._ends.were_seen(now_s):
            for peer in self.peers:
                # libzmq does not say whose it was: sending to that one fails.
                self._transmit(peer.identity, codec.pack(peer.session, 0, _BEAT, version=peer.version))
        for peer in self._sessions.silent(now_s):
            self._end(peer.identity, f"silent for {now_s - peer.heard_at_s:.1f} s")
        if self._guard is not None and now_s - self._looked_at_keys_s >= keys.LOOK_EVERY_S:
            self._look_at_keys(self._guard)
            # Until the former connections are closed the address is taken.
            self._looked_at_keys_s = float("-inf") if self._is_unbound else now_s
        if now_s - self._looked_at_s >= _LOOK_EVERY_S:
            self._looked_at_s = now_s
            self._forget_read()
            for peer in self.peers:
                if is_known_dead(peer.pid, peer.started, peer.host):
                    self._end(peer.identity, f"process {peer.pid} is dead")

    def close(self) -> None:
        self.flush()
        if self._ends is not None:
            self._ends.close()
        self.socket.close(linger=0)
        if self._lock:
            self._lock.close()

    def _forget_read(self) -> None:
        """Of peers without a session what their connections have taken, or dropped."""
        peers = self._sessions.peers
        for identity in [i for i, unread in self._unread.items() if i not in peers and unread.is_done]:
            del self._unread[identity]

    def _look_at_keys(self, guard: Guard) -> None:
        """End the sessions of keys that are allowed no longer, and all connections: the others come back."""
        change = guard.look()
        if change is not None:
            for identity in change.revoked:
                self._end(identity, "its key is not allowed any more")
            for peer in [peer for peer in self.peers if peer.identity in change.limited]:
                # It says hello again, and is asked what it wants to read.
                self.reset(peer, "what its key may read has changed")
            if change.revoked or change.is_own_new:
                if not self._is_unbound:
                    sockets.unbind(self._context, self.socket, self.endpoint)
                    self._unbound_at_s = self._clock.now_s()
                self._is_unbound = True
        if self._is_unbound:
            self._is_unbound = not sockets.bind_again(self._context, self.socket, self.endpoint)
            if self._is_unbound and self._clock.now_s() - self._unbound_at_s >= _SLOW_S:
                self._unbound_at_s = self._clock.now_s()
                log.error("%s cannot be bound again: is its port taken?", self.endpoint)

    def _take(self, identity: bytes, frame: Frame, events: list[ListenerEvent]) -> list[ListenerEvent]:
        """A frame that is not the next of its session. Returns ``events`` with what follows from it."""
        hello = None
        try:
            message = message_of(frame)
            verdict = self._sessions.on_message(identity, message, self._clock.now_s())
            if verdict == "hello":
                hello = self._hello(identity, message)
            elif verdict == "beat":
                beat = codec.pack(message.session, 0, _BEAT, version=message.version)
                self._transmit(identity.removesuffix(BEAT_SUFFIX), beat)
            elif verdict == "reset":
                self._void(identity.removesuffix(BEAT_SUFFIX), message)
        except ProtocolError as error:
            self._reject(identity, error)
        # A session that this message ended is reported before the message itself.
        events += self._take_gone()
        if hello is None:
            return events
        # A listener that stood still finds all hellos that a peer has sent since. The sessions of the earlier ones
        # would be void before they were reported, and no Gone would report their end.
        others = [e for e in events if not (isinstance(e, Hello) and e.peer.identity == identity)]
        return [*others, hello]

    def _hello(self, identity: bytes, message: Message) -> Hello | None:
        peer = parse_hello(identity, message)
        if peer is None:
            self._reject(identity, "a hello that breaks the rules")
            return None
        peer.key = self._key
        if self._guard is not None and (reason := self._guard.objection(peer.key, peer)):
            self.refuse(peer, reason)
            return None
        self._end(identity, "said hello again", Ending.AGAIN)
        if self._guard is not None:
            # A process whose connection was made anew has another identity.
            for former in [other for other in self.peers if other.is_same_process_as(peer)]:
                self._end(former.identity, "said hello again", Ending.AGAIN)
        if self._run and peer.run and peer.run != self._run:
            self.refuse(peer, "it belongs to another run of this pipeline")
            return None
        return Hello(peer)

    def _void(self, identity: bytes, message: Message) -> None:
        self._end(identity, "messages between us were lost", Ending.RESET)
        if self._resets.take(self._clock.now_s(), (identity, message.session)):
            self._transmit(identity, codec.pack(message.session, 0, _RESET, version=message.version))

    def _reject(self, identity: bytes, reason: ProtocolError | str) -> None:
        """What a peer sent cannot be taken. One of another version is refused in its version; it may know mine."""
        self.malformed += 1
        self._warn("malformed message from %r on %s: %s", identity[:_SHOWN_CHARS], self.endpoint, reason)
        if isinstance(reason, UnspokenVersion):
            self._end(identity, f"changed its version: {reason}", Ending.RESET)
            if self._resets.take(self._clock.now_s(), (identity, "version")):
                refusal = codec.encode(codec.plain("refuse", str(reason), WIRE_VERSION))
                self._transmit(identity, codec.pack(0, 0, refusal, version=reason.version))
        elif (peer := self._sessions.peers.get(identity)) is not None:
            self.reset(peer, f"sent a malformed message: {reason}")

    def _reject_stranger(self, identity: bytes, key: str) -> None:
        """A message of a peer by a connection with another key than the peer's: it counts for nothing."""
        self.malformed += 1
        self._warn("%s: what %r sent with key %s is ignored", self.endpoint, identity[:_SHOWN_CHARS], key)

    def _take_gone(self) -> list[ListenerEvent]:
        gone, self._gone = self._gone, []
        return gone

    def _end(self, identity: bytes, reason: str, how: Ending = Ending.LOST) -> None:
        peer = self._sessions.end(identity)
        if peer is not None:
            if self._guard is not None:
                self._guard.ends(identity)
            self._gone.append(Gone(peer, reason, how))
            self.on_gone()

    def _transmit(self, identity: bytes, data: bytes) -> bool:
        """Sends a frame that is not counted; False where the peer is not there."""
        if self._when_used is not None:
            self._when_used()
        try:
            self.socket.send(identity, sockets.SNDMORE)
            self.socket.send(data, sockets.NOBLOCK)
        except zmq.ZMQError as error:
            self._was_not_sent(identity, error)
            return False
        return True

    def _was_not_sent(self, identity: bytes, error: zmq.ZMQError) -> None:
        """The peer is not there, or it lets what it is sent pile up: then it is named."""
        if isinstance(error, zmq.Again):
            self._warn("%r on %s does not read what it is sent", identity[:_SHOWN_CHARS], self.endpoint)
            self._end(identity, "it does not read what it is sent")
        elif error.errno == zmq.EHOSTUNREACH:
            self._end(identity, "its connection is gone")
        else:
            raise error
