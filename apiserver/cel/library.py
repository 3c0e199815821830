"""The library behind one door: expressions are checked against types, compiled, and run on values.

It is loaded at first use, which takes some 15 ms and 16 MiB.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from deltawire.apiserver.cel import meter
from deltawire.apiserver.cel.functions import FUNCTIONS, OWN_TYPES, QUANTITY, Function
from deltawire.apiserver.cel.meter import Budget, CallCostExceeded, EvaluationError
from deltawire.apiserver.cel.metering import INSERT, SPEND, metered
from deltawire.apiserver.cel.shapes import Messages, Shape
from deltawire.apiserver.cel.syntax import Tree
from deltawire.common.errors import ConfigError

# Compiled expressions that are kept; beyond it the oldest is made anew at its next use.
EXPRESSIONS_MAX = 2000
# Every variable that an expression may have, in rules of schemas, conditions and policies.
VARIABLES = (
    "self",
    "oldSelf",
    "oldValue",
    "object",
    "oldObject",
    "request",
    "params",
    "namespaceObject",
    "variables",
    "authorizer",
)
ANY = "dyn"
_CODE = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_FIELD = re.compile(r"(undefined field '[^']*') not found in struct '[^']*'")
# One error with the lines that show where it is. Numbers of different kinds may be compared in Kubernetes.
_ERROR = re.compile(r"ERROR: .*(?:\n \|.*)*")
_OF_NUMBERS = re.compile(r"for '_[<>]=?_' applied to '\((?:int|uint|double), (?:int|uint|double)\)'")
# The library runs 10,000 turns of loops in one expression, and cannot be told to run more.
_TURNS = "Iteration budget exceeded"
# What the library says while an expression runs, and what an API server says.
_RUNTIME = (
    (re.compile(r'Key not found in map : "(.*)"'), r"no such key: \1"),
    (re.compile(r"Index error: index=(-?\d+) size=\d+"), r"index out of bounds: \1"),
    (re.compile(r"divide by zero"), "division by zero"),
    (re.compile(r"No matching overloads found.*"), "no such overload"),
    (re.compile(r"Applying SELECT to non-message type"), "no such overload"),
)


class CompileError(ValueError):
    """The expression is none, or does not fit the types of its variables; the text shows where."""


class Checker:
    """Expressions against the types of their variables."""

    def __init__(self, variables: Mapping[str, Shape | None]) -> None:
        library, messages = _library(), Messages()
        declared = {name: _type_of(shape, messages) for name, shape in variables.items() if shape is not None}
        self._env = library.NewEnv(
            config=_config(),
            descriptor_pool=messages.pool(),
            variables=declared,
            extensions=_extensions(),
            functions=_declared(merged=False),
        )

    def check(self, expression: str) -> str:
        """The name of the type that ``expression`` gives, `ANY` where it is not known. Raises CompileError."""
        return self.checked(expression)[0]

    def checked(self, expression: str) -> tuple[str, Tree]:
        """The same, and the expression as a tree. Raises CompileError."""
        try:
            compiled = self._env.compile(expression)
        except RuntimeError as error:
            parts = _ERROR.findall(_CODE.sub("", str(error)))
            told = [part for part in parts if not _OF_NUMBERS.search(part)]
            if told:
                shown = "\n".join(told).replace("null_type", "null")
                raise CompileError(_FIELD.sub(r"\1", shown)) from None
            # The library does not compare numbers of different kinds: this one has no types.
            return ANY, Tree(self._env.compile(expression, disable_check=True).serialize())
        return str(compiled.return_type().name().lower()), Tree(compiled.serialize())


@lru_cache(maxsize=EXPRESSIONS_MAX)
def compiled(expression: str) -> tuple[Any, int]:
    """For `run`, with what all of it costs that runs once; types are looked at while it runs. Raises CompileError."""
    try:
        made = metered(_parsed(expression), _parsed)
        return running().deserialize(made.serialized), made.cost
    except RuntimeError as error:
        raise CompileError(_CODE.sub("", str(error))) from None


def run(expression: str, values: Mapping[str, Any], budget: Budget | None = None) -> Any:
    """The value of ``expression``. Raises CompileError, EvaluationError and those of its kinds that tell of costs.

    What it costs is taken from ``budget``.
    """
    program, cost = compiled(expression)
    meter.begin(cost)
    try:
        result = program.eval(data=dict(values))
        told = str(result.plain_value()) if result.type().name().upper() == "ERROR" else None
    except (RuntimeError, TypeError) as error:
        told = str(error)
    if budget is not None:
        budget.take(meter.spent())
    if meter.spent() > meter.CALL_COST_MAX or (told is not None and _TURNS in told):
        raise CallCostExceeded
    if told is None:
        return result.plain_value()
    told = _CODE.sub("", told)
    for pattern, said in _RUNTIME:
        told = pattern.sub(said, told)
    raise EvaluationError(told)


def _parsed(expression: str) -> bytes:
    return bytes(running().compile(expression, disable_check=True).serialize())


@cache
def _library() -> Any:
    try:
        from cel_expr_python import cel
    except ImportError:
        raise ConfigError(
            "rules in CEL need the package cel-expr-python", hint="pip install 'deltawire[apiserver]'"
        ) from None
    return cel


def _extensions() -> list[Any]:
    from cel_expr_python.ext import ext_optional

    return [ext_optional.ExtOptional()]


def _config() -> Any:
    """With loops over a map's keys and values, or a list's positions and items, at once."""
    return _library().NewEnvConfigFromYaml("extensions:\n- name: two-var-comprehensions\n")


@cache
def running() -> Any:
    """The library's environment in which expressions run."""
    library = _library()
    return library.NewEnv(
        config=_config(),
        variables=dict.fromkeys(VARIABLES, library.Type.DYN),
        extensions=_extensions(),
        functions=_declared(merged=True),
    )


def _type_of(shape: Shape, messages: Messages) -> Any:
    types = _library().Type
    if shape.kind == "object":
        return types(messages.add(shape))
    if shape.of is not None:
        inner = _type_of(shape.of, messages)
        return types.List(inner) if shape.kind == "list" else types.Map(types.STRING, inner)
    return getattr(types, shape.kind.upper())


def _named(text: str, *, merged: bool) -> Any:
    """A type of the table of functions. ``merged`` takes own types as the maps that they are inside."""
    types = _library().Type
    if text in OWN_TYPES:
        return types.MAP if merged else types.AbstractType(text)
    if text.startswith("list("):
        return types.LIST if merged else types.List(_named(text[5:-1], merged=False))
    if text.startswith("map("):
        return types.MAP if merged else types.Map(types.STRING, types.List(types.STRING))
    return getattr(types, text.upper())


def _declared(*, merged: bool) -> list[Any]:
    library = _library()
    overloads: dict[str, dict[tuple[Any, ...], list[Function]]] = {}
    for known in _at_run_time((*FUNCTIONS, *_INSIDE)) if merged else FUNCTIONS:
        kinds = tuple(_kind(text) if merged else text for text in known.takes)
        overloads.setdefault(known.name, {}).setdefault((known.is_member, *kinds), []).append(known)
    return [
        library.FunctionDecl(
            name,
            [
                library.Overload(
                    f"{name}_{'_'.join(str(part) for part in signature)}",
                    return_type=_named(alike[0].gives, merged=merged)
                    if len(alike) == 1
                    else library.Type.DYN,
                    parameters=[_named(text, merged=merged) for text in alike[0].takes],
                    is_member=alike[0].is_member,
                    impl=_paid(name, alike) if merged else alike[0].call,
                )
                for signature, alike in by_signature.items()
            ],
        )
        for name, by_signature in overloads.items()
    ]


def _at_run_time(functions: tuple[Function, ...]) -> Iterator[Function]:
    """While expressions run the library wants a function for each type that a value may have."""
    for known in functions:
        if "dyn" not in known.takes:
            yield known
            continue
        for text in _VALUES:
            yield known._replace(takes=tuple(text if taken == "dyn" else taken for taken in known.takes))


# Functions that stand in no text of an expression, but are put into it.
_INSIDE = (
    Function(SPEND, ("int",), "bool", meter.spend, is_member=False),
    Function(
        INSERT, ("map", "list(dyn)"), "map", lambda held, pair: {**held, pair[0]: pair[1]}, is_member=False
    ),
)
_VALUES = (
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "list(dyn)",
    QUANTITY,
    "timestamp",
    "duration",
    "null",
)


def _kind(text: str) -> str:
    return "map" if text in OWN_TYPES else text.partition("(")[0]


def _paid(name: str, alike: list[Function]) -> Any:
    if name == SPEND:
        return meter.spend
    return meter.charged(name, _picking(alike), is_member=alike[0].is_member)


def _picking(alike: list[Function]) -> Any:
    """The function; of several on maps the one for the type that a map stands for."""
    if len(alike) == 1 or alike[0].takes[0] not in OWN_TYPES:
        return alike[0].call
    by_type = {known.takes[0]: known.call for known in alike}

    def call(first: dict[str, Any], *rest: Any) -> Any:
        found = by_type.get(first.get("@type", ""))
        if found is None:
            raise ValueError("No matching overloads found")
        return found(first, *rest)

    return call
