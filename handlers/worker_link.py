"""One replica's connection to one informer worker: hello, events in, acks out, queries.

Not here: what to do with an event (``dispatch``), the loop that waits (``runner``).
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import zmq

from deltawire.common.clock import Clock
from deltawire.common.errors import ProtocolError
from deltawire.common.meta.clauses import Clause
from deltawire.common.wire.codec import Decoder
from deltawire.common.wire.identity import Identity
from deltawire.common.wire.link import Arrived, Link, LinkEvent, Opened
from deltawire.common.wire.messages import group as wire
from deltawire.handlers.dispatch import Ack, Verdict
from deltawire.handlers.events import Delivery
from deltawire.handlers.settings import Settings

log = logging.getLogger(__name__)


class Received(NamedTuple):
    """New events of an informer."""

    informer: str
    deliveries: list[Delivery]


class Dropped(NamedTuple):
    """The session ended: forget its events, except those whose calls have begun."""

    reason: str


LinkNews = (
    Received
    | wire.AcksWanted
    | Dropped
    | wire.Opened
    | wire.Synced
    | wire.Rows
    | wire.Changes
    | wire.Problem
    | wire.InformerProofs
    | wire.Gap
)
_DECODE: Decoder[wire.ToHandler] = Decoder(wire.ToHandler)


class WorkerLink:
    """Speaks docs/wire.md §7. ``held`` gives the events that have no verdict yet, for each hello."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        number: int,
        endpoint: str,
        identity: Identity,
        settings: Settings,
        informers: list[str],
        held: Callable[[int], Iterable[Delivery]],
        *,
        clock: Clock,
        silent_s: float,
        filters: Mapping[str, Sequence[Clause]] | None = None,
    ) -> None:
        """``filters``: the clauses of the functions, by informer."""
        self._filters = dict(filters or {})
        self.number = number
        self.problems = 0
        # The worker says so when something waits for an ack.
        self.asks = False
        self._settings = settings
        self._informers = informers
        self._held = held
        # Acks that wait for others, or for a session, by informer and shard. Bounded by the window, as each is of an
        # event.
        self._unsent: dict[tuple[str, int], list[wire.AckRow]] = {}
        self.link = Link(context, endpoint, identity, self._hello, clock=clock, silent_s=silent_s)

    @property
    def is_open(self) -> bool:
        return self.link.is_open

    @property
    def malformed(self) -> int:
        """Messages that were ignored since they break the rules."""
        return self.problems + self.link.malformed

    @property
    def acks_waiting(self) -> int:
        return sum(map(len, self._unsent.values()))

    def digest(self, event: LinkEvent) -> LinkNews | None:
        """What an event of `link` means; None where there is nothing to do."""
        if isinstance(event, Arrived):
            try:
                message = _DECODE(event.message)
            except ProtocolError as error:
                self.problems += 1
                log.warning("worker %d: %s: ignored", self.number, error)
                return None
            if isinstance(message, wire.Events):
                link, informer, shard = self.number, message.informer, message.shard
                return Received(informer, [Delivery(link, informer, shard, *row) for row in message.rows])
            return message
        if isinstance(event, Opened):
            log.info("connected to worker %d", self.number)
            self.asks = event.body.get("asks") is True
            self.send_acks()
            return None
        log.warning("worker %d: %s", self.number, event.reason)
        return Dropped(event.reason)

    def acknowledge(self, ack: Ack) -> None:
        """Takes an ack for the next `send_acks`; that of a notice of lost changes leaves at once."""
        if "/" in ack.key:
            self._unsent.setdefault((ack.informer, ack.shard), []).append(wire.AckRow(*ack[3:]))
        else:
            self._gap_seen(ack)

    def send_acks(self) -> None:
        """Sends the acks that wait, one message a shard; kept for the next session where none is open."""
        if not self._unsent or not self.link.is_open:
            return
        unsent, self._unsent = self._unsent, {}
        for (informer, shard), rows in unsent.items():
            self.link.send(wire.Acks(informer, shard, rows))

    def gap_seen(self, notice: wire.Gap) -> None:
        """The notice need not be sent again. Without a session it will come again."""
        self.link.send(wire.GapSeen(notice.informer, notice.shard, notice.number))

    def _gap_seen(self, ack: Ack) -> None:
        """A notice, whose key is a stream: seen, however the call ended, unless it was given back."""
        was_given_back = ack.verdict == Verdict.REQUEUE and not ack.error
        if not was_given_back:
            self.link.send(wire.GapSeen(ack.informer, ack.shard, ack.seq))

    def query(self, number: int, informer: str, shard: int, verb: str, *arguments: Any) -> bool:
        """Asks for stored objects; the answer bears ``number``. False if no session is open."""
        return self.link.send(wire.Query(number, informer, shard, verb, list(arguments)))

    def goodbye(self) -> None:
        """Says that no call is under way any more, and none will be: what was sent and not begun may go to another."""
        self.link.send(wire.Bye())

    def close(self, linger_ms: int = 0) -> None:
        """Gives libzmq ``linger_ms`` for what is still in the socket, in the background."""
        self.link.flush()
        self.link.socket.close(linger=linger_ms)

    def _hello(self) -> dict[str, Any]:
        s = self._settings
        held = [[d.informer, d.shard, d.key, d.seq, d.fence] for d in self._held(self.number) if "/" in d.key]
        for (informer, shard), rows in self._unsent.items():
            held += [[informer, shard, row.key, row.seq, row.fence] for row in rows]
        return {
            "group": s.name,
            "delivery": s.delivery,
            "informers": self._informers,
            "resync_s": s.resync_s,
            "window": s.window,
            "window_bytes": s.window_bytes,
            "attempts_max": s.attempts_max,
            "old": s.wants_old,
            "held": held,
            "late": True,
            **({"filters": self._filters} if self._filters else {}),
        }
