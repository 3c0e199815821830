"""Quantities in their canonical form: ``1000`` is ``1k``, ``0.5`` is ``500m``, ``1024Mi`` is ``1Gi``.

The largest unit is taken that needs no fraction; what is finer than a billionth is rounded away from zero. Units
of 1024 stay such, unless the value is below 1024 or has a fraction.
"""

import re
from decimal import ROUND_UP, Decimal, localcontext
from functools import lru_cache

_NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(.*)", re.DOTALL)
_FORM = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_BINARY_SUFFIX = {power: suffix for suffix, power in _BINARY.items()}
_DIGITS_MAX = 80

BAD = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
BAD_SUFFIX = "unable to parse quantity's suffix"


@lru_cache(maxsize=4096)
def canonical(value: str | float) -> str:
    """``value`` as Kubernetes writes it. Raises ValueError with the words of its parser."""
    return _written(*_parsed(_text(value)))


@lru_cache(maxsize=4096)
def amount(value: str | float) -> Decimal:
    """How much a quantity is. Raises ValueError."""
    return _parsed(_text(value))[0]


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else format(Decimal(repr(value)), "f")


def _parsed(text: str) -> tuple[Decimal, str]:
    """The amount, and its form: binary, exponent or decimal."""
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > _DIGITS_MAX:
        raise ValueError(BAD)
    number, suffix = Decimal(found[1]), found[2]
    with localcontext() as context:
        context.prec = 4 * _DIGITS_MAX
        if suffix in _BINARY:
            return _rounded(number * 2 ** _BINARY[suffix]), "binary"
        if suffix in _DECIMAL:
            return _rounded(number.scaleb(_DECIMAL[suffix])), "decimal"
        exponent = _EXPONENT.fullmatch(suffix)
        if exponent is not None and abs(int(exponent[1])) < _DIGITS_MAX:
            return _rounded(number.scaleb(int(exponent[1]))), "exponent"
    raise ValueError(BAD_SUFFIX if _FORM.fullmatch(text) else BAD)


def _rounded(number: Decimal) -> Decimal:
    return number.quantize(Decimal("1e-9"), rounding=ROUND_UP)


def _written(number: Decimal, form: str) -> str:
    if form == "binary" and abs(number) >= 1024 and number == number.to_integral_value():
        whole, power = int(number), 0
        while whole % 1024 == 0 and power < 60:
            whole, power = whole // 1024, power + 10
        return f"{whole}{_BINARY_SUFFIX.get(power, '')}"
    if not number:
        return "0"
    power = 18
    with localcontext() as context:
        context.prec = 4 * _DIGITS_MAX
        while (scaled := number.scaleb(-power)) != scaled.to_integral_value():
            power -= 3
    suffix = _DECIMAL_SUFFIX[power] if form != "exponent" else (f"e{power}" if power else "")
    return f"{int(scaled)}{suffix}"
