"""Expressions with charges put into them, so that one that is too expensive stops; and with what the library lacks.

An expression is changed as a tree, between its compilation and its run. ``f(a, b)`` whose price depends on the sizes
of what it is given becomes: a bound to A, b bound to B, ``@spend(price of A and B) ? f(A, B) : false``. A loop goes on
only while ``@spend(price of a turn)`` is true. What a stopped expression gives is thrown away.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from deltawire.apiserver.cel.call_prices import LIST, MAP, TEXT
from deltawire.apiserver.cel.sizes import share
from deltawire.apiserver.cel.syntax import message

SPEND = "@spend"
_ACCUMULATORS = ("@result", "__result__")
_COMPARISONS = ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_")
_MAX = "cost_of_a_turn"
# Prices as expressions, of what was bound to A and B. A tenth is rounded up.
_ARGUMENT = "spend((size(B) + 9) / 10)"
_CONTAINED = "spend((size(A) + 9) / 10 * ((size(B) + 9) / 10))"
_MATCHED = "spend((size(A) + 10) / 10 * ((size(B) + 3) / 4))"
_MEMBER = "spend(type(B) == list ? size(B) : 1)"
_COMPARED = (
    "spend(type(A) == string && type(B) == string ? (size(A) < size(B) ? size(A) + 9 : size(B) + 9) / 10 : 1)"
)
_JOINED = "spend(type(A) == string && type(B) == string ? (size(A) + size(B) + 9) / 10 : 1)"
_TURN = f"spend({_MAX})"
# The library copies the list that a loop makes at each turn: that is paid for, too.
_COPYING_TURN = f"spend({_MAX} + size(A) / 10)"
# The library has no values for functions to give that may be there or not: theirs is a list of at most one.
_OPTIONAL = "size(A) == 0 ? optional.none() : optional.of(A[0])"
_GIVES_OPTIONAL = ("validate", "format.named")
_INSERT = "cel.@mapInsert"
INSERT = "@insert"

Compile = Callable[[str], bytes]


class Metered(NamedTuple):
    """``cost`` is that of all that runs once."""

    serialized: bytes
    cost: int


def metered(serialized: bytes, compile_: Compile) -> Metered:
    """A parsed expression with its charges; ``compile_`` parses the prices."""
    outer = message("Any").FromString(serialized)
    parsed = message("Parsed").FromString(outer.value)
    cost = _Metering(compile_).through(parsed.expr, in_loop=False)
    outer.value = parsed.SerializeToString()
    return Metered(outer.SerializeToString(), cost)


class _Metering:
    def __init__(self, compile_: Compile) -> None:
        self._compile = compile_
        # Beyond all ids that the parser gave.
        self._last = 1 << 20

    def through(self, part: Any, *, in_loop: bool) -> int:
        """Put charges into a part, in place. Returns what it costs without them."""
        if part.HasField("select_expr"):
            operand = self.through(part.select_expr.operand, in_loop=in_loop)
            return operand if part.select_expr.test_only else operand + 1
        if part.HasField("call_expr"):
            return self._call(part, in_loop=in_loop)
        if _is_constant(part):
            return 0
        if part.HasField("list_expr"):
            return LIST + sum(self.through(each, in_loop=in_loop) for each in part.list_expr.elements)
        if part.HasField("struct_expr"):
            entries = part.struct_expr.entries
            held = [each for entry in entries for each in (entry.map_key, entry.value)]
            return MAP + sum(self.through(each, in_loop=in_loop) for each in held)
        if part.HasField("comprehension_expr"):
            return self._loop(part.comprehension_expr, in_loop=in_loop)
        return 1 if part.HasField("ident_expr") else 0

    def _loop(self, loop: Any, *, in_loop: bool) -> int:
        once = self.through(loop.iter_range, in_loop=in_loop)
        once += self.through(loop.accu_init, in_loop=in_loop)
        turn = self.through(loop.loop_condition, in_loop=True) + self.through(loop.loop_step, in_loop=True)
        once += self.through(loop.result, in_loop=in_loop)
        goes_on = self._new()
        goes_on.call_expr.function = "_&&_"
        goes_on.call_expr.args.add().CopyFrom(loop.loop_condition)
        price = _COPYING_TURN if loop.accu_init.HasField("list_expr") else _TURN
        goes_on.call_expr.args.add().CopyFrom(self._template(price, {"A": loop.accu_var}, turn))
        loop.loop_condition.CopyFrom(goes_on)
        return once

    def _call(self, part: Any, *, in_loop: bool) -> int:
        call = part.call_expr
        args = list(call.args)
        costs = [self.through(arg, in_loop=in_loop) for arg in args]
        target = self.through(call.target, in_loop=in_loop) if call.HasField("target") else 0
        if call.function == "_?_:_":
            return costs[0] + max(costs[1:])
        if call.function in ("_&&_", "_||_"):
            return sum(costs)
        known, price = self._price(call, in_loop=in_loop)
        if price:
            self._charge(part, price)
        name = _named(call)
        if name in _GIVES_OPTIONAL:
            given = self._name("A")
            self._bound(part, {given: self._copy(part)}, self._template(_OPTIONAL, {"A": given}))
        elif name == _INSERT:
            self._insert(call)
        return target + sum(costs) + known

    def _insert(self, call: Any) -> None:
        """A map, and a list of the key and value that come to it."""
        pair = self._new()
        for each in list(call.args)[-2:]:
            pair.list_expr.elements.add().CopyFrom(each)
        call.function = INSERT
        call.ClearField("target")
        del call.args[-2:]
        call.args.add().CopyFrom(pair)

    def _price(self, call: Any, *, in_loop: bool) -> tuple[int, str]:
        """What a call costs that is known beforehand, and the price of the rest as an expression."""
        args, name = call.args, call.function
        if call.HasField("target") and len(args) == 1:
            return _member_price(name, args[0], in_loop=in_loop)
        if len(args) != 2:
            return 1, ""
        if name == "@in":
            return (1, "") if _is_constant(args[1]) else (0, _MEMBER)
        if not in_loop or any(_is_plain(arg) for arg in args):
            return 1, ""
        if name in _COMPARISONS:
            return 0, _COMPARED
        # Loops add to a list in place, as long as nothing stands between.
        return (0, _JOINED) if name == "_+_" else (1, "")

    def _charge(self, part: Any, price: str) -> None:
        """``part`` is a call with two operands, of which the first may be its target."""
        call = part.call_expr
        first = call.target if call.HasField("target") else call.args[0]
        second = call.args[-1]
        names = {"A": self._name("A"), "B": self._name("B")}
        bound = {"A": self._copy(first), "B": self._copy(second)}
        for operand, letter in ((first, "A"), (second, "B")):
            operand.CopyFrom(self._ident(names[letter]))
        chosen = self._new()
        chosen.call_expr.function = "_?_:_"
        chosen.call_expr.args.add().CopyFrom(self._template(price, names))
        chosen.call_expr.args.add().CopyFrom(part)
        otherwise = chosen.call_expr.args.add(id=self._next())
        otherwise.const_expr.bool_value = False
        self._bound(part, {names[letter]: bound[letter] for letter in "BA"}, chosen)

    def _bound(self, part: Any, values: dict[str, Any], body: Any) -> None:
        """``part`` becomes ``body``, in which names stand for values."""
        for name, value in values.items():
            outer = self._new()
            bind = outer.comprehension_expr
            bind.iter_var = "#unused"
            bind.iter_range.id = self._next()
            bind.iter_range.list_expr.SetInParent()
            bind.accu_var = name
            bind.accu_init.CopyFrom(value)
            bind.loop_condition.id = self._next()
            bind.loop_condition.const_expr.bool_value = False
            bind.loop_step.CopyFrom(self._ident(name))
            bind.result.CopyFrom(body)
            body = outer
        part.CopyFrom(body)

    def _template(self, text: str, names: dict[str, str], turn: int = 0) -> Any:
        expr = (
            message("Parsed").FromString(message("Any").FromString(_parsed(self._compile, text)).value).expr
        )
        self._renamed(expr, names, turn)
        return expr

    def _renamed(self, part: Any, names: dict[str, str], turn: int) -> None:
        part.id = self._next()
        if part.HasField("ident_expr"):
            if part.ident_expr.name == _MAX:
                part.const_expr.int64_value = turn
                part.ClearField("ident_expr")
            else:
                part.ident_expr.name = names.get(part.ident_expr.name, part.ident_expr.name)
        elif part.HasField("call_expr"):
            if part.call_expr.function == "spend":
                part.call_expr.function = SPEND
            if part.call_expr.HasField("target"):
                self._renamed(part.call_expr.target, names, turn)
            for arg in part.call_expr.args:
                self._renamed(arg, names, turn)

    def _name(self, letter: str) -> str:
        return f"@{letter}{self._next()}"

    def _ident(self, name: str) -> Any:
        part = self._new()
        part.ident_expr.name = name
        return part

    def _new(self) -> Any:
        return message("Expr")(id=self._next())

    def _copy(self, part: Any) -> Any:
        copied = message("Expr")()
        copied.CopyFrom(part)
        return copied

    def _next(self) -> int:
        self._last += 1
        return self._last


@cache
def _parsed(compile_: Compile, text: str) -> bytes:
    return compile_(text)


def _member_price(name: str, arg: Any, *, in_loop: bool) -> tuple[int, str]:
    if name == "contains":
        return 0, _CONTAINED
    if name == "matches":
        return 0, _MATCHED
    if name in ("startsWith", "endsWith"):
        if arg.const_expr.HasField("string_value"):
            return share(len(arg.const_expr.string_value), TEXT), ""
        return (0, _ARGUMENT) if in_loop else (1, "")
    return 1, ""


def _is_constant(part: Any) -> bool:
    """What is written down whole is made before the expression runs."""
    if part.HasField("list_expr"):
        return all(_is_constant(each) for each in part.list_expr.elements)
    if part.HasField("struct_expr"):
        entries = part.struct_expr.entries
        return all(_is_constant(each.map_key) and _is_constant(each.value) for each in entries)
    return bool(part.HasField("const_expr"))


def _is_plain(part: Any) -> bool:
    """Whether comparing or adding this costs next to nothing."""
    if part.HasField("ident_expr"):
        return bool(part.ident_expr.name in _ACCUMULATORS)
    return bool(part.HasField("const_expr") or part.HasField("list_expr"))


def _named(call: Any) -> str:
    """The name of a function that may lie in a namespace: ``format.named``, ``cel.@mapInsert``."""
    if (
        call.HasField("target")
        and call.target.HasField("ident_expr")
        and call.target.ident_expr.name in ("format", "cel")
    ):
        return f"{call.target.ident_expr.name}.{call.function}"
    return str(call.function)
