"""A role's connection to the supervisor: its status, and requests. Without a supervisor it is unused.

The status goes once a second, and each beat while nothing changes. It also keeps the health file, if the
config names one.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError, ProtocolError
from deltawire.common.health import HealthFile
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.loop import Loop, Timer
from deltawire.common.process import own_usage
from deltawire.common.wire.codec import take
from deltawire.common.wire.follow import follow_link
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import Identity
from deltawire.common.wire.link import Arrived, Link, LinkEvent, Opened
from deltawire.common.wire.messages.control import Answer, Ask, Drain, Status, ToRole
from deltawire.common.wire.network import TCP

log = logging.getLogger(__name__)

STATUS_EVERY_S = 1.0
HEALTH_EVERY_S = 0.25
# Beats of a role on a control connection within the host: each so many intervals. There reports show that it lives, and
# the kernel says at once who has ended.
BEATS_EVERY = 3
# The delay of a status that cannot wait for the second; all changes in it go into one status.
HURRY_S = 0.05
# An `ask` handler: (verb, arguments) → the answer's body. Raises DeltawireError to refuse.
Answerer = Callable[[str, dict[str, Any]], Any]


def refuse_all(verb: str, _arguments: dict[str, Any]) -> Any:
    """The answerer of a role that takes no requests."""
    raise DeltawireError(f"this role does not know {verb!r}")


def beats_every(endpoint: str) -> int:
    """How many heartbeat intervals lie between two beats on this control endpoint; silence is as much longer."""
    return 1 if endpoint.startswith(TCP) else BEATS_EVERY


class Control:
    """Keeps the control connection of docs/wire.md §8. Without a supervisor all calls do nothing."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        plan: Plan,
        identity: Identity,
        heartbeat: Heartbeat,
        *,
        clock: Clock,
        answer: Answerer = refuse_all,
    ) -> None:
        self._clock = clock
        self._answer = answer
        self._identity = identity
        self._heartbeat = heartbeat
        self._every_s = min(STATUS_EVERY_S, plan.heartbeat_s)
        self._beat_s = plan.heartbeat_s
        # A report that says nothing new may wait for the beat; half a period early is not too early.
        self._same_every_s = plan.heartbeat_s - self._every_s / 2
        self._reported: dict[str, Any] | None = None
        self._reported_at_s = float("-inf")
        self._status: Callable[[], dict[str, Any]] = dict
        self._due: Timer | None = None
        # A role that says when something happens is looked at each beat until then.
        self._may_rest = self._rests = False
        self._loop: Loop | None = None
        self._wants_drain = False
        self._link: Link | None = None
        if plan.config.runtime.control:
            endpoint = plan.endpoint("control")
            every = beats_every(endpoint)
            silent_s = SILENT_INTERVALS_MAX * every * plan.heartbeat_s
            self._link = Link(context, endpoint, identity, dict, clock=clock, silent_s=silent_s)
            heartbeat.watch(self._link, every=every)
        health = plan.config.runtime.health
        self._health = HealthFile(Path(health), clock=clock) if health else None

    def join(self, loop: Loop, status: Callable[[], dict[str, Any]], *, may_rest: bool = False) -> Timer | None:
        """Report ``status`` and answer requests in the turns of ``loop``. The timer of reports, if there are any.

        ``may_rest``: while nothing changes the status is looked at each beat only; the role calls `moved` when
        something may have.
        """
        self._status = status
        self._may_rest = may_rest
        if self._health:
            loop.every(HEALTH_EVERY_S, self._show_health)
        if self._link is not None:
            follow_link(loop, self._clock, self._link, self._take)
            self._due, self._loop = loop.timer(self._report_if_open), loop
        return self._due

    @property
    def wants_drain(self) -> bool:
        """The supervisor has asked the role to finish what is in flight and leave."""
        return self._wants_drain

    def moved(self) -> None:
        """The status changes, after a time in which it did not: report it in the next second. Cheap."""
        if self._rests and self._due is not None and self._loop is not None:
            self._rests = False
            self._due.hurry(self._loop.next_beat_s(self._every_s))

    def hurry(self) -> None:
        """Report soon: what the last status said does not hold any more."""
        if self._due is not None:
            self._due.hurry(self._clock.now_s() + HURRY_S)

    def _show_health(self) -> None:
        # The role's own sessions only: a missing supervisor does not make a role unhealthy.
        if self._health:
            links = [link for link in self._heartbeat.links if link is not self._link]
            self._health.turn(self._heartbeat.turns, [link.endpoint for link in links if not link.is_open])

    def _take(self, event: LinkEvent) -> None:
        if isinstance(event, Opened):
            self._reported = None
            self._report_if_open()
        elif isinstance(event, Arrived):
            try:
                message = take(event.message, ToRole)
            except ProtocolError as error:
                log.warning("from the supervisor: %s: ignored", error)
                return
            if isinstance(message, Drain):
                self._wants_drain = True
            else:
                self._reply(message)

    def _report_if_open(self) -> None:
        now_s = self._clock.now_s()
        if self._link is not None and self._link.is_open:
            status = self._status()
            self._rests = self._may_rest and status == self._reported
            if status != self._reported or now_s - self._reported_at_s >= self._same_every_s:
                self.report(status)
                self._reported, self._reported_at_s = status, now_s
        if self._due is not None and self._loop is not None:
            self._due.set(self._loop.next_beat_s(self._beat_s if self._rests else self._every_s))

    def report(self, status: dict[str, Any]) -> None:
        """Send the status now; a role does so once more at its very end."""
        if self._link is None:
            return
        me = self._identity
        rss_mb, cpu_s = own_usage()
        head = {
            "role": me.role,
            "name": me.name,
            "pid": me.pid,
            "nonce": me.nonce,
            "turns": self._heartbeat.turns,
            "at": int(self._clock.wall_s() * 1e6),
            "rss_mb": rss_mb,
            "cpu_s": cpu_s,
        }
        self._link.send(Status(head | status))
        self._link.flush()

    def close(self) -> None:
        if self._health:
            self._health.remove()
        if self._link:
            self._heartbeat.forget(self._link)
            self._link.close()

    def _reply(self, ask: Ask) -> None:
        if self._link is None:
            return
        try:
            self._link.send(Answer(ask.id, True, self._answer(ask.verb, ask.arguments)))
        except DeltawireError as error:
            self._link.send(Answer(ask.id, False, str(error)))
