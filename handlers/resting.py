"""What a handler at rest says in a beat is said in one turn of its loop, that in which its worker's proof comes.

Three wake-ups a beat cost more than what is done in them: the report, the beat to the workers, the turn shown to the
parent. The thread that beats beside the loop beats only where the loop does not.
"""

from functools import partial

import zmq

from deltawire.common.clock import Clock
from deltawire.common.loop import IDLE_S, Action, Timer, Turns
from deltawire.common.shared_loop import SharedLoop
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.link import Link

# Periods that go with proofs are so much longer than theirs: the proof comes first, and wakes the loop for all.
FOLLOW_S = 0.1
# So many intervals without a beat of the loop, and the thread beats; a session ends after
# `common.limits.SILENT_INTERVALS_MAX`. A bit more than two: the thread wakes for each second beat, not for each.
SPARED_INTERVALS = 2.25


class RestingLoop(SharedLoop):
    """As `SharedLoop`, for a loop that is woken from elsewhere about as often as it has something to do.

    Each ``idle_s`` it shows that it turns; it sleeps for ``sleep_s`` at most.
    """

    def __init__(self, clock: Clock, turns: Turns, *, idle_s: float = IDLE_S) -> None:
        self._periods: list[tuple[float, Timer]] = []
        # For when `pull` set a timer: it is put off once, else the proofs of many workers would put it off for ever.
        self._placed: dict[Timer, float | None] = {}
        super().__init__(clock, turns, idle_s=idle_s)
        # Timers that follow a proof are due later than ``idle_s`` after it: they end the sleep, not its bound.
        self._idle_s = self.sleep_s = idle_s + 2 * FOLLOW_S

    def every(self, interval_s: float, action: Action) -> Timer:
        """As `Loop.every`; may come earlier by `pull`."""
        timer = super().every(interval_s, action)
        self._periods.append((interval_s, timer))
        return timer

    def next_beat_s(self, interval_s: float) -> float:
        """As `Loop.next_beat_s`; after `pull` the next one is not before what came comes again."""
        if self._clock.now_s() < self._began_s:
            return self._began_s + interval_s
        return super().next_beat_s(interval_s)

    def pull(self, interval_s: float, other: Timer | None) -> None:
        """Something has come that comes each ``interval_s``: what is done as often or less often goes with it.

        Of that, and of ``other``, all is done now that is due within half of the interval, and what was done just now
        waits a bit longer. From here on it waits until the next one has come, for twice `FOLLOW_S` more than the
        interval at most, however many come from others in between. For the loop's own turns.
        """
        now_s = self._clock.now_s()
        until_s, next_s = now_s + interval_s / 2, now_s + interval_s + FOLLOW_S
        timers = [timer for period_s, timer in self._periods if period_s >= interval_s]
        if other is not None:
            timers.append(other)
        due = [timer for timer in timers if timer.at_s is not None and timer.at_s <= until_s]
        if due:
            self._began_s = now_s + FOLLOW_S
        for timer in timers:
            at_s = timer.at_s
            if at_s is None or at_s == self._placed.get(timer):
                continue
            if next_s - 2 * FOLLOW_S <= at_s < next_s:
                # Else it would be due just before the next one comes, each time.
                timer.set(next_s)
                self._placed[timer] = next_s
        for timer in due:
            timer.at_s = None
            timer.action()
            self._placed[timer] = timer.at_s


class RestingHeartbeat(Heartbeat):
    """As `Heartbeat`, but the loop beats in a turn that it does anyway, on the sessions' own sockets.

    A loop that beats no more is silent for `SPARED_INTERVALS`; then the thread beats.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", interval_s: float, *, clock: Clock) -> None:
        super().__init__(context, interval_s)
        self._clock = clock
        self._beaten_at_s = float("-inf")
        self._rounds = 0
        self._notes: dict[Link, Action] = {}

    def join(self, loop: RestingLoop, reports: Timer | None) -> Action:
        """Beat each interval. To be called when a worker's proof has come: brings ``reports`` along."""
        self._notes = {link: loop.note_use(link.socket) for link in self.links}
        loop.every(self._interval_s, self._beat_in_turn)
        return partial(loop.pull, self._interval_s, reports)

    def start(self) -> None:
        self._beaten_at_s = self._clock.now_s()
        super().start()

    def _beat_in_turn(self) -> None:
        self._beaten_at_s = self._clock.now_s()
        for link, every in self._watched:
            if self._rounds % every == 0:
                self._notes[link]()
                self._beat(link.socket, *link.session)
        self._rounds += 1

    def _waits(self, number: int) -> bool:
        wait_s = self._interval_s if number else 0.0
        while True:
            spared_s = self._beaten_at_s + SPARED_INTERVALS * self._interval_s - self._clock.now_s()
            wait_s = max(wait_s, spared_s)
            if wait_s <= 0:
                return True
            if self._stop.wait(wait_s):
                return False
            wait_s = 0.0
