"""The loop of a role: it waits for what can be read and for timers, and does what these ask for.

A turn costs what has something to do, never what exists: only sources that can be read are read, and timers lie in a
heap. One thread owns a loop; others wake it with a `common.waker.Waker`.

Not here: what a role does in its turns.
"""

import heapq
import select
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import zmq

from deltawire.common.clock import Clock
from deltawire.common.waker import Waker, woken_by_signals
from deltawire.common.wire.sockets import has_message

# The longest sleep: so often a loop without any event shows that it turns, and sees that it is to stop.
IDLE_S = 0.25
# The longest sleep of a loop whose role asks for no more, and which signals wake: in the main thread.
RARE_S = 2.0
_FD = int(zmq.FD)
# An instant that is so near counts as past: the sum of intervals is not exact.
_ROUNDING_S = 1e-6

Action = Callable[[], object]


class Turns(Protocol):
    """Counts the turns of a loop, and reports from time to time that it turns (`wire.heartbeat.Heartbeat`)."""

    turns: int

    def show(self) -> None: ...


class Timer:
    """Calls ``action`` once when its time has come; the loop's thread sets it anew."""

    __slots__ = ("_loop", "action", "at_s")

    def __init__(self, loop: "Loop", action: Action) -> None:
        self._loop = loop
        self.action = action
        self.at_s: float | None = None

    def set(self, at_s: float) -> None:
        """Monotonic s; replaces what was set before."""
        if at_s != self.at_s:
            self.at_s = at_s
            self._loop._enter(at_s, self)

    def hurry(self, at_s: float) -> None:
        """Set it, unless it is set for an earlier time."""
        if self.at_s is None or at_s < self.at_s:
            self.set(at_s)

    def cancel(self) -> None:
        self.at_s = None


class Loop:
    """``turns`` counts each turn. ``idle_s``: the longest sleep while only signals stop it.

    Sockets are polled by their files' numbers: a poll of the sockets themselves asks each of them twice a turn. A
    socket's file tells once that something has come, also to who only sends, so sockets that were used are looked at
    before the loop sleeps.
    """

    def __init__(self, clock: Clock, turns: Turns, *, idle_s: float = IDLE_S) -> None:
        self._clock = clock
        self._turns = turns
        self._poll = select.poll()
        self._sources: dict[int, Action] = {}
        # Sockets by their files' numbers; of those that have messages which no file tells of any more.
        self._sockets: dict[int, zmq.Socket[bytes]] = {}
        self._again: set[int] = set()
        # Sockets whose users say when they use them, and those that were used since they were looked at last.
        self._noted: set[int] = set()
        self._used: set[int] = set()
        self._heap: list[tuple[float, int, Timer]] = []
        self._entered = 0
        self._is_soon = False
        self._ends: list[Action] = []
        self._idle_s = idle_s
        self._began_s = clock.now_s()
        self.every(idle_s, turns.show)

    def reads(self, source: "zmq.Socket[bytes] | int", action: Action) -> None:
        """Call ``action`` in each turn in which ``source``, a socket or a file's number, can be read.

        It need not read all that is there: the next turn comes at once.
        """
        number = source if isinstance(source, int) else _number_of(source)
        self._sources[number] = action
        self._poll.register(number, select.POLLIN)
        if not isinstance(source, int):
            self._sockets[number] = source
            # Its file may have told before.
            self._used.add(number)
            self._look_again()

    def forgets(self, source: "zmq.Socket[bytes] | int") -> None:
        number = source if isinstance(source, int) else _number_of(source)
        if self._sources.pop(number, None) is not None:
            self._poll.unregister(number)
        self._sockets.pop(number, None)
        for numbers in (self._noted, self._used, self._again):
            numbers.discard(number)

    def note_use(self, socket: "zmq.Socket[bytes]") -> Action:
        """What is to be called when ``socket`` was sent something, or may have messages that were not read.

        Sockets for which nobody asks for it are looked at after each turn.
        """
        number = _number_of(socket)
        self._noted.add(number)
        self._used.add(number)
        return partial(self._used.add, number)

    def timer(self, action: Action) -> Timer:
        """A timer that is not set yet."""
        return Timer(self, action)

    def every(self, interval_s: float, action: Action) -> Timer:
        """Call ``action`` in the next turn, and then each ``interval_s`` (`next_beat_s`)."""

        def again() -> None:
            timer.set(self.next_beat_s(interval_s))
            action()

        timer = Timer(self, again)
        timer.set(self._clock.now_s())
        return timer

    def next_beat_s(self, interval_s: float) -> float:
        """The next instant of a period, monotonic. All periods of a loop began together: one turn serves several."""
        passed_s = self._clock.now_s() - self._began_s
        return self._began_s + ((passed_s + _ROUNDING_S) // interval_s + 1) * interval_s

    def soon(self) -> None:
        """The next turn begins without waiting."""
        self._is_soon = True

    def at_end(self, action: Action) -> None:
        """Call ``action`` once, when all else in this turn is done."""
        self._ends.append(action)

    def turn(self, after: Action | None = None, *, wait_s_max: float = IDLE_S) -> None:
        """Wait until there is something to do, and do it; ``after`` is called last."""
        self._act(self._poll.poll(0 if self._is_soon else self._wait_ms(wait_s_max)), after)

    def _act(self, ready: list[tuple[int, int]], after: Action | None) -> None:
        self._turns.turns += 1
        self._is_soon = False
        heap = self._heap
        if heap:
            now_s = self._clock.now_s()
            if heap[0][0] <= now_s:
                self._fire(now_s)
        if self._again:
            self._offer_again(ready)
        sources = self._sources
        for number, _ in ready:
            action = sources.get(number)
            if action is not None:
                action()
        if after is not None:
            after()
        if self._ends:
            self._end()
        if self._used or len(self._noted) < len(self._sockets):
            self._look_again()

    def _offer_again(self, ready: list[tuple[int, int]]) -> None:
        """Add the sockets to ``ready`` whose files do not tell of their messages any more."""
        again, self._again = self._again, set()
        told = {number for number, _ in ready}
        ready += [(number, select.POLLIN) for number in again if number not in told]

    def _look_again(self) -> None:
        used = self._used
        if len(self._noted) < len(self._sockets):
            used |= self._sockets.keys() - self._noted
        while used:
            number = used.pop()
            socket = self._sockets.get(number)
            if socket is not None and has_message(socket):
                self._again.add(number)
                self._is_soon = True

    def _end(self) -> None:
        while self._ends:
            ends, self._ends = self._ends, []
            for action in ends:
                action()

    def run(self, stop: threading.Event, after: Action | None = None, *, until: Callable[[], bool]) -> None:
        """Turn until ``stop`` is set or ``until`` says so.

        A signal's handler may set ``stop``: in the main thread the loop wakes at once. What another thread sets is seen
        within `IDLE_S` elsewhere, and within ``idle_s`` in the main thread.
        """
        waker = Waker()
        self.reads(waker.fileno(), waker.clear)
        try:
            with woken_by_signals(waker) as is_woken:
                wait_s = self._idle_s if is_woken else IDLE_S
                while not (stop.is_set() or until()):
                    self.turn(after, wait_s_max=wait_s)
        finally:
            self.forgets(waker.fileno())
            waker.close()

    def _wait_ms(self, wait_s_max: float) -> int:
        heap = self._heap
        while heap:
            at_s, _, timer = heap[0]
            if at_s == timer.at_s:
                break
            heapq.heappop(heap)  # it was set anew, or cancelled
        else:
            return int(1000 * wait_s_max)
        left_s = at_s - self._clock.now_s()
        if left_s > wait_s_max:
            left_s = wait_s_max
        # Rounded up: a turn just before the time would find nothing to do.
        return int(1000 * left_s) + 1 if left_s > 0 else 0

    def _enter(self, at_s: float, timer: Timer) -> None:
        self._entered += 1
        heapq.heappush(self._heap, (at_s, self._entered, timer))

    def _fire(self, now_s: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= now_s:
            at_s, _, timer = heapq.heappop(heap)
            if timer.at_s == at_s:
                timer.at_s = None
                timer.action()


def _number_of(socket: "zmq.Socket[bytes]") -> int:
    number: Any = socket.getsockopt(_FD)
    return int(number)
