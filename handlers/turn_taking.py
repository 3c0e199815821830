"""Who does the turns of a handler's loop, where one thread makes all calls: that thread, while it has no call.

So an event costs no switch of threads: the thread that reads it makes the call and reads on. The loop's own thread
stands by, and takes the turns over where a call takes long: acknowledgements, questions to workers, deadlines and the
supervisor's requests wait for no function. User code never runs in the loop's own thread.

Not here: what a turn does (``runner``), making calls (``pool``).
"""

import select
import threading
from collections.abc import Callable
from typing import Protocol

from deltawire.common.loop import IDLE_S, Action
from deltawire.common.shared_loop import SharedLoop
from deltawire.common.waker import Waker, woken_by_signals

# So often it is looked whether the thread of the calls still does turns, while it makes calls: a loop is taken over
# after one to two of these.
LOOK_S = 0.05
# The loop's own thread sleeps so long while no call begins: signals, and who needs it, wake it.
REST_S = 10.0


class Counted(Protocol):
    """Counts the turns of the loop, whoever does them."""

    turns: int


class TurnTaking:
    """`run` is the loop's own thread's, `turn` and `begins` are for the one thread that makes calls."""

    def __init__(self, loop: SharedLoop, counted: Counted, *, rouse: Action, idle_s: float) -> None:
        """``rouse`` wakes the thread that makes calls. ``idle_s``: the longest sleep between two turns."""
        self._rouse = rouse
        self._loop = loop
        self._counted = counted
        self._idle_s = idle_s
        self._waker = Waker()
        self._work: Action = lambda: None
        self._is_at_end: Callable[[], bool] = lambda: False
        # Between `run` and its end the other thread may do turns.
        self._is_open = False
        self._is_turning = False
        self._is_taken_over = False
        # The loop's own thread looks each `LOOK_S`; it need not while no call begins.
        # At first nobody knows whether the other one is awake.
        self._is_watched = True
        self._calls = 0
        self._is_asked = False
        self._failure: BaseException | None = None

    def run(self, stop: threading.Event, work: Action, *, until: Callable[[], bool]) -> None:
        """As `Loop.run`. Raises what a turn raised, whoever did it."""
        self._work, self._is_at_end = work, lambda: stop.is_set() or until()
        poll = select.poll()
        poll.register(self._waker.fileno(), select.POLLIN)
        with woken_by_signals(self._waker) as is_woken:
            self._is_open = True
            self._rouse()
            try:
                while self._failure is None and not self._is_at_end():
                    self._stand_by(poll, REST_S if is_woken else IDLE_S)
            finally:
                self._is_open = False
                self._loop.wake()
        if self._failure is not None:
            raise self._failure

    def hurry(self) -> None:
        """The loop was woken: if nobody sleeps in it, the loop's own thread turns. From any thread."""
        if not self._is_turning:
            self._is_asked = True
            self._waker.wake()

    def begins(self) -> None:
        """A call begins."""
        self._calls += 1
        if not self._is_watched:
            self._is_watched = True
            self._waker.wake()

    def turn(self, *, has_calls: bool) -> bool:
        """Do a turn; ``has_calls``: only what is due, without waiting. False where there are no turns to do here."""
        if not self._is_open:
            return False
        self._is_turning = True
        try:
            if self._is_taken_over:
                self._is_taken_over = False
                self._loop.wake()
            self._loop.turn(self._work, wait_s_max=0 if has_calls else self._idle_s)
        except BaseException as error:
            self._failure = error
        finally:
            self._is_turning = False
        if self._failure is not None or self._is_at_end():
            self._is_open = False
            self._waker.wake()
        return self._is_open

    def is_due(self) -> bool:
        """A timer of the loop has run out."""
        return self._loop.is_due

    def close(self) -> None:
        """Only when the thread that makes calls has ended."""
        self._waker.close()

    def _stand_by(self, poll: select.poll, rest_s: float) -> None:
        calls, turns = self._calls, self._counted.turns
        if poll.poll(1000 * (LOOK_S if self._is_watched else rest_s)):
            self._waker.clear()
            is_late = False
        else:
            is_late = turns == self._counted.turns
        is_asked, self._is_asked = self._is_asked, False
        if not self._is_turning:
            if is_late or is_asked:
                self._take_over()
        elif is_late and calls == self._calls:
            self._is_watched = False
            # One that began in between took it for watched.
            self._is_watched = calls != self._calls

    def _take_over(self) -> None:
        """Do the turns until the other thread comes back to them."""
        self._is_taken_over = True
        while self._is_taken_over and self._failure is None and not self._is_at_end():
            self._loop.turn(self._work, wait_s_max=LOOK_S)
        self._is_taken_over = False
        # The other thread may sleep by now, and not know what these turns left to be done.
        self._loop.wake()
