"""Label and field selectors as kubectl and the API write them.

Label selectors (semantics of ``kubectl -l``): ``a=b``, ``a==b``, ``a!=b``, ``a in (b,c)``, ``a notin (b,c)``,
``a``, ``!a``, ``a>1``, ``a<1``, joined by commas, which mean "and". ``!=`` and ``notin`` also match objects
that lack the label. Field selectors: ``path=value``, ``path==value``, ``path!=value`` joined by commas;
backslash escapes ``,``, ``=`` and itself. Annotation selectors: the same, and ``key`` and ``!key``, since values are
free text there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"(?:[a-z0-9](?:[-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}")
_VALUE = re.compile(rf"(?:{_NAME})?")
_SET = re.compile(r"(?P<key>\S+?)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL = re.compile(r"(?P<key>[^=!<>\s]+)\s*(?P<op>==|!=|=|>|<)\s*(?P<value>\S*)")
_INTEGER = re.compile(r"-?[0-9]+")


class Operator(Enum):
    """What a requirement asks of the label's value."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    NOT_EXISTS = "!"
    GREATER = ">"
    LESS = "<"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector. ``values`` is empty for the two existence operators."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.NOT_EXISTS:
                return value is None
            case Operator.GREATER | Operator.LESS:
                return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        if not _INTEGER.fullmatch(value):
            return False
        (bound,) = self.values
        return int(value) > int(bound) if self.operator is Operator.GREATER else int(value) < int(bound)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; without any, everything matches."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def is_everything(self) -> bool:
        return not self.requirements


def parse_label_selector(text: str) -> LabelSelector:
    """Parse ``kubectl -l`` syntax; the empty string selects everything.

    Raises ValueError with one line that names the term that is wrong.
    """
    return LabelSelector(tuple(_requirement(term) for term in _terms(text)))


def _terms(text: str) -> list[str]:
    """Cut at the commas that are not inside parentheses."""
    if not text.strip():
        return []
    terms, start, depth = [], 0, 0
    for position, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth not in (0, 1):
            raise ValueError(f"label selector {text!r}: unbalanced parentheses")
        if char == "," and depth == 0:
            terms.append(text[start:position])
            start = position + 1
    if depth:
        raise ValueError(f"label selector {text!r}: unbalanced parentheses")
    terms.append(text[start:])
    return [term.strip() for term in terms]


def _requirement(term: str) -> Requirement:
    if found := _SET.fullmatch(term):
        values = frozenset(value.strip() for value in found["values"].split(","))
        operator = Operator.IN if found["op"] == "in" else Operator.NOT_IN
        return _checked(Requirement(found["key"], operator, values), term)
    if found := _EQUAL.fullmatch(term):
        operator = {"!=": Operator.NOT_IN, ">": Operator.GREATER, "<": Operator.LESS}.get(
            found["op"], Operator.IN
        )
        return _checked(Requirement(found["key"], operator, frozenset([found["value"]])), term)
    if term.startswith("!"):
        return _checked(Requirement(term[1:].strip(), Operator.NOT_EXISTS), term)
    return _checked(Requirement(term, Operator.EXISTS), term)


def _checked(requirement: Requirement, term: str) -> Requirement:
    if not _KEY.fullmatch(requirement.key):
        raise ValueError(f"label selector term {term!r}: {requirement.key!r} is not a label key")
    for value in sorted(requirement.values):
        if requirement.operator in (Operator.GREATER, Operator.LESS):
            if not _INTEGER.fullmatch(value):
                raise ValueError(f"label selector term {term!r}: {value!r} is not an integer")
        elif not _VALUE.fullmatch(value):
            raise ValueError(f"label selector term {term!r}: {value!r} is not a label value")
    return requirement


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term of a field selector: the dotted path, the value, and whether it must differ."""

    path: str
    value: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All terms must hold. Which paths a resource supports is the caller's to check (`paths`)."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """A field that the object lacks counts as the empty string, as in the API."""
        return all((fields.get(term.path, "") == term.value) is not term.negated for term in self.terms)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(term.path for term in self.terms)

    def renamed(self, names: Mapping[str, str]) -> "FieldSelector":
        """The same about other paths: ``names`` maps those asked for to those meant."""
        return FieldSelector(
            tuple(replace(term, path=names.get(term.path, term.path)) for term in self.terms)
        )

    @property
    def is_everything(self) -> bool:
        return not self.terms


def parse_field_selector(text: str) -> FieldSelector:
    """Parse ``kubectl --field-selector`` syntax; the empty string selects everything.

    Raises ValueError with one line that names the term that is wrong.
    """
    return FieldSelector(tuple(_field_term(term) for term in _escaped_split(text) if term))


@dataclass(frozen=True, slots=True)
class AnnotationTerm:
    """One term of an annotation selector. ``value`` None: whether the annotation is there at all."""

    key: str
    value: str | None = None
    negated: bool = False

    def matches(self, annotations: Mapping[str, str]) -> bool:
        value = annotations.get(self.key)
        found = value is not None if self.value is None else value == self.value
        return found is not self.negated


def parse_annotation_selector(text: str) -> tuple[AnnotationTerm, ...]:
    """``key=value``, ``key!=value``, ``key``, ``!key``, joined by commas, which mean "and"; "" selects everything.

    Raises ValueError with one line that names the term that is wrong.
    """
    found = []
    for term in (term.strip() for term in _escaped_split(text)):
        if not term:
            continue
        if "=" in term:
            field = _field_term(term)
            found.append(AnnotationTerm(field.path, field.value, field.negated))
        else:
            found.append(AnnotationTerm(term.removeprefix("!").strip(), None, term.startswith("!")))
        if not _KEY.fullmatch(found[-1].key):
            raise ValueError(f"annotation selector term {term!r}: {found[-1].key!r} is no annotation's key")
    return tuple(found)


def _escaped_split(text: str) -> list[str]:
    terms, current, escaped = [], "", False
    for char in text:
        if char == "," and not escaped:
            terms.append(current)
            current = ""
            continue
        escaped = char == "\\" and not escaped
        current += char
    return [*terms, current]


def _field_term(term: str) -> FieldTerm:
    escaped = False
    for position, char in enumerate(term):
        if escaped or char == "\\":
            escaped = not escaped
            continue
        for operator in ("!=", "==", "="):
            if term.startswith(operator, position) and position:
                value = _unescape(term[position + len(operator) :], term)
                return FieldTerm(term[:position].strip(), value, operator == "!=")
    raise ValueError(f"field selector term {term!r}: expected path=value or path!=value")


def _unescape(value: str, term: str) -> str:
    out, escaped = "", False
    for char in value:
        if escaped and char not in "\\,=":
            raise ValueError(f"field selector term {term!r}: unknown escape \\{char}")
        if not escaped and char == "=":
            raise ValueError(f"field selector term {term!r}: write = inside a value as \\=")
        if char == "\\" and not escaped:
            escaped = True
            continue
        out += char
        escaped = False
    if escaped:
        raise ValueError(f"field selector term {term!r}: ends in a backslash")
    return out
