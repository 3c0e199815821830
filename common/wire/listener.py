"""The end that binds: a ROUTER that keeps a session with each peer."""

import logging
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from deltawire.common.clock import Clock
from deltawire.common.errors import ProtocolError
from deltawire.common.limits import RESETS_EVERY_S, RESETS_MAX
from deltawire.common.wire import keys, sockets
from deltawire.common.wire.bounded_log import BoundedLog
from deltawire.common.wire.codec import WIRE_VERSION, Frame, UnspokenVersion, encode, pack, plain, unpack
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
_NOBLOCK = int(zmq.NOBLOCK)
_BEAT, _RESET = encode(plain("beat")), encode(plain("reset"))
# How often peers on this host are looked up in the process table.
_LOOK_EVERY_S = 0.5
# A socket that could not be bound again for so long is named in the log.
_SLOW_S = 5.0
# After a connection has ended all peers are tried for so long.
_PROBE_S = 0.3
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
        self._receive = sockets.receive_from if self._guard is None else self._receive_with_key
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
        self._ends: zmq.Socket[bytes] | None = None
        self._probe_until_s = 0.0

    def watch_ends(self) -> None:
        """Let `tick` find at once whose connection has ended, also where its process cannot be seen."""
        self._ends = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)

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
        for number in range(frames_max):
            # Mostly there is one message and no more: asking first costs less than the exception for none.
            found = None if number and not sockets.has_message(self.socket) else self._receive(self.socket)
            if found is None:
                return events
            identity, data = found
            if self._guard is not None and not self._guard.may_speak(self._key, identity):
                self._reject_stranger(identity, self._key)
                continue
            try:
                frame = unpack(data)
            except UnspokenVersion as error:
                self._say_version(identity, error)
                events += self._take_gone()
                continue
            except ProtocolError as error:
                self._reject(identity, str(error))
                events += self._take_gone()
                continue
            peer = self._sessions.next_of(identity, frame, self._clock.now_s())
            if peer is not None:
                for message in frame.messages:
                    events.append(Arrived(peer, message))
                continue
            taken = self._take(identity, frame)
            # A session that this message ended is reported before the message itself.
            events += self._take_gone()
            if taken and isinstance(hello := taken[0], Hello):
                # A listener that stood still finds all hellos that a peer has sent since. The sessions of the
                # earlier ones would be void before they were reported, and no Gone would report their end.
                events = [
                    e for e in events if not (isinstance(e, Hello) and e.peer.identity == hello.peer.identity)
                ]
            events += taken
        if self._when_used is not None:
            self._when_used()
        return events

    def welcome(self, peer: Peer, body: dict[str, Any] | None = None) -> bool:
        """Opens the session that a Hello asked for; False if the peer has vanished since."""
        session = self._sessions.welcome(peer, self._clock.now_s())
        if self._guard is not None:
            self._guard.opens(peer.key, peer.identity)
        welcome = encode(plain("welcome", body or {}))
        return self._transmit(peer.identity, pack(session, 0, welcome, version=peer.version))

    def refuse(self, peer: Peer, reason: str) -> None:
        self.refused += 1
        self._warn("refused %s: %s", peer.name[:_SHOWN_CHARS], reason)
        if self._resets.take(self._clock.now_s(), (peer.identity, "refuse")):
            refusal = encode(plain("refuse", reason))
            self._transmit(peer.identity, pack(0, 0, refusal, version=peer.version))

    def reset(self, peer: Peer, reason: str) -> None:
        """Ends a session whose peer broke the rules; it must say hello again. A Gone follows."""
        self._end(peer.identity, reason, Ending.RESET)
        self._transmit(peer.identity, pack(peer.session, 0, _RESET, version=peer.version))

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

    def send(self, identity: bytes, message: msgspec.Struct | msgspec.Raw) -> bool:
        """Sends to a peer with a session; False if there is none (any more): a Gone was or will be reported.

        Raises CapacityError for a message over the bound. At the high-water mark the session ends.
        """
        peer = self._sessions.peers.get(identity)
        return peer is not None and peer.counter is not None and self._gather(peer, encode(message))

    def answer(self, peer: Peer, message: msgspec.Struct | msgspec.Raw) -> bool:
        """As `send`, for what the peer has asked for and no credit bounds: only while `may_answer`."""
        if not self.has(peer):
            return False
        return self._gather(peer, encode(message), self._unread.setdefault(peer.identity, Unread()))

    def may_answer(self, peer: Peer) -> bool:
        """False while the peer's connection has not taken as many answers as may wait (`UNREAD_BYTES_MAX`)."""
        unread = self._unread.get(peer.identity)
        return unread is None or unread.has_room()

    def has(self, peer: Peer) -> bool:
        """True while the session of a peer that has come goes on."""
        return self._sessions.peers.get(peer.identity) is peer

    def _gather(self, peer: Peer, data: bytes, unread: Unread | None = None) -> bool:
        if not peer.gathered.add(data):
            self._flush(peer)
            peer.gathered.add(data)
        if unread is not None:
            unread.add(len(data))
        if self._when_first is None:
            return self._flush(peer)
        if not self._waiting:
            self._when_first()
        self._waiting[peer.identity] = peer
        return True

    def flush(self) -> None:
        """Sends what was gathered, one frame a peer."""
        waiting, self._waiting = self._waiting, {}
        peers = self._sessions.peers
        for identity, peer in waiting.items():
            if peers.get(identity) is peer:
                self._flush(peer)

    def _flush(self, peer: Peer) -> bool:
        counter = peer.counter
        data = peer.gathered.frame(counter) if counter is not None else None
        if counter is None or data is None or not self._transmit(peer.identity, data):
            return False
        counter.sent += 1
        return True

    def tick(self) -> None:
        """Finds silent and dead peers; their Gone comes with the next `receive`."""
        now_s = self._clock.now_s()
        if self._ends is not None and self._has_ended(self._ends, now_s):
            for peer in self.peers:
                # libzmq does not say whose it was: sending to that one fails.
                self._transmit(peer.identity, pack(peer.session, 0, _BEAT, version=peer.version))
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
            self.socket.disable_monitor()
            self._ends.close(linger=0)
        self.socket.close(linger=0)
        if self._lock:
            self._lock.close()

    def _has_ended(self, ends: "zmq.Socket[bytes]", now_s: float) -> bool:
        """True for `_PROBE_S` after a connection has ended: libzmq reports the end before a send fails."""
        while sockets.has_message(ends):
            ends.recv_multipart(zmq.NOBLOCK)
            self._probe_until_s = now_s + _PROBE_S
        return now_s < self._probe_until_s

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

    def _receive_with_key(self, socket: "zmq.Socket[bytes]") -> tuple[bytes, bytes] | None:
        found = sockets.receive_with_key(socket)
        if found is None:
            return None
        identity, data, self._key = found
        return identity, data

    def _take(self, identity: bytes, frame: Frame) -> list[ListenerEvent]:
        """A frame that is not the next of its session."""
        try:
            message = message_of(frame)
        except ProtocolError as error:
            self._reject(identity, str(error))
            return []
        verdict = self._sessions.on_message(identity, message, self._clock.now_s())
        if verdict == "hello":
            hello = self._hello(identity, message)
            return [] if hello is None else [hello]
        if verdict == "beat":
            beat = pack(message.session, 0, _BEAT, version=message.version)
            self._transmit(identity.removesuffix(BEAT_SUFFIX), beat)
        elif verdict == "reset":
            self._void(identity.removesuffix(BEAT_SUFFIX), message)
        return []

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
            self._transmit(identity, pack(message.session, 0, _RESET, version=message.version))

    def _say_version(self, identity: bytes, error: UnspokenVersion) -> None:
        """Refuse a peer of another version, in its version; it may know mine."""
        self.malformed += 1
        self._warn("malformed message from %r on %s: %s", identity[:_SHOWN_CHARS], self.endpoint, error)
        self._end(identity, f"changed its version: {error}", Ending.RESET)
        if self._resets.take(self._clock.now_s(), (identity, "version")):
            refusal = encode(plain("refuse", str(error), WIRE_VERSION))
            self._transmit(identity, pack(0, 0, refusal, version=error.version))

    def _reject(self, identity: bytes, reason: str) -> None:
        self.malformed += 1
        self._warn("malformed message from %r on %s: %s", identity[:_SHOWN_CHARS], self.endpoint, reason)
        peer = self._sessions.peers.get(identity)
        if peer is not None:
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
        """False where the peer is not there. One that lets what it is sent pile up loses its session, and is named."""
        if self._when_used is not None:
            self._when_used()
        unread = self._unread.get(identity) if self._unread else None
        try:
            if unread is not None and unread.wants_mark:
                unread.mark(sockets.send_followed(self.socket, identity, data))
            else:
                sockets.send_to(self.socket, identity, data)
        except zmq.Again:
            self._warn("%r on %s does not read what it is sent", identity[:_SHOWN_CHARS], self.endpoint)
            self._end(identity, "it does not read what it is sent")
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._end(identity, "its connection is gone")
            return False
        return True
