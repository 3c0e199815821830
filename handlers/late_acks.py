"""When acknowledgements leave (pure): in batches, but no later than anybody can feel (docs/adr/0008, 0017).

Not here: sending them (``worker_link``), the timer (``runner``).
"""

# Acks of so many events leave whatever else waits.
ACKS_MAX = 32
# A part of the window, too, and no more than it has room for beyond the calls that are made at a time: what may be sent
# is never held up by acks that wait, and no thread is idle for them.
WINDOW_PARTS = 4
# So long after its call was handed out an ack leaves, or when the call ends, where that is later. Calls that are handed
# out further apart do not wait: no other ack would come in time.
LATE_S = 0.1
# The same where a worker cannot ask for acks, and after it has asked.
SOON_S = 0.005
# Acks of which no more than this part of their time is left go with an event that comes: the process is awake.
RIDE_PART = 0.2
# A key is hot where its events come closer together than that: the next one may wait at the worker for the ack.
HOT_S = 0.05
# Keys whose last event is remembered.
KEYS_MAX = 4096


class HotKeys:
    """``came_s``: when the last event of each key came (monotonic), in the order of these times, for `HOT_S`."""

    def __init__(self) -> None:
        self.came_s: dict[str, float] = {}

    def forget(self, now_s: float) -> None:
        """Keys that are not hot any more at ``now_s``, and the oldest above `KEYS_MAX`."""
        came_s, hot_since_s = self.came_s, now_s - HOT_S
        while came_s:
            oldest = next(iter(came_s))
            if came_s[oldest] >= hot_since_s and len(came_s) <= KEYS_MAX:
                return
            del came_s[oldest]


class LateAcks:
    """Counts the acks that wait. ``due_s`` (monotonic): when `due` must be called, None where nothing waits.

    ``is_alone``: the next ack leaves at once, since calls come, or end, further apart than ``late_s``. ``acks_max``: so
    many leave whatever else waits.
    """

    def __init__(self, window: int, calls_max: int = 1) -> None:
        """``window``: keys that the process may hold; ``calls_max``: calls that are made at a time."""
        self.acks_max = max(1, min(ACKS_MAX, window // WINDOW_PARTS, window - calls_max))
        self.late_s = SOON_S
        self.due_s: float | None = None
        self.is_alone = False
        self._waiting = 0
        self._is_urgent = False
        self._handed_out_s = float("-inf")

    def handed_out(self, now_s: float) -> None:
        """Calls were handed out, whose acks may leave together."""
        if self.due_s is None:
            self.is_alone = now_s - self._handed_out_s > self.late_s
            self.due_s = None if self.is_alone else now_s + self.late_s
        self._handed_out_s = now_s

    def ended(self, acks: int, *, is_urgent: bool, now_s: float) -> bool:
        """So many acks came to those that wait; true if all must leave now. ``is_urgent``: a key of them is hot."""
        self._waiting += acks
        self._is_urgent = self._is_urgent or (is_urgent and acks > 0)
        if self._waiting and self.due_s is None and not self.is_alone:
            self.due_s = now_s + self.late_s
        return self._waiting >= self.acks_max or (self._waiting > 0 and (self._is_urgent or self.is_alone))

    def may_ride(self, now_s: float) -> bool:
        """An event has come: true if the acks that wait may as well leave now."""
        return self._waiting > 0 and self.due_s is not None and now_s >= self.due_s - RIDE_PART * self.late_s

    def asked(self, now_s: float) -> bool:
        """A worker waits for acks: true if some must leave now; what ends later is looked for soon."""
        if self.due_s is not None:
            self.due_s = min(self.due_s, now_s + SOON_S)
        return self._waiting > 0

    def due(self) -> bool:
        """The time of ``due_s`` has come: true if acks must leave now."""
        self.due_s = None
        self.is_alone = not self._waiting
        return self._waiting > 0

    def left(self, now_s: float, *, calls_out: int) -> None:
        """All acks were sent; ``calls_out`` calls have not ended: those of the next hot key may not wait."""
        wait_s = SOON_S if self._is_urgent else self.late_s
        self._waiting = 0
        self._is_urgent = False
        self.is_alone = False
        self.due_s = now_s + wait_s if calls_out else None

    def is_far(self, now_s: float) -> bool:
        """True where `due` is to be called later than what is urgent may wait."""
        return self.due_s is not None and self.due_s > now_s + SOON_S
