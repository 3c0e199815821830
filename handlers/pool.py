"""The threads that call a Python plug-in's functions.

Not here: what a call does (``calls``), which call is next (``dispatch``).
"""

import sys
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from deltawire.common.clock import Clock
from deltawire.common.meta.keys import display_key
from deltawire.handlers.async_loop import place_in_plugin
from deltawire.handlers.dispatch import DONE, Call, Outcome, Verdict
from deltawire.handlers.executor import Results
from deltawire.handlers.forks import end_if_forked, fork_depth
from deltawire.handlers.late_acks import ACKS_MAX
from deltawire.handlers.turn_taking import TurnTaking

# Calls that wait for a thread. Measured at full speed: 32 give 24k events/s, 128 give 28k, since the loop turns
# less often. Not more, as reconciles of one key meet in `dispatch` and no longer here.
PREFETCH_CALLS = 128


class Runs(Protocol):
    """What a call does: `calls.Program`. `run` never raises."""

    def run(self, call: Call) -> Outcome: ...

    def close(self) -> None: ...


class Pool:
    """``workers`` threads that make calls. An `Executor`.

    A thread takes one call after the other without the loop in between; a batch of calls wakes as many idle threads
    as it has calls, and no thread that is busy. A thread that is alone does the turns of the loop itself while it has
    no call (``turns``).
    """

    def __init__(self, program: Runs, workers: int, results: Results, *, clock: Clock) -> None:
        self.capacity = workers + PREFETCH_CALLS
        self.results = results
        results.may_visit = True
        self.failure = ""
        self.malformed = 0
        self._program = program
        self._clock = clock
        self._calls: deque[Call] = deque()
        # None while nobody turns here: then the thread sleeps.
        self.turns: TurnTaking | None = None
        self.is_alone = workers == 1
        # Ends of calls that the loop need not be woken for, while it looks by itself.
        self.unawaited_max = ACKS_MAX
        self._is_closing = False
        self._forks = fork_depth()
        # Locks of the threads that sleep: each holds its own while it does, and who releases it wakes the thread.
        self._sleepers: list[threading.Lock] = []
        self._hot_waits = False
        # Thread → what it is in, and since when. Each thread writes its own entry only.
        self._running: dict[int, tuple[Call, float]] = {}
        self._threads = [
            # Daemons: a function that never returns must not keep the process from ending.
            threading.Thread(target=self._work, name=f"worker-{n}", daemon=True)
            for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, calls: Sequence[Call]) -> None:
        self._calls.extend(calls)
        self._wake(len(calls))

    def rouse(self) -> None:
        """Wake the thread that is alone."""
        self._wake(1)

    def overdue(self, since_s: float) -> list[str]:
        """The calls that have run since before ``since_s``, each with the place where its thread is."""
        late = [
            (thread, call) for thread, (call, began_s) in list(self._running.items()) if began_s < since_s
        ]
        found = []
        if late:
            frames = sys._current_frames()
            for thread, call in late:
                frame = frames.get(thread)
                place = "".join(traceback.format_stack(frame)[-2:]) if frame else ""
                found.append(f"{display_key(call.key)} at {place_in_plugin(frame) or ' '.join(place.split())}")
        return found

    def close(self, grace_s: float) -> bool:
        """Ends the threads that are idle, or become so within ``grace_s``. False if one still runs."""
        self._is_closing = True
        self._wake(len(self._threads))
        deadline_s = self._clock.now_s() + grace_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - self._clock.now_s()))
        self._program.close()
        return not any(thread.is_alive() for thread in self._threads)

    def _wake(self, threads_max: int) -> None:
        sleepers = self._sleepers
        while threads_max and sleepers:
            try:
                sleepers.pop().release()
            except IndexError:
                return  # the last one found work by itself
            threads_max -= 1

    def _work(self) -> None:
        me, mine = threading.get_ident(), threading.Lock()
        mine.acquire()
        while (call := self._next(mine)) is not None:
            if call.begin():
                self._make(me, call)

    def _next(self, mine: threading.Lock) -> Call | None:
        """The next call; sleeps until there is one. None at the end."""
        while True:
            if self._is_closing and not self._calls:
                return None
            if self._has_turned():
                continue
            try:
                return self._calls.popleft()
            except IndexError:
                pass
            self._sleepers.append(mine)
            # Looked at again once it can be woken: what came in between woke no thread.
            if self._calls or self._is_closing:
                try:
                    self._sleepers.remove(mine)
                    continue
                except ValueError:
                    pass  # somebody has just woken it
            mine.acquire()

    def _has_turned(self) -> bool:
        """Do a turn of the loop, where it is this thread's to do and there is no call, or a timer has run out."""
        turns, has_calls = self.turns, bool(self._calls)
        if turns is None or (has_calls and not turns.is_due()):
            return False
        return turns.turn(has_calls=has_calls)

    def _make(self, me: int, call: Call) -> None:
        if self.turns is not None:
            self.turns.begins()
        self._running[me] = (call, self._clock.now_s())
        outcome = self._program.run(call)
        end_if_forked(self._forks, failed=outcome.verdict > Verdict.REQUEUE)
        del self._running[me]
        call.ended_us = int(self._clock.wall_s() * 1e6)
        self._hot_waits = self._hot_waits or call.is_urgent or outcome is not DONE
        if self._hot_waits and not self._calls:
            self._hot_waits = False
            self.results.put(call, outcome)
        else:
            self.results.leave(
                call, outcome, unawaited_max=self.unawaited_max, is_urgent=self._hot_waits
            )
