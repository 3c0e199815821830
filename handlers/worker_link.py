"""One replica's connection to one informer worker: hello, events in, acks out, queries.

Not here: what to do with an event (``dispatch``), the loop that waits (``runner``).
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import msgspec
import zmq

from deltawire.common.clock import Clock
from deltawire.common.errors import ProtocolError
from deltawire.common.wire.identity import Identity
from deltawire.common.wire.link import Arrived, Link, LinkEvent, Lost, Opened, Refused
from deltawire.common.wire.messages.gap import GapNotice
from deltawire.common.wire.messages.proofs import InformerProof, parse
from deltawire.handlers.dispatch import Ack, Verdict
from deltawire.handlers.events import Delivery
from deltawire.handlers.settings import Settings

log = logging.getLogger(__name__)


class _Row(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    """A row of ``events``, as docs/wire.md §7 lists it."""

    seq: int
    key: str
    kind: Literal["A", "U", "D", "S"]
    uid: str
    version: str
    at_us: int
    attempt: int
    fence: int
    flags: int
    object: bytes | None
    old: bytes | None


class Received(NamedTuple):
    """New events."""

    deliveries: list[Delivery]


class Dropped(NamedTuple):
    """The session ended: forget its events, except those whose calls have begun."""

    reason: str


class Folder(NamedTuple):
    """A shard can be read at ``folder``."""

    informer: str
    shard: int
    shards: int
    folder: str


class Synced(NamedTuple):
    """Everything that was stored in the shard when the group came is acknowledged or parked."""

    informer: str
    shard: int


class Answer(NamedTuple):
    """Rows of a query, or the reason why there are none (``problem`` not "")."""

    id: int
    rows: list[tuple[str, str, bytes]]
    after: str
    problem: str


class Proven(NamedTuple):
    """How fresh the worker's part of each informer is; one that is not named is not known."""

    rows: list[InformerProof]


LinkNews = Received | Dropped | Folder | Synced | Answer | Proven | GapNotice


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
    ) -> None:
        self.number = number
        self.problems = 0
        self._settings = settings
        self._informers = informers
        self._held = held
        # Acks of calls that ended while no session was open. Bounded by the window, as each is of an event.
        self._unsent: list[Ack] = []
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
        return len(self._unsent)

    def digest(self, event: LinkEvent) -> list[LinkNews]:
        """What an event of `link` means."""
        news: list[LinkNews] = []
        if isinstance(event, Arrived):
            try:
                self._take(event.kind, event.body, news)
            except (ProtocolError, msgspec.ValidationError, TypeError, ValueError) as error:
                self.problems += 1
                log.warning("a malformed %r from worker %d was ignored: %s", event.kind, self.number, error)
        elif isinstance(event, Opened):
            log.info("connected to worker %d", self.number)
            unsent, self._unsent = self._unsent, []
            self.acknowledge(unsent)
        elif isinstance(event, Lost | Refused):
            log.warning("worker %d: %s", self.number, event.reason)
            news.append(Dropped(event.reason))
        return news

    def acknowledge(self, acks: Iterable[Ack]) -> None:
        """Sends acks, one message a shard; kept for the next session where none is open."""
        shards: dict[tuple[str, int], list[Ack]] = {}
        for ack in acks:
            if "/" not in ack.key:
                self._gap_seen(ack)
                continue
            shards.setdefault((ack.informer, ack.shard), []).append(ack)
        for (informer, shard), mine in shards.items():
            rows = [[a.key, a.seq, a.fence, a.verdict, a.after_ms, a.error] for a in mine]
            if not self.link.send("acks", informer, shard, rows):
                self._unsent += mine

    def gap_seen(self, notice: GapNotice) -> None:
        """The notice need not be told again. Where no session is open it is told again."""
        self.link.send("gap-seen", notice.informer, notice.shard, notice.number)

    def _gap_seen(self, ack: Ack) -> None:
        """A notice, whose key is a stream: told, however the call ended, unless it was given back."""
        was_given_back = ack.verdict == Verdict.REQUEUE and not ack.error
        if not was_given_back:
            self.link.send("gap-seen", ack.informer, ack.shard, ack.seq)

    def query(self, number: int, informer: str, shard: int, verb: str, *arguments: Any) -> bool:
        """Asks for stored objects; the `Answer` bears ``number``. False if no session is open."""
        return self.link.send("query", number, informer, shard, verb, *arguments)

    def goodbye(self) -> None:
        """Says that no call is under way any more, and none will be: what was sent and not begun may go to another."""
        self.link.send("bye")

    def close(self, linger_ms: int = 0) -> None:
        """Gives libzmq ``linger_ms`` for what is still in the socket, in the background."""
        self.link.socket.close(linger=linger_ms)

    def _hello(self) -> dict[str, Any]:
        s = self._settings
        held = [[d.informer, d.shard, d.key, d.seq, d.fence] for d in self._held(self.number) if "/" in d.key]
        held += [[a.informer, a.shard, a.key, a.seq, a.fence] for a in self._unsent]
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
        }

    def _take(self, kind: str, body: list[Any], news: list[LinkNews]) -> None:
        if kind == "events":
            informer, shard, rows = body
            news.append(Received(self._deliveries(informer, shard, rows)))
        elif kind == "opened":
            news.append(msgspec.convert(body, Folder))
        elif kind == "gap":
            news.append(msgspec.convert(body, GapNotice))
        elif kind == "synced":
            news.append(msgspec.convert(body, Synced))
        elif kind == "proof":
            news.append(Proven(parse(kind, body, InformerProof)))
        elif kind == "rows":
            number, rows, after = body
            news.append(msgspec.convert([number, rows, after, ""], Answer))
        elif kind == "problem":
            number, text = body
            news.append(msgspec.convert([number, [], "", text or "no reason given"], Answer))
        else:
            raise ValueError("this kind of message is unknown here")

    def _deliveries(self, informer: str, shard: int, rows: list[Any]) -> list[Delivery]:
        link = self.number
        return [
            Delivery(
                link, informer, shard, r.seq, r.key, r.kind, r.uid, r.version,
                r.at_us, r.attempt, r.fence, r.flags, r.object, r.old,
            )
            for r in msgspec.convert(rows, list[_Row])
        ]  # fmt: skip
