"""What of its informer a group with a filter gets: what each change is to each of its clauses (pure).

A letter says it: ``A`` the object is new to the clause, ``U`` it changed, ``D`` it was deleted, ``L`` it is stored but
left the clause, ``S`` a resync. Compared is what the group acknowledged last: a version is passed over only if every
one since was (docs/handlers.md, Filters).
"""

from collections.abc import Sequence

import msgspec

from deltawire.common.meta.clauses import Clause, Subject
from deltawire.common.store.layout import HISTORY_LOST, Row
from deltawire.common.wire.messages.group import EventKind
from deltawire.informer.groups.clause_set import BEFORE, ClauseSet
from deltawire.informer.groups.matched import Life, MatchedLives

# Stored objects that a filter is asked about in one turn of the loop; what is left waits for the next one.
LOOKED_AT_MAX = 1024
_KINDS: dict[str, EventKind] = {"A": "A", "U": "U", "D": "D", "L": "D", "S": "S"}
# Of a replica without a filter, beside one that has one.
EVERYTHING = Clause().text


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a version is to the group. ``now``: the clauses that want it; ``letters`` by clause."""

    now: int
    letters: dict[int, str]
    kind: EventKind

    @property
    def is_leaving(self) -> bool:
        """True if the object is stored, and no clause wants it any more."""
        return self.kind == "D" and "L" in self.letters.values()

    @property
    def active(self) -> int:
        return sum(self.letters)


class Held:
    """What an event in flight says of its object's life, once it is acknowledged.

    ``later``, ``later_due``: clauses that want versions which were stored since it was sent.
    """

    __slots__ = ("is_again", "is_end", "is_left", "is_newest", "later", "later_due", "now")

    def __init__(self, now: int, *, is_end: bool, is_left: bool, is_again: bool) -> None:
        self.now = now
        # A deletion; the object has left the filter; sent since the clauses are others now.
        self.is_end, self.is_left, self.is_again = is_end, is_left, is_again
        self.later = self.later_due = 0
        # No newer version is stored.
        self.is_newest = False


class Scope:
    """A group's filter on one shard.

    ``rescan``: stored objects are to be looked at again, since the clauses are others now; ``adopt_to``: lives up to
    this one without a row may be known to the group from when it had no filter; ``lost_to``: from before a crash of
    the machine, which took the rows. ``open_to``: versions up to this one were stored under other clauses, so
    that all of them count as wanted changes.
    """

    def __init__(
        self,
        bits: dict[str, int],
        *,
        rescan: bool = False,
        adopt_to: int = 0,
        lost_to: int = 0,
        open_to: int = 0,
    ) -> None:
        self.clauses = ClauseSet(bits)
        self.lives = MatchedLives()
        self.rescan = rescan
        self.adopt_to = adopt_to
        self.lost_to = lost_to
        self.open_to = open_to
        self.rescan_after: str | None = ""
        # Keys with something set aside, which are looked at again behind that. Bounded as what is set aside.
        self.postponed: dict[str, None] = {}
        self.is_dirty = False
        # Replicas came or left since the clauses were settled.
        self.is_open = True
        # Sending stopped for this turn though there was room; stored objects that were looked at in it.
        self.has_more = False
        self._looked_at = 0
        # Replicas that ask for everything, and do not look at letters.
        self._plain: set[bytes] = set()
        self._texts: dict[bytes, list[str]] = {}
        self._orders: dict[bytes, tuple[int, ...]] = {}

    # ---- the clauses

    def came(self, identity: bytes, clauses: Sequence[Clause]) -> None:
        """A replica asks for these; none: for everything."""
        self._texts[identity] = [clause.text for clause in clauses] or [EVERYTHING]
        if not clauses:
            self._plain.add(identity)
        self._orders.clear()
        self.is_open = True

    def left(self, identity: bytes) -> None:
        self._texts.pop(identity, None)
        self._plain.discard(identity)
        self._orders.clear()
        self.is_open = True

    @property
    def has_work(self) -> bool:
        """True if there is something to look at beside the changes."""
        return self.rescan or self.is_open

    @property
    def is_mixed(self) -> bool:
        """True if replicas ask for different things."""
        found = list(self._texts.values())
        return any(texts != found[0] for texts in found)

    def settle(self, newest: int, *, is_new: bool = False) -> bool:
        """The filter is the union of what the replicas that are here ask for. True if that is another one now.

        ``newest``: the newest change. ``is_new``: the group has seen nothing yet: there is nothing to look at again.
        """
        self.is_open = False
        if not self._texts:
            return False
        texts = [text for texts in self._texts.values() for text in texts]
        if not self.clauses.become(texts, self.lives.masks()):
            return False
        self._orders.clear()
        self.is_dirty = True
        if not is_new:
            self.rescan, self.rescan_after, self.open_to = True, "", newest
            self.postponed.clear()
        return True

    def as_seen_by(self, identity: bytes, verdict: Verdict) -> tuple[EventKind, str]:
        """The kind of the event and the letters, for this replica."""
        parts = self.parts_for(identity, verdict)
        if identity not in self._plain:
            return verdict.kind, parts
        return _KINDS.get(parts, verdict.kind), ""

    def parts_for(self, identity: bytes, verdict: Verdict) -> str:
        """The letters in the order of the replica's own clauses."""
        order = self._orders.get(identity)
        if order is None:
            bits = self.clauses.bits
            order = tuple(bits.get(text, 0) for text in self._texts.get(identity, ()))
            self._orders[identity] = order
        return "".join(verdict.letters.get(bit, "-") for bit in order)

    def able(self, verdict: Verdict) -> set[bytes] | None:
        """The replicas with a clause that this concerns; None: any of them."""
        if not self.is_mixed:
            return None
        return {who for who in self._texts if self.parts_for(who, verdict).strip("-")} or None

    # ---- what is stored

    def stored(
        self,
        row: Row,
        new: Subject,
        old: Row | None,
        before: Subject | None,
        *,
        every: bool,
        held: Held | None,
    ) -> None:
        """A version was stored, in the place of ``old``; ``held``: of this life's event in flight.

        ``before``: None also where the content of ``old`` is not known any more: then any change is one that is wanted.
        """
        now = self.clauses.judge(new)
        self.clauses.note(row.seq, now)
        if not now:
            return
        life = self.lives.allow(row.born, now)
        if held is not None:
            held.later |= now
        changes = self.clauses.looks_at_changes & now
        if not changes or old is None:
            return
        due = changes
        if before is not None:
            both = changes & self._wanted(old, before)
            is_complete = not row.flags & HISTORY_LOST
            due = (changes & ~both) | self.clauses.judge_change(before, new, both, is_complete=is_complete)
        if due:
            life.owe(row.seq, due, every=every)
            self.lives.put(row.born, life)
            if held is not None:
                held.later_due |= due

    def _wanted(self, row: Row, subject: Subject | None = None) -> int:
        noted = self.clauses.noted(row.seq)
        return self.clauses.judge(subject or Subject(row.key, row.object)) if noted is None else noted

    def adopts(self, row: Row) -> bool:
        """True if the group may know a life that has no row, from before there were rows."""
        if self.lives.get(row.born) is not None:
            return False
        return row.born <= self.lost_to or (self.rescan and row.born <= self.adopt_to)

    def adopt(self, row: Row, *, is_known: bool) -> None:
        """Give it one. ``is_known``: the group has acknowledged a version."""
        life = self.lives.allow(row.born, BEFORE)
        life.known = BEFORE if is_known else 0

    def may_know(self, born: int) -> None:
        """A version that may have been sent is lost: it counts as acknowledged, so that its leaving is told."""
        life = self.lives.get(born)
        if life is not None:
            self.lives.put(born, msgspec.structs.replace(life, known=life.had))

    # ---- what is sent

    def look(
        self,
        row: Row,
        *,
        is_gone: bool,
        is_left: bool = False,
        every: bool,
        is_next: bool = True,
        forced: bool = False,
        again: bool = False,
    ) -> Verdict | None:
        """What this version is to the group; None: nothing.

        ``is_left``: its leaving is what was set aside. ``is_next``: nothing of its key is set aside
        before it. ``forced``: it was found worth telling before. ``again``: the
        group has acknowledged it, or passed it over, under other clauses.
        """
        now = 0 if is_gone or is_left else self._wanted(row)
        life = self.lives.get(row.born)
        had, known = (life.had, life.known) if life is not None else (0, 0)
        if every and is_next:
            # Versions come one by one: what may have been sent of before is acknowledged.
            had = known
        if not now and not had:
            return None
        live, changes = self.clauses.live, self.clauses.looks_at_changes
        left = "D" if is_gone else "L"
        if not now and had & ~live:
            return Verdict(0, dict.fromkeys(self.clauses.bits.values(), left), "D")
        due = life.due_at(row.seq, every=every) if life is not None else 0
        if row.seq <= self.open_to:
            due = ~0
        letters: dict[int, str] = {}
        for bit in self.clauses.bits.values():
            if now & bit:
                if not known & bit:
                    letters[bit] = "U" if known & ~live else "A"
                elif not again and (forced or not changes & bit or due & bit):
                    letters[bit] = "U"
            elif had & bit:
                letters[bit] = left
        return Verdict(now, letters, _kind(now, letters)) if letters else None

    def resync(self, row: Row) -> Verdict | None:
        """The object is handed out again."""
        life = self.lives.get(row.born)
        now = self._wanted(row)
        same = now & life.known if life is not None else 0
        letters = {bit: "S" for bit in self.clauses.bits.values() if same & bit}
        return Verdict(now, letters, "S") if letters else None

    def may_send(self, row: Row, verdict: Verdict) -> bool:
        """True if the row that says so is committed; else it is to be, first."""
        if verdict.now:
            self.lives.allow(row.born, verdict.now)
        return self.lives.may_send(row.born)

    def hold(self, verdict: Verdict, *, is_again: bool) -> Held:
        """For an event that is sent."""
        is_end = "D" in verdict.letters.values()
        return Held(verdict.now, is_end=is_end, is_left=verdict.is_leaving, is_again=is_again)

    def told(self, born: int, seq: int, held: Held, *, every: bool) -> None:
        """The event is acknowledged, or a dead letter."""
        if held.is_end:
            self.lives.drop(born)
            return
        life = self.lives.get(born)
        if life is None:
            return
        changes = self.clauses.looks_at_changes
        after = Life(held.now | held.later, held.now, held.later_due, seq if changes else 0, life.open_to)
        if every:
            after.due = 0
            if not held.is_newest:
                # Newer ones, that are wanted, wait.
                after.maybe |= life.maybe
            pairs = zip(life.dues[::2], life.dues[1::2], strict=True)
            after.dues = [number for at, mask in pairs if at > seq for number in (at, mask)]
        if after != life:
            self._put(born, after)

    def is_loose(self, born: int) -> bool:
        """True if the object may be sent under clauses under which it is not known."""
        life = self.lives.get(born)
        return life is not None and bool(life.maybe & ~life.known)

    def passed_over(self, row: Row, *, is_gone: bool, is_newest: bool) -> None:
        """The version is nothing to the group."""
        self.clauses.forget(row.seq)
        if is_gone:
            self.lives.drop(row.born)
            return
        life = self.lives.get(row.born)
        if is_newest and life is not None and life.maybe & ~life.known:
            # No version is left that could be sent under more clauses.
            self._put(row.born, msgspec.structs.replace(life, maybe=life.known, dues=[]))

    def clean(self, row: Row) -> None:
        """A stored object was looked at again, and there is nothing to tell: its row names no clause that is gone."""
        life = self.lives.get(row.born)
        if life is None:
            return
        live = self.clauses.live
        if life.had & ~live:
            after = msgspec.structs.replace(life, maybe=life.maybe & live, known=life.known & live)
            self._put(row.born, after)

    def _put(self, born: int, life: Life) -> None:
        # While rows are made for lives of before the filter, one that was told stays, so that it is not made again.
        self.lives.put(born, life, keep=self.rescan and born <= self.adopt_to)

    @property
    def needs_commit(self) -> bool:
        """True if nothing (more) may be sent before what changed is on the disk."""
        return self.is_dirty or self.lives.has_unsure

    def was_committed(self) -> None:
        self.is_dirty = False
        self.lives.was_committed()

    def looked_at(self, key: str | None) -> None:
        """The rescan is past this key; None: past all."""
        self.rescan_after = key

    def begin_turn(self) -> None:
        """A turn of the loop begins: so many objects may be looked at again."""
        self.has_more, self._looked_at = False, 0

    def prepare(self, rows: Sequence[Row]) -> bool:
        """Judge stored versions that are about to be looked at, so that rows of many are committed together.

        False if these must be committed first, or enough were judged in this turn.
        """
        if self._looked_at >= LOOKED_AT_MAX:
            self.has_more = True
            return False
        for row in rows:
            if self.clauses.noted(row.seq) is None:
                self._looked_at += 1
                now = self._wanted(row)
                self.clauses.note(row.seq, now)
                if now:
                    self.lives.allow(row.born, now)
        return not self.lives.has_unsure

    def end_rescan(self) -> None:
        """All stored objects were looked at."""
        self.rescan, self.rescan_after, self.adopt_to, self.is_dirty = False, "", 0, True
        self.lives.drop_empty()

    def start_over(self) -> None:
        """The group begins anew: it knows nothing."""
        self.rescan, self.rescan_after, self.adopt_to, self.is_dirty = False, "", 0, True
        self.lives.clear()


def _kind(now: int, letters: dict[int, str]) -> EventKind:
    """Of the event as a whole, for replicas that do not look at letters."""
    if not now:
        return "D"
    return "A" if set(letters.values()) == {"A"} else "U"
