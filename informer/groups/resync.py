"""When all objects are handed out again, and how far that is (pure). Times are wall s."""


class Resync:
    """``after``: the last key that was looked at, None while none is under way. ``at``: when the next one begins."""

    __slots__ = ("after", "at", "period_s")

    def __init__(self) -> None:
        self.period_s = 0.0
        self.after: str | None = None
        self.at = float("inf")

    def set_period(self, period_s: float) -> None:
        """0: never, from the end of one that is under way."""
        self.period_s = period_s

    def joined(self, now: float) -> None:
        """A replica came: the period begins with the first one."""
        if self.period_s and self.at == float("inf"):
            self.at = now + self.period_s

    def is_due(self, now: float) -> bool:
        """True if one is under way, or begins now."""
        if self.after is None and now >= self.at:
            self.after = ""
        return self.after is not None

    def looked_at(self, key: str) -> None:
        self.after = key

    def end(self, now: float) -> None:
        """All objects were looked at."""
        self.after = None
        self.at = now + self.period_s if self.period_s else float("inf")
