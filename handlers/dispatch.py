"""The next call to run, and the outcome of each event. Pure: no clock, no thread, no socket.

A *lane* is one key of one informer. The calls of a lane never overlap, whichever functions they go to:
functions of an event (``on_add`` and its like) and reconciles of the key take turns. Reconciles are run as client-go's
work queue does (docs/contracts.md, work queue 1, 9): a lane that is dirty runs once, one that becomes dirty while it
runs is run again. An event is acknowledged when all its calls that began after it came have ended.

Not here: running a call (``pool``, ``jsonlines``), what a call's function returned or raised (``calls``).
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import msgspec

from deltawire.handlers.events import GAP_NOTICE, Delivery
from deltawire.handlers.failures import shortened

# The rate limiter's delay of a failed event: client-go's 5 ms · 2^n up to 1000 s (docs/contracts.md, work queue 8).
# It is computed from the attempt that the informer worker counts, so that it survives the handler's crash.
RETRY_BASE_MS = 5
RETRY_MAX_MS = 1_000_000
# The longest delay a function can ask for: ten years; what is longer, also infinite, is taken for that.
AFTER_S_MAX = 3650 * 86_400.0
ERROR_CHARS_MAX = 2000


class Verdict(IntEnum):
    """What a call says of its events, the worst last. The wire knows DONE 0, RETRY 1 and DEAD 2."""

    DONE = 0
    REQUEUE = 1
    RETRY = 2
    DEAD = 3


class Outcome(NamedTuple):
    """How a call ended. ``after_s``: None = the rate limiter's delay.

    ``more``: reconciles that the call's events ask for as well, as (number, target, key); they are done with those.
    """

    verdict: Verdict
    after_s: float | None = None
    error: str = ""
    more: tuple[tuple[int, str, str], ...] = ()


DONE = Outcome(Verdict.DONE)


class Ack(NamedTuple):
    """One entry of an ``acks`` message (docs/wire.md §7), for the worker at link number ``link``.

    An empty error with verdict 1 is a wish to be called again, not a failure.
    """

    link: int
    informer: str
    shard: int
    key: str
    seq: int
    fence: int
    verdict: int
    after_ms: int
    error: str


@dataclass(frozen=True, slots=True)
class Reconcile:
    """A reconcile function's interest in an informer: whose keys it is called with.

    ``number`` names the function; ``target`` is the informer whose keys ``keys`` returns for an event.
    """

    number: int
    target: str
    keys: Callable[[Delivery], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Route:
    """What a handler wants of one informer: the kinds (A U D S G) with functions, and its reconciles.

    ``wants``: of an event with parts (docs/wire.md §7), whether any function is to be called for it.
    """

    kinds: frozenset[str]
    reconciles: tuple[Reconcile, ...] = ()
    wants: Callable[[Delivery], bool] | None = None


_NOTHING = Route(frozenset())
LaneKey = tuple[str, str]


class Ticket(msgspec.Struct, eq=False):
    """An event until its verdict: how many calls it still waits for, and the worst outcome so far."""

    delivery: Delivery
    waiting: int = 0
    begun: bool = False
    outcome: Outcome = DONE


class Lane(msgspec.Struct, eq=False):
    """One key: the events whose functions are to be called, and the reconciles that are due."""

    key: LaneKey
    # Lists, and no dict for what most lanes never have: a lane lives as long as one event.
    events: list[Ticket] = []
    due: dict[int, list[Ticket]] | None = None
    busy: bool = False
    ready: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.events and not self.due


class Call:
    """One call to be made: the functions of one event (``reconcile`` None), or one reconcile of a key.

    `begin` is the one method that another thread may call: it succeeds once, for the first caller, so
    that a call which no thread has begun can be taken back. ``ended_us``: µs since the epoch, where its maker says so.
    """

    __slots__ = ("_token", "ended_us", "lane", "reconcile", "tickets")

    def __init__(self, lane: Lane, tickets: list[Ticket], reconcile: int | None) -> None:
        self.lane = lane
        self.tickets = tickets
        self.reconcile = reconcile
        self.ended_us = 0
        self._token = [None]

    @property
    def key(self) -> str:
        return self.lane.key[1]

    @property
    def target(self) -> str:
        """The informer whose key this is."""
        return self.lane.key[0]

    @property
    def newest(self) -> Delivery:
        """The event that asked last."""
        return self.tickets[-1].delivery

    @property
    def is_urgent(self) -> bool:
        """Other work waits for its end: a hot key's next event, or another call for the same key."""
        lane, tickets = self.lane, self.tickets
        if lane.events or lane.due or tickets[0].delivery.is_hot:
            return True
        return len(tickets) > 1 and any(ticket.delivery.is_hot for ticket in tickets)

    def begin(self) -> bool:
        try:
            self._token.pop()
        except IndexError:
            return False
        return True


def retry_after_ms(attempt: int) -> int:
    """The rate limiter's delay after the ``attempt``-th failure, attempts counted from 1."""
    return min(RETRY_BASE_MS << min(max(attempt - 1, 0), 30), RETRY_MAX_MS)


class Dispatch:
    """Events in, calls out, outcomes in, acks out. Its size is bounded by the window the workers keep to."""

    def __init__(self, routes: dict[str, Route], attempts_max: int) -> None:
        """``routes`` by informer; ``attempts_max`` failures make a dead letter, 0 = never."""
        self._routes = routes
        self._attempts_max = attempts_max
        self._lanes: dict[LaneKey, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._calls: set[Call] = set()
        self._tickets: set[Ticket] = set()
        self.skipped = 0
        self.coalesced = 0

    @property
    def calls_out(self) -> int:
        """Calls handed out and not ended."""
        return len(self._calls)

    @property
    def has_ready(self) -> bool:
        """True if `take` has any."""
        return bool(self._ready)

    @property
    def events_held(self) -> int:
        """Events without a verdict."""
        return len(self._tickets)

    def arrive(self, deliveries: Iterable[Delivery]) -> list[Ack]:
        """Takes events in; returns the acks of those without a function for them."""
        acks: list[Ack] = []
        for delivery in deliveries:
            ticket, route = Ticket(delivery), self._routes.get(delivery.informer, _NOTHING)
            wants, place = route.wants, (delivery.informer, delivery.key)
            if wants(delivery) if wants is not None and delivery.parts else delivery.kind in route.kinds:
                lane = self._lanes.setdefault(place, Lane(place))
                lane.events.append(ticket)
                ticket.waiting = 1
                if not (lane.busy or lane.ready):
                    lane.ready = True
                    self._ready.append(lane)
            if route.reconciles and delivery.kind != GAP_NOTICE:
                for reconcile in route.reconciles:
                    for key in reconcile.keys(delivery):
                        self._due(reconcile.number, reconcile.target, key, ticket)
            if ticket.waiting:
                self._tickets.add(ticket)
            else:
                self.skipped += 1
                acks.append(self._verdict(ticket))
        return acks

    def take(self, calls_max: int) -> list[Call]:
        """The next calls, at most ``calls_max``; the caller reports each one's end with `ended`."""
        calls: list[Call] = []
        while self._ready and len(calls) < calls_max:
            lane = self._ready.popleft()
            lane.ready = False
            lane.busy = True
            if lane.events:
                call = Call(lane, [lane.events.pop(0)], None)
            else:
                assert lane.due  # noqa: S101  # a lane without anything to do is not ready
                number = next(iter(lane.due))
                call = Call(lane, lane.due.pop(number), number)
                self.coalesced += len(call.tickets) - 1
            self._calls.add(call)
            calls.append(call)
        return calls

    def ended(self, call: Call, outcome: Outcome) -> list[Ack]:
        """Takes the outcome of a call; returns the acks of the events that waited for nothing else."""
        self._calls.discard(call)
        if outcome is not DONE:
            self._note(outcome, call.tickets)
        acks: list[Ack] = []
        for ticket in call.tickets:
            ticket.begun = True
            ticket.waiting -= 1
            if ticket.waiting:
                continue
            self._tickets.discard(ticket)
            if ticket.outcome is DONE:
                d = ticket.delivery
                acks.append(Ack(d.link, d.informer, d.shard, d.key, d.seq, d.fence, 0, 0, ""))
            else:
                acks.append(self._verdict(ticket))
        lane = call.lane
        if lane.events or lane.due:
            self._go_on(lane)
        else:
            del self._lanes[lane.key]
        return acks

    def _note(self, outcome: Outcome, tickets: list[Ticket]) -> None:
        """What a call's end is to its events, where it is not just that they are done."""
        for number, ticket in enumerate(tickets, 1):
            # One parked event is enough to come back to a key; the others that asked are done.
            wanted = outcome.verdict is not Verdict.REQUEUE or number == len(tickets)
            if wanted and outcome.verdict > ticket.outcome.verdict:
                ticket.outcome = outcome
            for asked in outcome.more:
                self._due(*asked, ticket)

    def hurry(self, link: int, informer: str, keys: Collection[str]) -> None:
        """The worker waits for the acks of these keys' events, or of all: they leave when their calls end."""
        for ticket in self._tickets:
            delivery = ticket.delivery
            if delivery.link == link and (not keys or (delivery.informer == informer and delivery.key in keys)):
                delivery.is_hot = True

    def drop(self, link: int) -> int:
        """Forgets the events of a lost link of which no call has begun; returns their number.

        What has begun goes on and is acknowledged in the next session (`held`).
        """
        return len(self._forget(link))

    def release(self, after_ms: int) -> list[Ack]:
        """Gives back all events of which no call has begun, since the process is about to leave.

        Without this the workers would take each for one that may have killed the process. They come again
        no sooner than ``after_ms`` from now.
        """
        links = {ticket.delivery.link for ticket in self._tickets}
        wish = Outcome(Verdict.REQUEUE, after_ms / 1000)
        acks = []
        for ticket in (ticket for link in links for ticket in self._forget(link)):
            ticket.outcome = wish
            acks.append(self._verdict(ticket))
        return acks

    def held(self, link: int) -> list[Delivery]:
        """The events of a link that have no verdict yet."""
        return [t.delivery for t in self._tickets if t.delivery.link == link]

    def _forget(self, link: int) -> set[Ticket]:
        for call in [c for c in self._calls if any(t.delivery.link == link for t in c.tickets)]:
            if call.begin():
                self._take_back(call)
            else:
                for ticket in call.tickets:
                    ticket.begun = True
        gone = {t for t in self._tickets if t.delivery.link == link and not t.begun}
        self._tickets -= gone
        for lane in list(self._lanes.values()):
            lane.events = [t for t in lane.events if t not in gone]
            if lane.due:
                left = {number: [t for t in due if t not in gone] for number, due in lane.due.items()}
                lane.due = {number: due for number, due in left.items() if due}
            if lane.is_empty and not lane.busy:
                if lane.ready:
                    self._ready.remove(lane)
                del self._lanes[lane.key]
        return gone

    def _due(self, number: int, target: str, key: str, ticket: Ticket) -> None:
        """A reconcile of a key that ``ticket`` waits for."""
        lane = self._lanes.setdefault((target, key), Lane((target, key)))
        if not (lane.busy or lane.ready):
            lane.ready = True
            self._ready.append(lane)
        if lane.due is None:
            lane.due = {}
        asked = lane.due.setdefault(number, [])
        # Two reconciles of one function may lead to the same key: one call is enough.
        if not asked or asked[-1] is not ticket:
            asked.append(ticket)
            ticket.waiting += 1

    def _go_on(self, lane: Lane) -> None:
        """A call of a lane has ended, or did not begin, and there is more of it to do."""
        lane.busy = False
        lane.ready = True
        self._ready.append(lane)

    def _take_back(self, call: Call) -> None:
        """Puts a call that did not begin back in front of what has come since."""
        self._calls.discard(call)
        lane = call.lane
        if call.reconcile is None:
            lane.events[:0] = call.tickets
        else:
            lane.due = lane.due or {}
            lane.due[call.reconcile] = call.tickets + lane.due.get(call.reconcile, [])
        self._go_on(lane)

    def _verdict(self, ticket: Ticket) -> Ack:
        d, outcome = ticket.delivery, ticket.outcome
        verdict, after_ms = 0, 0
        spent = 0 < self._attempts_max <= d.attempt
        if outcome.verdict is Verdict.DEAD or (outcome.verdict is Verdict.RETRY and spent):
            verdict = 2
        elif outcome.verdict is not Verdict.DONE:
            verdict = 1
            after_s = outcome.after_s
            after_ms = (
                retry_after_ms(d.attempt) if after_s is None else round(1000 * min(after_s, AFTER_S_MAX))
            )
        error = shortened(outcome.error, ERROR_CHARS_MAX)
        return Ack(d.link, d.informer, d.shard, d.key, d.seq, d.fence, verdict, after_ms, error)
