"""What a handler's function wants of a resource: which objects, and which of their changes. Pure.

A `Clause` is text, as authors and the wire have it (docs/handlers.md, Filters); `Judge` is the same, ready to be used.
A group's filter is the union of its functions' clauses.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from deltawire.common.errors import ConfigError
from deltawire.common.meta.jsonpath import Path
from deltawire.common.meta.keys import split_key
from deltawire.common.meta.selectors import (
    FieldTerm,
    parse_annotation_selector,
    parse_field_selector,
    parse_label_selector,
)

# Clauses of one group on one informer, and what one may be made of.
CLAUSES_MAX = 32
WORDS_MAX = 64
_CHARACTERS_MAX = 1024
# In `changed`: what the API server counts the changes of a spec by.
GENERATION = "generation"

Word = Annotated[str, Meta(max_length=_CHARACTERS_MAX)]
Words = Annotated[list[Word], Meta(max_length=WORDS_MAX)]


class Clause(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is empty asks for nothing; all that is not must hold.

    ``namespaces``, ``names``: globs, one of which must fit. ``labels``, ``annotations``, ``fields``: selectors.
    ``changed``: paths, of which one must have another value than before. ``not_by``: field managers; a change is left
    out if only these wrote it.
    """

    namespaces: Words = []
    names: Words = []
    labels: Word = ""
    annotations: Word = ""
    fields: Word = ""
    changed: Words = []
    not_by: Words = []

    @property
    def text(self) -> str:
        """The clause as JSON: equal clauses are equal texts."""
        return msgspec.json.encode(self).decode()


# Asks for nothing, so it wants all.
EVERYTHING = Clause()


def make_clause(
    *,
    namespace: str | Sequence[str] = (),
    name: str | Sequence[str] = (),
    labels: str = "",
    annotations: str = "",
    fields: str = "",
    changed: str | Sequence[str] = (),
    ignore_own_writes: bool | str | Sequence[str] = False,
    manager: str = "",
) -> Clause:
    """A clause from what an author writes; ``manager``: the field manager that ``ignore_own_writes=True`` means.

    Raises ConfigError in one line for what cannot be used.
    """
    own = (manager if ignore_own_writes else ()) if isinstance(ignore_own_writes, bool) else ignore_own_writes
    raw = {
        "namespaces": _words(namespace), "names": _words(name), "labels": labels, "annotations": annotations,
        "fields": fields, "changed": _words(changed), "not_by": _words(own),
    }  # fmt: skip
    try:
        clause = msgspec.convert(raw, Clause)
    except msgspec.ValidationError as error:
        raise ConfigError(f"a filter: {error}") from None
    Judge(clause)
    return clause


def _words(given: Any) -> list[Any]:
    return [given] if isinstance(given, str) else list(given)


def union(clauses: Iterable[Clause]) -> list[Clause]:
    """Each clause once, in their order; none where all ask for everything."""
    found = list({clause.text: clause for clause in clauses}.values())
    return [] if found == [EVERYTHING] else found


def clause_of_text(text: str) -> Clause:
    """Inverse of `Clause.text`."""
    return msgspec.json.decode(text, type=Clause)


class _Metadata(msgspec.Struct):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Head(msgspec.Struct):
    metadata: _Metadata | None = None


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_all = msgspec.json.Decoder().decode


class Subject:
    """One version of an object, decoded as far as somebody looks at it, and once.

    Raises msgspec.DecodeError where it cannot be read.
    """

    __slots__ = ("_all", "_body", "_head", "name", "namespace")

    def __init__(self, key: str, body: bytes) -> None:
        self.namespace, self.name = split_key(key)
        self._body = body
        self._head: _Metadata | None = None
        self._all: Any = None

    @property
    def head(self) -> _Metadata:
        if self._head is None:
            self._head = _decode_head(self._body).metadata or _Metadata()
        return self._head

    @property
    def all(self) -> Any:
        if self._all is None:
            self._all = _decode_all(self._body)
        return self._all


class Judge:
    """A clause, ready to be used on many objects."""

    def __init__(self, clause: Clause) -> None:
        """Raises ConfigError in one line for what cannot be read."""
        self._namespaces, self._names = tuple(clause.namespaces), tuple(clause.names)
        try:
            self._labels = parse_label_selector(clause.labels)
            self._annotations = parse_annotation_selector(clause.annotations)
            terms = parse_field_selector(clause.fields).terms
        except ValueError as error:
            raise ConfigError(str(error)) from None
        self._fields: list[tuple[Path, FieldTerm]] = [(Path.parse(term.path), term) for term in terms]
        self._changed = [
            Path.parse(".metadata.generation" if path == GENERATION else path) for path in clause.changed
        ]
        self._not_by = frozenset(clause.not_by)

    @property
    def looks_at_changes(self) -> bool:
        """True if it depends on the version before whether a change is wanted."""
        return bool(self._changed or self._not_by)

    def wants(self, subject: Subject) -> bool:
        """True if the object is one of those that are asked for. Raises msgspec.DecodeError."""
        if self._namespaces and not _fits(subject.namespace, self._namespaces):
            return False
        if self._names and not _fits(subject.name, self._names):
            return False
        if not self._labels.is_everything and not self._labels.matches(subject.head.labels or {}):
            return False
        if self._annotations and not all(
            term.matches(subject.head.annotations or {}) for term in self._annotations
        ):
            return False
        return all(
            (_text_at(path, subject.all) == term.value) is not term.negated for path, term in self._fields
        )

    def wants_change(self, old: Subject, new: Subject, *, is_complete: bool) -> bool:
        """True if the step from ``old`` to ``new``, both wanted, is one to be told.

        ``is_complete``: no version between the two is lost. Raises msgspec.DecodeError.
        """
        if self._changed and all(path.find(old.all) == path.find(new.all) for path in self._changed):
            return False
        if not self._not_by or not is_complete:
            return True
        writers = writers_of(old.all, new.all)
        return not writers or not writers <= self._not_by


def writers_of(old: Any, new: Any) -> set[str]:
    """The field managers that ``managedFields`` shows to have written between two versions; empty if it does not say.

    An entry whose time is the same was not written: it may have lost fields to another manager.
    """
    before = {_entry(entry): entry.get("time") for entry in _managed(old)}
    return {
        str(entry.get("manager", ""))
        for entry in _managed(new)
        if _entry(entry) not in before or before[_entry(entry)] != entry.get("time")
    }


def _managed(obj: Any) -> list[dict[str, Any]]:
    found = obj.get("metadata", {}).get("managedFields") if isinstance(obj, dict) else None
    return [entry for entry in found or () if isinstance(entry, dict)]


def _entry(entry: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(name, "") for name in ("manager", "operation", "apiVersion", "subresource"))


def _fits(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _text_at(path: Path, obj: Any) -> str:
    """The first value at a path as selectors write it: "" where there is none."""
    value = next(iter(path.find(obj)), None)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
