"""One watch connection as far as its liveness goes (P8)."""

# A watch that closes sooner than this without an event is a fault (docs/contracts.md, reflector 13).
SHORT_S = 1.0
# A connection that lives but carries nothing (P8). Real servers send a bookmark a minute.
IDLE_S = 150.0
IDLE_INTERVALS = 2.5
IDLE_S_MIN = 5.0


class Connection:
    """All times are monotonic seconds. The time of a short watch counts from before the request is sent."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.events = 0
        self.bookmark_interval_s: float | None = None
        self._requested_at_s = now_s
        self._opened_at_s: float | None = None
        self._bookmark_at_s: float | None = None

    def opened(self, now_s: float) -> None:
        """The server accepted it."""
        self._opened_at_s = now_s

    @property
    def is_open(self) -> bool:
        return self._opened_at_s is not None

    @property
    def opened_at_s(self) -> float | None:
        """None until the server accepted it."""
        return self._opened_at_s

    def lived_s(self, now_s: float) -> float:
        """Since the server accepted it, 0 where it did not."""
        return 0.0 if self._opened_at_s is None else now_s - self._opened_at_s

    @property
    def idle_s(self) -> float:
        """How long it may carry nothing."""
        if self.bookmark_interval_s is None:
            return IDLE_S
        return max(IDLE_S_MIN, IDLE_INTERVALS * self.bookmark_interval_s)

    def is_short(self, now_s: float) -> bool:
        return now_s - self._requested_at_s < SHORT_S and not self.events

    def note_bookmark(self, now_s: float) -> None:
        """One that comes when it is due; the marker of a list comes when the list is ready."""
        if self._bookmark_at_s is not None:
            # The longest one seen: a bookmark before the server's time-out comes early.
            self.bookmark_interval_s = max(self.bookmark_interval_s or 0.0, now_s - self._bookmark_at_s)
        self._bookmark_at_s = now_s
