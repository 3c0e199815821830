"""The threads that call a Python plug-in's functions.

Not here: what a call does (``calls``), which call is next (``dispatch``).
"""

import logging
import queue
import sys
import threading
import traceback

from deltawire.common.clock import Clock
from deltawire.common.meta.keys import display_key
from deltawire.handlers.calls import Program
from deltawire.handlers.dispatch import Call
from deltawire.handlers.executor import Results

log = logging.getLogger(__name__)

# Calls that wait for a thread. Measured at full speed: 32 give 24k events/s, 128 give 28k, since the loop turns
# less often. Not more, as reconciles of one key meet in `dispatch` and no longer here.
PREFETCH_CALLS = 128


class Pool:
    """``workers`` threads that make calls. An `Executor`."""

    def __init__(self, program: Program, workers: int, results: Results, *, clock: Clock) -> None:
        self.capacity = workers + PREFETCH_CALLS
        self.results = results
        self.failure = ""
        self.malformed = 0
        self._program = program
        self._clock = clock
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        # Thread → what it is in, and since when. Each thread writes its own entry only.
        self._running: dict[int, tuple[Call, float]] = {}
        self._threads = [
            # Daemons: a function that never returns must not keep the process from ending.
            threading.Thread(target=self._work, name=f"worker-{n}", daemon=True)
            for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Call) -> None:
        self._calls.put(call)

    def overdue(self, since_s: float) -> list[str]:
        """The calls that have run since before ``since_s``, each with the place where its thread is."""
        frames = sys._current_frames()
        found = []
        for thread, (call, began_s) in list(self._running.items()):
            if began_s < since_s:
                place = "".join(traceback.format_stack(frames[thread])[-2:]) if thread in frames else ""
                found.append(f"{display_key(call.key)} at {' '.join(place.split())}")
        return found

    def close(self, grace_s: float) -> bool:
        """Ends the threads that are idle, or become so within ``grace_s``. False if one still runs."""
        for _ in self._threads:
            self._calls.put(None)
        deadline_s = self._clock.now_s() + grace_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - self._clock.now_s()))
        self._program.close()
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        me = threading.get_ident()
        while (call := self._calls.get()) is not None:
            if not call.begin():
                continue
            self._running[me] = (call, self._clock.now_s())
            outcome = self._program.run(call)
            del self._running[me]
            self.results.put(call, outcome)
