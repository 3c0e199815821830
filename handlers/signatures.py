"""Checks a plug-in's function against what it will be called with, when the file is loaded.

Not here: calling it (``calls``).
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deltawire.common.errors import PluginError

EVENT, CTX = "event", "ctx"
# verb → the arguments that a function must take, and those it may leave out
ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "on_add": (("obj",), (EVENT, CTX)),
    "on_update": (("old", "new"), (EVENT, CTX)),
    "on_delete": (("obj",), (EVENT, CTX)),
    "on_gap": (("gap",), (EVENT, CTX)),
    "reconcile": (("key",), (CTX,)),
}

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_CTX_TYPES = ("Context", "AsyncContext")


@dataclass(frozen=True, slots=True)
class Signature:
    """How to call a function: with which optional arguments behind the others, and awaited or not.

    ``extras`` are given by position, in this order, ``named`` by name. ``is_plain``: there are none, and it is not
    awaited.
    """

    extras: tuple[str, ...]
    is_async: bool
    named: tuple[str, ...] = ()
    takes_event: bool = False
    takes_ctx: bool = False
    is_plain: bool = False


def _signature(extras: list[str], named: list[str], is_async: bool) -> Signature:
    both = {*extras, *named}
    is_plain = not (both or is_async)
    return Signature(tuple(extras), is_async, tuple(named), EVENT in both, CTX in both, is_plain)


def place_of(function: Callable[..., Any]) -> str:
    """``file.py:12`` of a function, or its name where it has no source."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return getattr(function, "__qualname__", repr(function))
    return f"{code.co_filename}:{code.co_firstlineno}"


def check(function: Any, verb: str, *, old: bool = True) -> Signature:
    """How ``function`` is to be called for ``verb``, if not ``old`` without the object as it was before.

    Raises PluginError (file, line, function, what was expected) if it cannot be called so.
    """
    must, allowed = ARGUMENTS[verb]
    if not old:
        must = tuple(name for name in must if name != "old")
    if not callable(function):
        raise PluginError(f"{verb} decorates {function!r}, which is not a function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(
            f"{_named(function, verb)}, a generator, which would never be run; "
            f"expected {_expected(function, must, allowed)}"
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # A builtin without a signature, such as `print` in some versions: the fewest arguments must do.
        return _signature([], [], False)
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    takes_any = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    wanted = len(must)
    extras, named, left = _extras(parameters, positional[wanted:], allowed)
    if (len(positional) < wanted and not takes_any) or left:
        takes_new_alone = verb == "on_update" and old and len(positional) == 1
        raise PluginError(
            f"{_named(function, verb)}; expected {_expected(function, must, allowed)}",
            hint="on_update(…, old=False) calls it with the new object alone" if takes_new_alone else "",
        )
    is_async = inspect.iscoroutinefunction(function)
    wrong = "Context" if is_async else "AsyncContext"
    if any(_type_name(p.annotation) == wrong for p in parameters):
        raise PluginError(
            f"{_named(function, verb)}; {'an async' if is_async else 'a'} function gets "
            f"{'an AsyncContext, whose writes are awaited' if is_async else 'a Context'}",
            hint=f"annotate it {'AsyncContext' if is_async else 'Context'}, or leave the annotation out",
        )
    if takes_any and len(positional) <= wanted and not extras and not named:
        extras = [allowed[0]]
    return _signature(extras, named, is_async)


def _extras(
    parameters: list[inspect.Parameter], behind: list[inspect.Parameter], allowed: tuple[str, ...]
) -> tuple[list[str], list[str], bool]:
    """The optional arguments given by position, those given by name, and whether a parameter is left without a value.

    The first parameter behind the others may have any name: it is the event (a reconcile's: the context), or the
    context where it is annotated as one. A parameter with a default of its own is the author's, unless it bears the
    name of an optional argument.
    """
    extras: list[str] = []
    named: list[str] = []
    is_row = True
    for place, parameter in enumerate(behind):
        is_required = parameter.default is inspect.Parameter.empty
        if parameter.name in allowed:
            name = parameter.name
        elif is_required and place == 0:
            name = CTX if _is_ctx(parameter.annotation) else allowed[0]
        elif is_required:
            return extras, named, True
        else:
            is_row = False
            continue
        if name in extras or name in named:
            return extras, named, True
        (extras if is_row else named).append(name)
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            if parameter.name in allowed and parameter.name not in extras:
                named.append(parameter.name)
            elif parameter.default is inspect.Parameter.empty:
                return extras, named, True
    return extras, named, False


def _is_ctx(annotation: Any) -> bool:
    return _type_name(annotation) in _CTX_TYPES


def _type_name(annotation: Any) -> str:
    """The last part of a class' name, as itself or as text."""
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return str(name).rpartition(".")[2]


def _named(function: Callable[..., Any], verb: str) -> str:
    name = getattr(function, "__name__", repr(function))
    try:
        shown = f"{name}{inspect.signature(function)}"
    except (TypeError, ValueError):
        shown = name
    return f"{place_of(function)}: the {verb} function is {shown}"


def _expected(function: Callable[..., Any], must: tuple[str, ...], allowed: tuple[str, ...]) -> str:
    name = getattr(function, "__name__", "function")
    return f"{name}({', '.join(must)}) or {name}({', '.join((*must, *allowed))})"
