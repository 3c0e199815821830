"""Which lives of objects a group with a filter may know of, by clause: its rows in ``matched`` (pure).

A row is written in the transaction that stores a version which a clause wants, so before the group can be sent it: what
leaves the filter, or is deleted, is then told to every group with a row, whatever happened meanwhile. Masks have a bit
for each clause (`clause_set.ClauseSet`).
"""

import msgspec

# Versions of one life, of an `every` group, that are noted one by one as wanted; above it all up to the newest count
# as wanted.
DUES_MAX = 64


class Life(msgspec.Struct, array_like=True, gc=False):
    """``maybe``: clauses under which the group may have been sent the object; ``known``: under which it acknowledged
    it.

    Of clauses that look at changes: ``due``: a version that they want is not acknowledged; ``acked``: the version
    acknowledged last (its seq); ``dues``: for `every`, seq and mask of each wanted version, alternating, and up to
    ``open_to`` all are.
    """

    maybe: int = 0
    known: int = 0
    due: int = 0
    acked: int = 0
    open_to: int = 0
    dues: list[int] = []

    @property
    def had(self) -> int:
        return self.maybe | self.known

    def due_at(self, seq: int, *, every: bool) -> int:
        """The clauses that look at changes and want this version."""
        if not every:
            return self.due
        if seq <= self.open_to:
            return ~0
        return next((mask for at, mask in zip(self.dues[::2], self.dues[1::2], strict=True) if at == seq), 0)

    def owe(self, seq: int, mask: int, *, every: bool) -> None:
        """These clauses want version ``seq``."""
        if not every:
            self.due |= mask
            return
        self.dues = [*self.dues, seq, mask]
        if len(self.dues) > 2 * DUES_MAX:
            self.open_to, self.dues = seq, []


class MatchedLives:
    """Rows by life (``born``). ``writes`` collects what must reach the disk."""

    def __init__(self) -> None:
        self.writes: dict[int, Life | None] = {}
        self._lives: dict[int, Life] = {}
        # What no commit has yet under which clauses they may be sent.
        self._unsure: set[int] = set()

    def __len__(self) -> int:
        return len(self._lives)

    def load(self, born: int, life: Life) -> None:
        """A row that is on disk."""
        self._lives[born] = life

    def get(self, born: int) -> Life | None:
        return self._lives.get(born)

    @property
    def has_unsure(self) -> bool:
        """True if a row must be committed before what it allows is sent."""
        return bool(self._unsure)

    def may_send(self, born: int) -> bool:
        """True if all that the row allows is committed."""
        return born not in self._unsure

    def allow(self, born: int, mask: int) -> Life:
        """The group may be sent the object under these clauses, once that is committed."""
        life = self._lives.get(born)
        if life is None:
            life = self._lives[born] = Life()
        if mask & ~life.maybe:
            life.maybe |= mask
            self._unsure.add(born)
            self.writes[born] = life
        return life

    def put(self, born: int, life: Life, *, keep: bool = False) -> None:
        """The row says something else; one that says nothing goes, but for ``keep``."""
        if not life.had and not keep:
            self.drop(born)
            return
        self._lives[born] = life
        self.writes[born] = life

    def drop(self, born: int) -> None:
        """The life is over, and the group has been told."""
        self._unsure.discard(born)
        if self._lives.pop(born, None) is not None:
            self.writes[born] = None

    def drop_empty(self) -> None:
        """Drop the rows that were kept though they say nothing."""
        for born in [born for born, life in self._lives.items() if not life.had]:
            self.drop(born)

    def masks(self) -> int:
        """All clauses that any row names."""
        found = 0
        for life in self._lives.values():
            found |= life.had
        return found

    def was_committed(self) -> None:
        self.writes.clear()
        self._unsure.clear()

    def clear(self) -> None:
        for born in list(self._lives):
            self.drop(born)
