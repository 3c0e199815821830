"""The clauses of a group's filter, each with a bit, and what they say of one version (pure).

The filter is the union over the functions of all replicas that are here. Bits are given out once: rows may still name
a clause that is gone, until all of them were looked at again.
"""

from collections.abc import Iterable, Mapping

import msgspec

from deltawire.common.meta.clauses import Judge, Subject, clause_of_text

# The first bit is of no clause: known from before there was a filter.
BEFORE = 1
# Verdicts on stored versions that the scan has not come to; above it they are judged again.
VERDICTS_MAX = 4096


class ClauseSet:
    """``bits``: clause (its text) → bit. ``live``: all of these together."""

    def __init__(self, bits: Mapping[str, int]) -> None:
        self.bits = dict(bits)
        self.errors = 0
        self._make()

    def _make(self) -> None:
        self.live = 0
        self.looks_at_changes = 0
        self._judges: list[tuple[int, Judge]] = []
        for text, bit in self.bits.items():
            judge = Judge(clause_of_text(text))
            self._judges.append((bit, judge))
            self.live |= bit
            self.looks_at_changes |= bit if judge.looks_at_changes else 0
        self._verdicts: dict[int, int] = {}

    def become(self, texts: Iterable[str], used: int) -> bool:
        """These are the clauses now; ``used``: bits that rows may name. False if they were before."""
        wanted = dict.fromkeys(texts)
        if wanted.keys() == self.bits.keys():
            return False
        kept = {text: bit for text, bit in self.bits.items() if text in wanted}
        taken = used | BEFORE
        for bit in self.bits.values():
            taken |= bit
        for text in wanted:
            if text not in kept:
                bit = ~taken & (taken + 1)
                taken |= bit
                kept[text] = bit
        self.bits = kept
        self._make()
        return True

    def judge(self, subject: Subject) -> int:
        """The clauses that want this object. What cannot be read is wanted by all: its handler will say so."""
        try:
            found = 0
            for bit, judge in self._judges:
                if judge.wants(subject):
                    found |= bit
            return found
        except (msgspec.MsgspecError, RecursionError):
            self.errors += 1
            return self.live

    def judge_change(self, old: Subject, new: Subject, mask: int, *, is_complete: bool) -> int:
        """Those of ``mask``, which look at changes and want both versions, that want this one."""
        try:
            found = 0
            for bit, judge in self._judges:
                if bit & mask and judge.wants_change(old, new, is_complete=is_complete):
                    found |= bit
            return found
        except (msgspec.MsgspecError, RecursionError, TypeError, AttributeError):
            self.errors += 1
            return mask

    def note(self, seq: int, verdict: int) -> None:
        """Keep a verdict until the scan comes to the version."""
        self._verdicts.pop(seq, None)
        if len(self._verdicts) < VERDICTS_MAX:
            self._verdicts[seq] = verdict

    def noted(self, seq: int) -> int | None:
        return self._verdicts.get(seq)

    def forget(self, seq: int) -> None:
        self._verdicts.pop(seq, None)
