"""What may have been sent to a group before a kill, known without a commit for each event (pure)."""

# Changes that are noted as sent ahead of being sent. After a kill at most so many say that they come again, and do not.
SENT_AHEAD = 256


class SentAhead:
    """Changes are sent for the first time only up to ``committed``, a note that is on the disk ahead of them.

    ``before``: what is not done up to here may have been sent by a worker before this one. ``note``: what the
    group's row is to say. ``wanted``: a change beyond, that could be sent now.
    """

    def __init__(self, note: int, newest: int) -> None:
        """``note``: of the row, -1 where it does not say; ``newest``: the newest change there was at the kill."""
        self.before = newest if note < 0 else min(note, newest)
        self.note = self.committed = max(note, self.before)
        self.wanted = 0

    def allows(self, seq: int, wanted: int) -> bool:
        """True if ``seq`` may be sent; else `reserve` is to be called, which goes up to ``wanted``."""
        if seq <= self.committed:
            return True
        self.wanted = max(self.wanted, wanted)
        return False

    def reserve(self) -> bool:
        """Move the note past what is wanted. True if it must be committed now."""
        wanted, self.wanted = self.wanted, 0
        if wanted <= self.committed:
            return False
        self.note = wanted + SENT_AHEAD
        return True

    def was_committed(self) -> None:
        self.committed = self.note

    def start_over(self) -> None:
        self.before = self.note = self.committed = self.wanted = 0
