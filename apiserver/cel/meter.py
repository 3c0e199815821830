"""What an expression costs while it runs, and where it is stopped.

The units are those of the estimate. An expression is charged for what it is made of when it begins, for each turn of
its loops, and for calls whose price depends on what they are given; `metering` puts the charges into it.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from deltawire.apiserver.cel.call_prices import TEXT, Node, price_of
from deltawire.apiserver.cel.sizes import Size, fixed, share
from deltawire.apiserver.cel.syntax import Kind

# Kubernetes' own limits, in its units of cost: of one expression; of all that are put to one object or request, of the
# conditions that one webhook or policy has. An API server takes about 0.1 s for the first.
CALL_COST_MAX = 1_000_000
OBJECT_COST_MAX = 10_000_000
CONDITIONS_COST_MAX = 2_500_000
_STOPPED = "operation cancelled: actual cost limit exceeded"
_USED_UP = "validation failed due to running out of cost budget, no further validation rules will be run"


class EvaluationError(ValueError):
    """An expression has no value here: a key that is not there, an overflow."""


class CallCostExceeded(EvaluationError):
    """One expression was stopped."""

    def __init__(self) -> None:
        super().__init__(_STOPPED)


class BudgetExceeded(EvaluationError):
    """All expressions together have cost too much; the last one's value does not count."""

    def __init__(self) -> None:
        super().__init__(_USED_UP)


class Budget:
    """What the expressions for one object may still cost."""

    def __init__(self, cost_max: int = OBJECT_COST_MAX) -> None:
        self.left = cost_max

    def take(self, cost: int) -> None:
        """Raises BudgetExceeded."""
        self.left -= cost
        if self.left < 0:
            raise BudgetExceeded


class _Running(threading.local):
    """The expression that runs in this thread."""

    left = 0


_running = _Running()


def begin(cost: int) -> None:
    """An expression begins that costs so much before any loop turns."""
    _running.left = CALL_COST_MAX - cost


def spent() -> int:
    """What the expression has cost so far."""
    return CALL_COST_MAX - _running.left


def spend(cost: int) -> bool:
    """Whether the expression may go on; after the first no there is no other answer."""
    _running.left -= max(0, cost)
    return _running.left >= 0


def charged(name: str, call: Callable[..., Any], *, is_member: bool) -> Callable[..., Any]:
    """A function that is paid for before it is called."""

    def paid(*args: Any) -> Any:
        if not spend(_price(name, args, is_member=is_member)):
            raise ValueError(_STOPPED)
        return call(*args)

    return paid


def _price(name: str, args: Sequence[Any], *, is_member: bool) -> int:
    nodes = [_node(arg) for arg in args]
    target = nodes.pop(0) if is_member and nodes else None
    price = price_of(name, target, nodes)
    if price is not None:
        return price.cost
    return max(1, share(target.sized.most, TEXT)) if target is not None and target.is_text else 1


def _node(value: Any) -> Node:
    if isinstance(value, str):
        return Node(Kind("string"), fixed(len(value)))
    if isinstance(value, bytes | bytearray):
        return Node(Kind("bytes"), fixed(len(value)))
    if isinstance(value, list):
        longest = max((len(item) for item in value if isinstance(item, str)), default=0)
        is_text = bool(value) and isinstance(value[0], str)
        return Node(Kind("list", (Kind("string" if is_text else ""),)), fixed(len(value)), Size(0, longest))
    if isinstance(value, int) and not isinstance(value, bool):
        return Node(Kind("int"), fixed(1), number=value)
    return Node(Kind(""), fixed(1))
