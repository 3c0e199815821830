"""The end that connects: a DEALER that keeps one session with one ROUTER."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from deltawire.common.clock import Clock
from deltawire.common.errors import CapacityError, ConfigError, ProtocolError
from deltawire.common.limits import BATCH_BYTES_MAX, MESSAGE_BYTES_MAX
from deltawire.common.wire import codec, keys, sockets
from deltawire.common.wire.codec import WIRE_VERSION, Frame, unpack
from deltawire.common.wire.identity import Identity
from deltawire.common.wire.network import TCP, Network, network_of
from deltawire.common.wire.session import BEAT_SUFFIX, ClientSession, message_of

log = logging.getLogger(__name__)
# Silence is looked for so much later: what comes just in time comes first.
LOOK_LATE_S = 0.1
# Hellos without an answer, on TCP: then the connection is made anew.
HELLOS_MAX = 2


class Opened(msgspec.Struct, frozen=True):
    """A new session stands; ``body`` is what the welcome carried."""

    body: dict[str, Any]


class Lost(msgspec.Struct, frozen=True):
    """The session ended. Everything held from it must be dropped now, before the next hello is made."""

    reason: str


class Refused(msgspec.Struct, frozen=True):
    """The other end refused the hello; the link tries again later."""

    reason: str


class Arrived(msgspec.Struct, frozen=True):
    """A message of the present session, packed (`codec.Decoder`)."""

    message: msgspec.Raw


LinkEvent = Opened | Lost | Refused | Arrived


class Link:
    """One connection with the session rules of docs/wire.md §3.

    ``hello`` makes the role's own part of the hello each time one is said; a `Lost` is always handed out
    before. Not thread-safe: one thread owns a Link.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        identity: Identity,
        hello: Callable[[], dict[str, Any]],
        *,
        clock: Clock,
        silent_s: float,
    ) -> None:
        self.endpoint = endpoint
        self.identity = identity
        self._context = context
        self._network = network_of(context) if endpoint.startswith(TCP) else None
        self._keys = self._network.keys_for(endpoint) if self._network is not None else ()
        self._unanswered = 0
        self._attempts = 0
        self._is_refused = False
        self.socket = sockets.connect(context, endpoint, identity.bytes)
        self.malformed = 0
        self._hello = hello
        self._clock = clock
        self._silent_s = silent_s
        self._session = ClientSession()
        self._heard_at_s = clock.now_s()
        self._when_first: Callable[[], object] | None = None
        self._when_used: Callable[[], object] | None = None

    @property
    def is_open(self) -> bool:
        return self._session.open is not None

    @property
    def session(self) -> tuple[int, int]:
        """The session's number, 0 without one, and its version of the wire; read by the heartbeat's thread."""
        session = self._session.open
        return (session.number, session.version) if session else (0, WIRE_VERSION)

    @property
    def due_s(self) -> float:
        """When `tick` has something to do at the earliest, monotonic."""
        if self.is_open:
            silent_at_s = self._heard_at_s + self._silent_s + LOOK_LATE_S
            # A changed key is seen soon.
            return silent_at_s if self._network is None else min(silent_at_s, self._clock.now_s() + keys.LOOK_EVERY_S)
        return self._session.hello_due_s()

    @property
    def beat_identity(self) -> bytes:
        return self.identity.bytes + BEAT_SUFFIX

    def gather(self, when_first: Callable[[], object], when_used: Callable[[], object] | None = None) -> None:
        """From now on messages wait for `flush`; ``when_first`` is called when the first one does.

        ``when_used`` is called when something was given to the socket, and when not all was read that it may have.
        """
        self._when_first, self._when_used = when_first, when_used

    def send(self, message: msgspec.Struct | msgspec.Raw) -> bool:
        """Sends one message; False if no session is open (nothing was sent, a Lost was or will be reported).

        Raises CapacityError for a message over the bound, or if the socket's high-water mark is reached,
        which credit forbids.
        """
        session = self._session.open
        if session is None:
            return False
        data = codec.packed(message)
        size = len(data)
        if size > MESSAGE_BYTES_MAX:
            raise codec.too_large(message, size)
        is_first = not session.waiting
        if session.waiting_bytes + size > BATCH_BYTES_MAX:
            # Only one that travels alone may be larger than a batch.
            self.flush()
        session.waiting.append(msgspec.Raw(data))
        session.waiting_bytes += size
        if self._when_first is None:
            self.flush()
        elif is_first:
            self._when_first()
        return True

    def flush(self) -> None:
        """Sends what waits, as the session's next frame."""
        session = self._session.open
        if session is not None and session.waiting:
            messages, session.waiting, session.waiting_bytes = session.waiting, [], 0
            data = codec.packed([session.version, session.number, session.sent + 1, messages])
            if self._when_used is not None:
                self._when_used()
            try:
                self.socket.send(data, sockets.NOBLOCK)
            except zmq.Again:
                self._is_full()
            session.sent += 1

    def receive(self, frames_max: int = 100) -> list[LinkEvent]:
        """What has arrived, without waiting."""
        events: list[LinkEvent] = []
        for number in range(frames_max):
            # Mostly there is one message and no more: asking first costs less than the exception for none.
            if number and not sockets.has_message(self.socket):
                return events
            try:
                # Of a peer that breaks the rules each part of a message is one to us.
                frame = unpack(self.socket.recv(sockets.NOBLOCK))
            except zmq.Again:
                return events
            except ProtocolError as error:
                self._is_malformed(error)
                continue
            if self._session.is_next(frame):
                self._heard_at_s = self._clock.now_s()
                events.extend(map(Arrived, frame.messages))
            else:
                self._take(frame, events)
        if self._when_used is not None:
            self._when_used()
        return events

    def tick(self) -> list[LinkEvent]:
        """Says hello where it is due, and notices a silent peer. Call at least a few times a second."""
        now_s = self._clock.now_s()
        events: list[LinkEvent] = []
        is_new = self._network is not None and self._is_connected_again(self._network, now_s)
        if self.is_open and (is_new or self._is_refused):
            events.append(self._lost("its key has changed" if is_new else "its key was refused"))
        elif self.is_open and now_s - self._heard_at_s > self._silent_s:
            events.append(self._lost(f"nothing heard for {now_s - self._heard_at_s:.1f} s"))
        # After a Lost the role drops what it holds first; its next tick says hello.
        elif self._session.hello_due(now_s):
            me = self.identity
            body = {**self._hello(), "run": me.run} if me.run else self._hello()
            hello = codec.plain("hello", me.role, me.name, me.nonce, me.pid, me.started, me.host, body)
            self._unanswered += 1
            if self._when_used is not None:
                self._when_used()
            try:
                self.socket.send(
                    codec.pack(0, 0, codec.encode(hello), version=self._session.version), sockets.NOBLOCK
                )
            except zmq.Again:
                self._is_full()
            self._session.said_hello(now_s)
        return events

    def close(self) -> None:
        self.flush()
        self.socket.close(linger=0)

    def _lost(self, reason: str) -> Lost:
        self._session = ClientSession()
        return Lost(reason)

    def _is_connected_again(self, network: Network, now_s: float) -> bool:
        """Connect anew where a key has changed, and where hellos are not answered: the other end may have another key
        by now, or hold a former connection for alive."""
        found = network.keys_for(self.endpoint)
        is_due = self._session.hello_due(now_s)
        if found != self._keys:
            self._keys, self._unanswered, self._attempts = found, 0, 0
        elif is_due and (self._is_refused or self._unanswered >= HELLOS_MAX):
            self._unanswered, self._attempts = 0, self._attempts + 1
        else:
            return False
        identity = self.identity.again()
        try:
            sockets.connect_again(self._context, self.socket, self.endpoint, identity.bytes, self._attempts)
            self.identity = identity
            self._is_refused = False
        except ConfigError as error:
            log.warning("%s: connected as before: %s", self.endpoint, error)
            return False
        return True

    def _is_malformed(self, error: ProtocolError) -> None:
        self.malformed += 1
        log.warning("malformed message from %s: %s", self.endpoint, error)

    def _take(self, frame: Frame, events: list[LinkEvent]) -> None:
        """A frame that is not the next of the session."""
        try:
            message = message_of(frame)
        except ProtocolError as error:
            self._is_malformed(error)
            return
        now_s = self._clock.now_s()
        verdict = self._session.on_message(message, now_s)
        if verdict != "ignore":
            self._heard_at_s = now_s
        if verdict == "opened":
            self._unanswered = 0
            events.append(
                Opened(message.body[0] if message.body and isinstance(message.body[0], dict) else {})
            )
        elif verdict == "lost":
            events.append(Lost(f"session ended by {message.kind or 'a gap between messages'}"))
        elif verdict == "refused":
            events.append(Refused(str(message.body[0]) if message.body else "no reason given"))

    def _is_full(self) -> None:
        if self._network is not None and self._network.is_keyed:
            # Its key was refused: libzmq gave the connection up, and there is nothing to send to.
            self._is_refused = True
            return
        reason = f"the socket to {self.endpoint} is full: more was sent than credit allows"
        raise CapacityError(reason) from None
