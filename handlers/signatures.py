"""Checks a plug-in's function against what it will be called with, when the file is loaded.

Not here: calling it (``calls``).
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deltawire.common.errors import PluginError

# verb → the arguments that a function must take, and the one it may leave out
ARGUMENTS: dict[str, tuple[tuple[str, ...], str]] = {
    "on_add": (("obj",), "event"),
    "on_update": (("old", "new"), "event"),
    "on_delete": (("obj",), "event"),
    "on_gap": (("gap",), "event"),
    "reconcile": (("key",), "ctx"),
}

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Signature:
    """How to call a function: with the last, optional argument or without, awaited or not."""

    takes_extra: bool
    is_async: bool


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
    must, extra = ARGUMENTS[verb]
    if not old:
        must = tuple(name for name in must if name != "old")
    if not callable(function):
        raise PluginError(f"{verb} decorates {function!r}, which is not a function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(
            f"{_named(function, verb)}, a generator, which would never be run; "
            f"expected {_expected(function, must, extra)}"
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # A builtin without a signature, such as `print` in some versions: the fewest arguments must do.
        return Signature(takes_extra=False, is_async=False)
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    required = [p for p in positional if p.default is inspect.Parameter.empty]
    takes_any = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    needs_keyword = any(
        p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is inspect.Parameter.empty for p in parameters
    )
    wanted = len(must)
    fits = len(required) <= wanted + 1 and (len(positional) >= wanted or takes_any) and not needs_keyword
    if not fits:
        takes_new_alone = verb == "on_update" and old and len(positional) == 1
        raise PluginError(
            f"{_named(function, verb)}; expected {_expected(function, must, extra)}",
            hint="on_update(…, old=False) calls it with the new object alone" if takes_new_alone else "",
        )
    # A further parameter with a default of its own is the author's, unless it bears the extra's name.
    named = len(positional) > wanted and positional[wanted].name == extra
    takes_extra = len(required) == wanted + 1 or named or (takes_any and len(positional) <= wanted)
    return Signature(takes_extra, inspect.iscoroutinefunction(function))


def _named(function: Callable[..., Any], verb: str) -> str:
    name = getattr(function, "__name__", repr(function))
    try:
        shown = f"{name}{inspect.signature(function)}"
    except (TypeError, ValueError):
        shown = name
    return f"{place_of(function)}: the {verb} function is {shown}"


def _expected(function: Callable[..., Any], must: tuple[str, ...], extra: str) -> str:
    name = getattr(function, "__name__", "function")
    return f"{name}({', '.join(must)}) or {name}({', '.join((*must, extra))})"
