"""Runs for leadership, leads, and lets go: client-go's LeaderElector."""

import logging
import random as _random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from deltawire.client.tools.leader_election import attempt
from deltawire.client.tools.leader_election.attempt import Held
from deltawire.client.tools.leader_election.candidate import Candidate
from deltawire.client.tools.leader_election.record import LeaseRecord
from deltawire.client.tools.leader_election.term import Term
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError, DeltawireError, StatusError

log = logging.getLogger(__name__)

JITTER_FACTOR = 1.2


class Lock(Protocol):
    """What an elector needs of a `LeaseLock`."""

    @property
    def identity(self) -> str: ...

    def get(self) -> Held | None: ...

    def create(self, record: LeaseRecord) -> Held: ...

    def update(self, record: LeaseRecord, held: Held) -> Held: ...

    def record_event(self, what: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ElectionTimes:
    """Raises ConfigError unless lease > renew deadline > retry period × 1.2 > 0.

    A lost leader stops within ``renew_deadline_s`` of its last renewal; another may lead
    ``lease_duration_s`` after it saw that renewal. Candidates look each 1 to 2.2 × ``retry_period_s``.
    """

    lease_duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_period_s: float = 2.0

    def __post_init__(self) -> None:
        if self.retry_period_s <= 0 or self.lease_duration_s < 1:
            raise ConfigError("leader election needs a lease of 1 s or more and a retry period above 0")
        if self.lease_duration_s <= self.renew_deadline_s:
            raise ConfigError(
                f"the lease ({self.lease_duration_s:g} s) must be longer than the renew deadline "
                f"({self.renew_deadline_s:g} s)"
            )
        if self.renew_deadline_s <= self.retry_period_s * JITTER_FACTOR:
            raise ConfigError(
                f"the renew deadline ({self.renew_deadline_s:g} s) must be longer than {JITTER_FACTOR} × the "
                f"retry period ({self.retry_period_s:g} s)"
            )


@dataclass(frozen=True, slots=True)
class Callbacks:
    """``on_started_leading`` runs in a thread of its own and must return soon after its event is set.

    ``on_stopped_leading`` is called at the end of each `LeaderElector.run`, also of one that never led.
    ``on_new_leader`` is called with each holder, this elector included, in order and some time after the change.
    """

    on_started_leading: Callable[[threading.Event], None]
    on_stopped_leading: Callable[[], None]
    on_new_leader: Callable[[str], None] | None = None


def report(
    logger: logging.Logger, lock: object, on_new_leader: Callable[[str], object] | None, holder: str
) -> None:
    """Call it; what it raises is logged."""
    if on_new_leader is None:
        return
    try:
        on_new_leader(holder)
    except Exception:
        logger.exception("%s: on_new_leader failed", lock)


class Candidacy:
    """What a candidate knows of its lease, for electors with threads and for those of an event loop."""

    def __init__(self, identity: str, times: ElectionTimes | None, clock: Clock | None) -> None:
        self._times = times or ElectionTimes()
        self._clock = clock or SystemClock()
        self._candidate = Candidate(identity, self._times.lease_duration_s)
        self._held: Held | None = None
        self._renewed_at_s = 0.0

    @property
    def is_leader(self) -> bool:
        return self._candidate.is_leader

    @property
    def leader(self) -> str:
        """The holder's identity as last seen; "" for none."""
        return self._candidate.holder

    def check(self, tolerance_s: float = 0.0) -> str:
        """For a health check: "" if all is well, else what is wrong."""
        return self._candidate.check(self._clock.now_s(), self._times.lease_duration_s + tolerance_s)


class LeaderElector(Candidacy):
    """One candidate. `run` blocks: it waits for leadership, leads, and returns when that is over.

    With ``release_on_cancel`` a stop lets the lease go once ``on_started_leading`` has returned, so that
    another candidate need not wait for the lease's end. client-go leaves it to the caller that the work has
    ended by then; here it is waited for, until the renew deadline, and not released if it goes on.
    """

    def __init__(
        self,
        lock: Lock,
        callbacks: Callbacks,
        *,
        times: ElectionTimes | None = None,
        release_on_cancel: bool = False,
        clock: Clock | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        super().__init__(lock.identity, times, clock)
        self._lock = lock
        self._callbacks = callbacks
        self._release_on_cancel = release_on_cancel
        self._random = random
        self.slow_paths = 0  # renewals that needed a read first

    def run(self, stop: threading.Event) -> None:
        """Until ``stop`` is set, or leadership was won and lost. May be called again for another run."""
        with ThreadPoolExecutor(1, thread_name_prefix="new-leader") as reporter:
            try:
                if self._acquire(stop, reporter):
                    self._lead(stop, reporter)
            finally:
                self._callbacks.on_stopped_leading()

    def _acquire(self, stop: threading.Event, reporter: ThreadPoolExecutor) -> bool:
        period_s = self._times.retry_period_s
        while not stop.is_set():
            if self._try_acquire_or_renew(reporter):
                log.info("%s: %s leads now", self._lock, self._lock.identity)
                self._lock.record_event("became leader")
                return True
            self._clock.sleep(period_s * (1 + JITTER_FACTOR * self._random()), stop)
        return False

    def _lead(self, stop: threading.Event, reporter: ThreadPoolExecutor) -> None:
        term = Term(self._renewed_at_s + self._times.renew_deadline_s, self._clock)
        worker = threading.Thread(target=self._work, args=(term,), name="leader", daemon=True)
        worker.start()
        try:
            while not self._wait(term, stop):
                if self._try_acquire_or_renew(reporter):
                    term.renewed(self._renewed_at_s + self._times.renew_deadline_s)
                elif not self._candidate.is_leader:
                    break
        finally:
            deadline_s = term.deadline_s
            term.end()
            self._lock.record_event("stopped leading")
        if not stop.is_set():
            log.warning("%s: %s lost the leadership", self._lock, self._lock.identity)
        if self._release_on_cancel and self._candidate.is_leader:
            worker.join(max(0.0, deadline_s - self._clock.now_s()))
            if worker.is_alive():
                log.warning("%s is not released: the leader's work goes on after its end", self._lock)
            else:
                self._release(deadline_s)

    def _wait(self, term: Term, stop: threading.Event) -> bool:
        """Until the next renewal is due. True if the term is over."""
        self._clock.sleep(self._times.retry_period_s, stop)
        return stop.is_set() or term.is_over

    def _work(self, term: Term) -> None:
        try:
            self._callbacks.on_started_leading(term.over)
        except Exception:
            log.exception("%s: the leader's work failed, its leadership ends", self._lock)
            term.over.set()

    def _try_acquire_or_renew(self, reporter: ThreadPoolExecutor) -> bool:
        """One attempt. Errors are logged: the caller tries again, or not."""
        at_s = self._clock.now_s()
        try:
            held = self._attempt(reporter, at_s)
        except DeltawireError as error:
            log.info("%s: not acquired or renewed: %s", self._lock, error)
            return False
        if held is None:
            return False
        self._saw(held, at_s, reporter)
        self._renewed_at_s = at_s
        return True

    def _attempt(self, reporter: ThreadPoolExecutor, at_s: float) -> Held | None:
        """The lease as written; None while another holds it."""

        def saw(held: Held) -> None:
            self._saw(held, self._clock.now_s(), reporter)

        was_unseen = self._held is not None and self._candidate.may_renew_unseen(at_s)

        def send(step: attempt.Step) -> Held | None:
            if isinstance(step, attempt.Get) and was_unseen:
                log.debug("%s: not renewed at first", self._lock)
                self.slow_paths += 1
            return self._send(step)

        steps = attempt.attempt(self._candidate, self._held, self._clock.now_s, self._clock.wall_s(), saw)
        return attempt.drive(steps, send)

    def _send(self, step: attempt.Step) -> Held | None:
        if isinstance(step, attempt.Update):
            return self._lock.update(step.record, step.held)
        return self._lock.create(step.record) if isinstance(step, attempt.Create) else self._lock.get()

    def _saw(self, held: Held, at_s: float, reporter: ThreadPoolExecutor) -> None:
        self._held = held
        if self._candidate.observe(held.record, at_s) and held.record.holder:
            reporter.submit(report, log, self._lock, self._callbacks.on_new_leader, held.record.holder)

    def _release(self, deadline_s: float) -> None:
        """Let it go; conflicts are tried again until the deadline."""
        while True:
            try:
                attempt.drive(
                    attempt.release(self._candidate, self._clock.now_s, self._clock.wall_s), self._send
                )
                return
            except DeltawireError as error:
                is_conflict = isinstance(error, StatusError) and error.is_conflict
                if not is_conflict or self._clock.now_s() >= deadline_s:
                    log.warning("%s is not released: %s", self._lock, error)
                    return
            self._clock.sleep(min(self._times.retry_period_s, 0.1))
