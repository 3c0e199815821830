"""The loop of a handler's process: events from all workers in, calls out, acks back, until it is to stop.

Not here: order and verdicts (``dispatch``), the wire (``worker_link``), making calls (``pool``,
``jsonlines``).
"""

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from deltawire.common.clock import Clock
from deltawire.common.control import Control
from deltawire.common.errors import DeltawireError
from deltawire.common.loop import IDLE_S
from deltawire.common.process import EXIT_DRAIN_LATE, EXIT_OK
from deltawire.common.wire.follow import follow_link
from deltawire.common.wire.link import LinkEvent
from deltawire.common.wire.messages import group as wire
from deltawire.handlers.dispatch import DONE, Ack, Dispatch
from deltawire.handlers.events import delivery_of_gap
from deltawire.handlers.executor import Executor
from deltawire.handlers.freshness import FreshnessBook
from deltawire.handlers.gaps import GapFilter, text_of
from deltawire.handlers.hooks import Hooks
from deltawire.handlers.late_acks import HOT_S, LATE_S, SOON_S, HotKeys, LateAcks
from deltawire.handlers.leaks import LOOK_EVERY_S, Leaks
from deltawire.handlers.pool import Pool
from deltawire.handlers.queries import Queries
from deltawire.handlers.resting import RestingHeartbeat, RestingLoop
from deltawire.handlers.settings import Settings
from deltawire.handlers.statistics import Statistics
from deltawire.handlers.turn_taking import TurnTaking
from deltawire.handlers.worker_link import Dropped, Received, WorkerLink

log = logging.getLogger(__name__)

# Calls that take too long are looked for so often.
DEADLINE_LOOK_S = 1.0
DRAIN_TURN_S = 0.1
# How long acks may take from our socket into the kernel's once the process is done.
LINGER_MS = 1000
# A process that leaves gives back what it has not begun, to be sent to another no sooner than this: a worker
# that does not know yet that we leave would send it to us again.
RELEASE_AFTER_MS = 250
# A process that leaves because a call hangs gives the other calls so long to end.
HUNG_GRACE_S = 5.0
# How long idle threads, or the child process, may take to end at the very end.
EXECUTOR_GRACE_S = 2.0
_NEVER = float("-inf")


class HandlerFailed(DeltawireError):
    """The process cannot go on: a call hangs, or the child process ended. The supervisor starts another."""


class Runner:
    """One replica of a group. `run` is a `Role`'s."""

    def __init__(
        self,
        settings: Settings,
        replica: int,
        dispatch: Dispatch,
        executor: Executor,
        links: Sequence[WorkerLink],
        queries: Queries,
        control: Control,
        heartbeat: RestingHeartbeat,
        *,
        opened: Callable[[wire.Opened], None],
        freshness: FreshnessBook,
        clock: Clock,
        drain_deadline_s: float,
        idle_s: float = IDLE_S,
        hooks: Hooks | None = None,
        leaks: Leaks | None = None,
    ) -> None:
        """``hooks``: whose timers are not to take too long. ``leaks``: what notices that something only grows."""
        self._settings = settings
        self._replica = replica
        self._dispatch = dispatch
        self._executor = executor
        self._links = links
        self._link_of = {link.number: link for link in links}
        self._queries = queries
        self._control = control
        self._heartbeat = heartbeat
        self._opened = opened
        self._freshness = freshness
        self._clock = clock
        self._drain_deadline_s = drain_deadline_s
        self._statistics = Statistics()
        self._gaps = GapFilter()
        self._failure = ""
        self._is_draining = False
        self._late = LateAcks(settings.window, settings.workers)
        self._hot = HotKeys()
        self._loop = RestingLoop(clock, heartbeat, idle_s=idle_s)
        self._acks_due = self._loop.timer(self._on_due)
        self._loop.reads(executor.results.fileno(), self._finish)
        if executor.results.may_visit:
            executor.results.hand_over = partial(self._loop.visit, self._go_on)
        self._turns: TurnTaking | None = None
        if isinstance(executor, Pool):
            executor.unawaited_max = self._late.acks_max
        if isinstance(executor, Pool) and executor.is_alone:
            executor.turns = self._turns = TurnTaking(
                self._loop, heartbeat, rouse=executor.rouse, idle_s=self._loop.sleep_s
            )
            executor.results.on_wake = self._turns.hurry
        for link in links:
            follow_link(self._loop, clock, link.link, partial(self._take, link))
            heartbeat.watch(link.link)
        self._overdue = self._loop.timer(self._look_for_overdue)
        self._hooks = hooks
        self._timers_looked_at = self._loop.timer(self._look_at_timers)
        self._look_at_timers()
        self._leaks = leaks
        self._leaks_looked_at = self._loop.timer(self._look_at_leaks)
        if leaks is not None:
            self._leaks_looked_at.set(clock.now_s() + LOOK_EVERY_S)
        self._paced = self._loop.timer(self._work)
        self._pace = settings.pace(clock.now_s())
        self._proof_came = heartbeat.join(self._loop, control.join(self._loop, self.status, may_rest=True))

    def run(self, stop: threading.Event) -> int:
        """Work until ``stop`` is set or the supervisor says drain. Raises HandlerFailed."""
        self._heartbeat.start()
        try:
            run = self._loop.run if self._turns is None else self._turns.run
            run(stop, self._work, until=lambda: bool(self._control.wants_drain or self._failure))
            in_time = self._drain(HUNG_GRACE_S if self._failure else self._drain_deadline_s)
            with self._loop.without_visitors():
                self._control.report(self.status())
            if self._failure:
                raise HandlerFailed(self._failure)
            return EXIT_OK if in_time else EXIT_DRAIN_LATE
        finally:
            self._close()

    def status(self) -> dict[str, Any]:
        """The handler's own part of `status` (docs/status.md)."""
        return {
            "group": self._settings.name,
            "replica": self._replica,
            "in_flight": self._dispatch.calls_out,
            "queued": self._dispatch.events_held,
            "skipped": self._dispatch.skipped,
            "coalesced": self._dispatch.coalesced,
            "malformed": self._executor.malformed + sum(link.malformed for link in self._links),
            "acks_waiting": sum(link.acks_waiting for link in self._links),
            "workers_connected": sum(link.is_open for link in self._links),
            "informers": {
                name: {"received": n, "synced_shards": len(self._statistics.synced.get(name, ()))}
                for name, n in sorted(self._statistics.received.items())
            },
            **self._statistics.report(),
        }

    def _work(self) -> None:
        """The end of a turn: what may run next is handed out, questions are asked."""
        if not self._is_draining:
            if self._dispatch.has_ready:
                self._hand_out()
            self._failure = self._failure or self._executor.failure
        if self._queries.are_waiting:
            self._ask()

    def _hand_out(self) -> None:
        free = self._executor.capacity - self._dispatch.calls_out
        if self._pace is not None:
            free = min(free, self._pace.room(self._clock.now_s()))
        calls = self._dispatch.take(free)
        if self._pace is not None:
            self._pace.took(len(calls))
            if self._dispatch.has_ready:
                # Also where a thread is what is missing: a look too many does no harm.
                self._paced.set(self._pace.due_s)
        if calls:
            self._control.moved()
            now_s = self._clock.now_s()
            self._late.handed_out(now_s)
            self._look_later()
            if self._settings.deadline_s:
                # Set only while calls are out: an idle process has nothing to look for.
                self._overdue.hurry(now_s + DEADLINE_LOOK_S)
            self._executor.submit(calls)

    def _take(self, link: WorkerLink, event: LinkEvent) -> None:
        match link.digest(event):
            case Received(informer, deliveries):
                if self._executor.results.waiting:
                    # First, so that what waits for the end of a call can run next.
                    self._collect()
                now_s, came_s = self._clock.now_s(), self._hot.came_s
                if self._late.may_ride(now_s):
                    self._send_acks()
                self._statistics.arrived(informer, len(deliveries))
                for delivery in deliveries:
                    came_at_s = came_s.pop(delivery.key, _NEVER)
                    delivery.is_hot = now_s - came_at_s <= HOT_S or delivery.attempt > 1
                    came_s[delivery.key] = now_s
                self._hot.forget(now_s)
                acks = self._dispatch.arrive(deliveries)
                if self._is_draining:
                    # What still arrives goes back at once.
                    acks += self._dispatch.release(RELEASE_AFTER_MS)
                if acks:
                    self._acknowledge(acks)
            case None:
                self._learn_who_asks()
            case wire.AcksWanted() as wanted:
                self._hurry(link, wanted)
            case Dropped():
                self._learn_who_asks()
                self._statistics.dropped += self._dispatch.drop(link.number)
                self._queries.lost(link.number)
                self._freshness.lost(link.number)
            case wire.InformerProofs() as proven:
                self._freshness.said(link.number, proven.rows)
                self._loop.at_end(self._proof_came)
            case wire.Gap() as notice:
                self._tell_gap(link, notice)
            case wire.Opened() as opened:
                self._opened(opened)
            case wire.Synced() as synced:
                self._statistics.synced.setdefault(synced.informer, set()).add(synced.shard)
            case wire.Rows() | wire.Changes() | wire.Problem() as answer:
                self._queries.answered(answer)

    def _learn_who_asks(self) -> None:
        asks = all(link.asks for link in self._links if link.is_open)
        self._late.late_s = LATE_S if asks else SOON_S

    def _hurry(self, link: WorkerLink, wanted: wire.AcksWanted) -> None:
        """A worker waits for acks: those that wait leave, those of the named events when their calls end."""
        self._dispatch.hurry(link.number, wanted.informer, frozenset(wanted.keys))
        self._collect()
        if self._late.asked(self._clock.now_s()):
            self._send_acks()
        # What a thread has left meanwhile, which did not see that it is waited for.
        self._late.asked(self._clock.now_s())
        self._look_later()

    def _tell_gap(self, link: WorkerLink, notice: wire.Gap) -> None:
        """Log it, and call the `on_gap` functions; another shard's notice of the same list is only acknowledged."""
        if self._gaps.is_news(notice):
            log.warning("%s", text_of(notice))
            for ack in self._dispatch.arrive([delivery_of_gap(link.number, notice)]):
                link.acknowledge(ack)
        else:
            link.gap_seen(notice)

    def _finish(self) -> None:
        """The loop was woken for what has ended."""
        self._executor.results.clear()
        self._collect()

    def _go_on(self) -> None:
        """A thread, whose call has ended, does what follows from that."""
        if self._executor.results.waiting:
            self._collect()
            self._work()
            if self._failure or self._is_draining:
                self._loop.soon()

    def _collect(self) -> None:
        """Take what has ended, and acknowledge it when it must be."""
        if not self._executor.results.waiting:
            return
        acks = 0
        is_urgent = False
        for call, outcome in self._executor.results.take():
            self._statistics.call_ended(call, outcome, call.ended_us or int(self._clock.wall_s() * 1e6))
            is_urgent = is_urgent or call.is_urgent or outcome is not DONE
            for ack in self._dispatch.ended(call, outcome):
                self._link_of[ack.link].acknowledge(ack)
                acks += 1
        self._let_leave(acks, is_urgent=is_urgent)

    def _acknowledge(self, acks: list[Ack]) -> None:
        for ack in acks:
            self._link_of[ack.link].acknowledge(ack)
        self._let_leave(len(acks))

    def _let_leave(self, acks: int, *, is_urgent: bool = False) -> None:
        """So many acks came to those that wait: send all, or see to it that they are sent in time."""
        if self._late.ended(acks, is_urgent=is_urgent, now_s=self._clock.now_s()) or self._is_draining:
            self._send_acks()
        else:
            self._look_later()

    def _send_acks(self) -> None:
        for link in self._links:
            link.send_acks()
        self._late.left(self._clock.now_s(), calls_out=self._dispatch.calls_out)
        self._look_later()

    def _look_later(self) -> None:
        """Set the timer of what waits; while it runs, threads need not wake the loop."""
        due_s = self._late.due_s
        results = self._executor.results
        results.looks_late = self._late.is_far(self._clock.now_s())
        results.are_awaited = due_s is None or self._is_draining
        if due_s is None:
            self._acks_due.cancel()
        else:
            self._acks_due.set(due_s)

    def _on_due(self) -> None:
        must_leave = self._late.due()
        self._look_later()
        # What the threads have left behind, as they were not to wake the loop.
        self._collect()
        if must_leave:
            self._send_acks()

    def _ask(self) -> None:
        for question in self._queries.outgoing():
            link = next((link for link in self._links if link.number == question.worker), None)
            if link is None or not link.query(
                question.id, question.informer, question.shard, question.verb, *question.arguments
            ):
                self._queries.again(question)

    def _look_for_overdue(self) -> None:
        """A call that takes longer than the deadline ends the process."""
        now_s = self._clock.now_s()
        if self._dispatch.calls_out:
            self._overdue.set(now_s + DEADLINE_LOOK_S)
        overdue = self._executor.overdue(now_s - self._settings.deadline_s)
        if overdue and not self._is_draining:
            self._statistics.hung += len(overdue)
            calls = "; ".join(overdue)
            self._failure = (
                f"{len(overdue)} calls took longer than {self._settings.deadline_s:g} s: {calls} "
                "(give what they wait for a time-out, or the handler a longer deadline_s)"
            )

    def _look_at_timers(self) -> None:
        """A timer's call that takes longer than its deadline ends the process, as another call does."""
        if self._hooks is None or self._hooks.look_s is None or self._is_draining:
            return
        self._timers_looked_at.set(self._clock.now_s() + self._hooks.look_s)
        late = self._hooks.overdue()
        if late and not self._failure:
            self._statistics.hung += 1
            self._failure = late

    def _look_at_leaks(self) -> None:
        if self._leaks is not None:
            self._leaks_looked_at.set(self._clock.now_s() + LOOK_EVERY_S)
            self._leaks.look()

    def _drain(self, deadline_s: float) -> bool:
        """Finish the calls that have begun and acknowledge them; the rest goes back. False if it was late."""
        with self._loop.without_visitors():
            self._is_draining = True
            self._executor.results.are_awaited = True
            self._collect()
            self._acknowledge(self._dispatch.release(RELEASE_AFTER_MS))
        ends_s = self._clock.now_s() + deadline_s
        while self._dispatch.calls_out and not self._executor.failure:
            if self._clock.now_s() >= ends_s:
                log.error("%d calls did not end within %g s", self._dispatch.calls_out, deadline_s)
                return False
            self._loop.turn(self._work, wait_s_max=DRAIN_TURN_S)
        return True

    def _close(self) -> None:
        self._loop.end_visits()
        has_ended = self._executor.close(0.0 if self._dispatch.calls_out else EXECUTOR_GRACE_S)
        if has_ended:
            self._executor.results.close()
            if self._turns is not None:
                self._turns.close()
        self._heartbeat.stop()
        if has_ended and not self._dispatch.calls_out:
            # Without it a worker would wait for its silence: events may have been sent since our last look.
            for link in self._links:
                link.goodbye()
        for link in self._links:
            link.close(LINGER_MS)
        self._control.close()
        self._loop.close()
