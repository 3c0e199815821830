r"""Paths into objects: the part of kubectl's JSONPath that config and indexes need.

    .metadata.labels.app                              a field
    {.metadata.labels['app.kubernetes.io/name']}      a field whose name has dots; braces may be left out
    .metadata.labels.app\.kubernetes\.io/name         the same, kubectl's other way of writing it
    .spec.containers[*].image                         every element of a list (or value of a map)
    .status.conditions[0], [-1]                       one element, from the end if negative

Filters, slices, unions and ``..`` are refused by name.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn

from deltawire.common.errors import ConfigError


class Every(Enum):
    """The wildcard, ``[*]`` or ``.*``: each element of a list, each value of a map."""

    EVERY = "*"


# A field's name, an element's number, or all of them.
Segment = str | int | Every

_FIELD_ENDS = ".[{}"
_UNSUPPORTED = {"?": "filters", ":": "slices", ",": "unions", "@": "the current object"}


@dataclass(frozen=True, slots=True)
class Path:
    """A path taken apart once, used on many objects (decoded JSON: dicts, lists, scalars)."""

    text: str
    segments: tuple[Segment, ...]

    @classmethod
    def parse(cls, text: str, path: str = "") -> "Path":
        """Take ``text`` apart. Raises ConfigError with the position in it; ``path`` is the config's field."""
        return cls(text, tuple(_Parser(text, path).segments()))

    @property
    def head(self) -> tuple[str, ...]:
        """The plain fields at its start: ``.spec.containers[*].image`` → ("spec", "containers")."""
        names: list[str] = []
        for segment in self.segments:
            if not isinstance(segment, str):
                break
            names.append(segment)
        return tuple(names)

    def find(self, obj: Any) -> list[Any]:
        """All values at this path, in order; [] where a field is missing. A null that is there is found."""
        found = [obj]
        for segment in self.segments:
            found = [value for parent in found for value in _children(parent, segment)]
            if not found:
                break
        return found

    def remove(self, obj: Any) -> int:
        """Take everything at this path out of ``obj``, in place. The number of values removed."""
        *parents, last = self.segments
        removed = 0
        for parent in Path(self.text, tuple(parents)).find(obj):
            there = len(_children(parent, last))
            if not there:
                continue
            if last is Every.EVERY:
                parent.clear()
            else:
                del parent[last]
            removed += there
        return removed


def _children(parent: Any, segment: Segment) -> list[Any]:
    if isinstance(segment, str):
        return [parent[segment]] if isinstance(parent, dict) and segment in parent else []
    if isinstance(segment, int):
        inside = isinstance(parent, list) and -len(parent) <= segment < len(parent)
        return [parent[segment]] if inside else []
    if isinstance(parent, dict):
        return list(parent.values())
    return list(parent) if isinstance(parent, list) else []


class _Parser:
    """One walk over the text; ``at`` is the offset of the next character."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.at = 0
        self.end = len(text)

    def segments(self) -> list[Segment]:
        self._enter()
        found: list[Segment] = []
        while self.at < self.end:
            if self._here() == "[":
                found.append(self._bracket())
            elif self._here() == ".":
                self.at += 1
                if self.at < self.end and self._here() == "[" and not found:
                    continue  # kubectl allows {.[0]}
                found.append(self._field())
            elif not found:
                found.append(self._field())  # kubectl allows the first dot to be left out
            else:
                self._fail("expected '.' or '['")
        if not found:
            self._fail("the path names no field")
        return found

    def _enter(self) -> None:
        """Skip blanks, braces and the root sign around the path."""
        while self.at < self.end and self._here().isspace():
            self.at += 1
        while self.end > self.at and self.text[self.end - 1].isspace():
            self.end -= 1
        if self.at < self.end and self._here() == "{":
            if self.text[self.end - 1] != "}":
                self.at = self.end
                self._fail("'{' is not closed")
            self.at += 1
            self.end -= 1
        if self.at < self.end and self._here() == "$":
            self.at += 1

    def _here(self) -> str:
        return self.text[self.at]

    def _field(self) -> Segment:
        if self.at < self.end and self._here() == ".":
            self._fail("'..' is not supported")
        start = self.at
        name: list[str] = []
        while self.at < self.end and self._here() not in _FIELD_ENDS:
            if self._here() == "\\":
                self.at += 1
                if self.at == self.end:
                    self._fail("nothing follows the backslash")
            elif self._here() in _UNSUPPORTED or self._here().isspace() or self._here() in "]'\"":
                self._fail(
                    f"unexpected {self._here()!r} in a field's name", hint="write such a name as ['name']"
                )
            name.append(self._here())
            self.at += 1
        if not name:
            self._fail("a field's name is missing")
        return Every.EVERY if self.text[start : self.at] == "*" else "".join(name)

    def _bracket(self) -> Segment:
        self.at += 1
        if self.at < self.end and self._here() in "'\"":
            segment: Segment = self._quoted()
        else:
            segment = self._subscript()
        if self.at >= self.end or self._here() != "]":
            self._fail("expected ']'")
        self.at += 1
        return segment

    def _quoted(self) -> str:
        quote = self._here()
        close = self.text.find(quote, self.at + 1, self.end)
        if close < 0:
            self._fail("the quote is not closed")
        name = self.text[self.at + 1 : close]
        if not name:
            self._fail("a field's name is missing")
        self.at = close + 1
        return name

    def _subscript(self) -> Segment:
        close = self.text.find("]", self.at, self.end)
        inside = self.text[self.at : close if close >= 0 else self.end].strip()
        for sign, what in _UNSUPPORTED.items():
            if sign in inside:
                self._fail(f"{what} are not supported")
        if close < 0:
            self._fail("'[' is not closed")
        digits = inside.removeprefix("-")
        if inside != "*" and not (digits.isascii() and digits.isdecimal()):
            self._fail(
                f"{inside!r} is neither '*' nor a number", hint="a field's name needs quotes: ['name']"
            )
        self.at = close
        return Every.EVERY if inside == "*" else int(inside)

    def _fail(self, what: str, hint: str = "") -> NoReturn:
        raise ConfigError(f"path {self.text!r}, character {self.at + 1}: {what}", path=self.path, hint=hint)
