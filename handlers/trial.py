"""What the informer worker would make of an object for a handler's functions: for `testing.Harness`.

Not here: what survives a restart (the worker's own).
"""

from deltawire.common.meta.clauses import Clause, Judge, Subject


class Trial:
    """The filter of one resource, and under which clauses the handler has been given each key."""

    def __init__(self, clauses: list[Clause]) -> None:
        self._judges = [Judge(clause) for clause in clauses]
        self._known: dict[str, set[int]] = {}
        self._last: dict[str, tuple[str, str]] = {}

    def parts(
        self, kind: str, key: str, body: bytes, old: bytes | None, *, again: bool = False
    ) -> tuple[str, str]:
        """The kind of the event, and a letter for each clause (docs/wire.md §7), all ``-`` where nobody is called; ""
        where there is no filter. ``again``: the last event of the key."""
        if not self._judges:
            return kind, ""
        if again and key in self._last:
            return self._last[key]
        known = self._known.setdefault(key, set())
        if kind == "D":
            parts = "".join("D" if number in known else "-" for number in range(len(self._judges)))
            known.clear()
        else:
            subject, before = Subject(key, body), None if old is None else Subject(key, old)
            parts = "".join(
                self._letter(kind, number, judge, known, subject, before)
                for number, judge in enumerate(self._judges)
            )
            if kind != "S" and parts.strip("-"):
                kind = "D" if not known else "A" if set(parts) <= set("A-") else "U"
        self._last[key] = kind, parts
        return kind, parts

    def _letter(
        self, kind: str, number: int, judge: Judge, known: set[int], subject: Subject, before: Subject | None
    ) -> str:
        if not judge.wants(subject):
            was_known = number in known
            known.discard(number)
            return "L" if was_known else "-"
        if number not in known:
            known.add(number)
            return "A"
        if kind == "S":
            return "S"
        if before is not None and not judge.wants_change(before, subject, is_complete=True):
            return "-"
        return "U"
