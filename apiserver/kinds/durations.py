"""Durations as Go writes them: ``1h30m``, ``-1.5s``."""

import re
from decimal import Decimal

_PARTS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"[+-]?(?:0|(?:{_PARTS.pattern})+)")
_SECONDS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}


def seconds_of(text: str) -> Decimal:
    """Raises ValueError for what is no duration."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(text)
    total = sum((Decimal(found[1]) * _SECONDS[found[2]] for found in _PARTS.finditer(text)), Decimal(0))
    return -total if text.startswith("-") else total
