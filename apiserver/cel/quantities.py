"""Quantities in rules: ``quantity("1Gi").isGreaterThan(quantity("500Mi"))``."""

from decimal import Decimal
from typing import Any

from deltawire.apiserver.kinds.quantities import amount

NAME = "kubernetes.Quantity"
_Value = dict[str, Any]
_INT_MAX = 2**63


def _quantity(text: str) -> _Value:
    return _made(amount(text))


def _made(number: Decimal) -> _Value:
    return {"@type": NAME, "value": format(number.normalize(), "f")}


def _is_quantity(text: str) -> bool:
    try:
        amount(text)
    except ValueError:
        return False
    return True


def _number(value: _Value) -> Decimal:
    return Decimal(value["value"])


def _is_whole(value: _Value) -> bool:
    number = _number(value)
    return number == number.to_integral_value() and -_INT_MAX <= number < _INT_MAX


def _whole(value: _Value) -> int:
    if not _is_whole(value):
        raise ValueError("cannot convert value to integer")
    return int(_number(value))


def _compared(one: _Value, other: _Value) -> int:
    a, b = _number(one), _number(other)
    return (a > b) - (a < b)


def _sign(value: _Value) -> int:
    return (_number(value) > 0) - (_number(value) < 0)


# (name, types that it takes, type that it gives, function, whether it is called on its first argument)
FUNCTIONS: tuple[tuple[Any, ...], ...] = (
    ("quantity", ("string",), NAME, _quantity, False),
    ("isQuantity", ("string",), "bool", _is_quantity, False),
    ("sign", (NAME,), "int", _sign, True),
    ("isGreaterThan", (NAME, NAME), "bool", lambda a, b: _compared(a, b) > 0, True),
    ("isLessThan", (NAME, NAME), "bool", lambda a, b: _compared(a, b) < 0, True),
    ("compareTo", (NAME, NAME), "int", _compared, True),
    ("asApproximateFloat", (NAME,), "double", lambda a: float(_number(a)), True),
    ("asInteger", (NAME,), "int", _whole, True),
    ("isInteger", (NAME,), "bool", _is_whole, True),
    ("add", (NAME, NAME), NAME, lambda a, b: _made(_number(a) + _number(b)), True),
    ("add", (NAME, "int"), NAME, lambda a, b: _made(_number(a) + b), True),
    ("sub", (NAME, NAME), NAME, lambda a, b: _made(_number(a) - _number(b)), True),
    ("sub", (NAME, "int"), NAME, lambda a, b: _made(_number(a) - b), True),
)
