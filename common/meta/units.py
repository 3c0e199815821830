"""Durations and sizes as people write them. How they are shown: `cli.view.units`."""

import math
import re

from deltawire.common.errors import ConfigError

_DURATION_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTE_UNITS = {
    "": 1,
    "k": 1000,
    "m": 1000**2,
    "g": 1000**3,
    "t": 1000**4,
    "ki": 1024,
    "mi": 1024**2,
    "gi": 1024**3,
    "ti": 1024**4,
}
# So many digits that no product below overflows.
_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,9})?"
_DURATION = re.compile(rf"({_NUMBER})(ms|[smhdw])")
_BYTES = re.compile(rf"({_NUMBER})\s*([kmgt]i?)?b?", re.IGNORECASE)


def parse_duration_s(value: object, path: str = "") -> float:
    """Seconds of ``60s``, ``5m``, ``1h30m``, ``7d``, ``250ms``; a bare number is seconds.

    Raises ConfigError with ``path`` for anything else, negative durations included.
    """
    number = _plain_number(value)
    if number is not None:
        return number
    if isinstance(value, str):
        text = value.strip()
        parts = _DURATION.findall(text)
        if parts and "".join(amount + unit for amount, unit in parts) == text:
            return math.fsum(float(amount) * _DURATION_UNITS_S[unit] for amount, unit in parts)
    raise ConfigError(
        f"{value!r} is not a duration", path=path, hint="write it like 250ms, 60s, 5m, 1h30m or 7d"
    )


def parse_hang_after_s(value: object, path: str = "") -> float:
    """As `parse_duration_s`; ``off`` is 0, and less than a second is refused: a turn may take as long."""
    if value == "off":
        return 0.0
    seconds = parse_duration_s(value, path)
    if seconds < 1:
        raise ConfigError(f"{value!r} is less than a second", path=path, hint="write it like 30s, or off")
    return seconds


def parse_bytes(value: object, path: str = "") -> int:
    """Bytes of ``64MiB``, ``1Gi`` (1024), ``500k``, ``10MB`` (1000); a bare number is bytes.

    Raises ConfigError with ``path`` for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        found = _BYTES.fullmatch(value.strip())
        if found:
            amount, unit = found.groups()
            return (
                round(float(amount) * _BYTE_UNITS[(unit or "").lower()])
                if unit or "." in amount
                else int(amount)
            )
    raise ConfigError(f"{value!r} is not a size", path=path, hint="write it like 500k, 64MiB or 1Gi")


def _plain_number(value: object) -> float | None:
    """The value if it is a number ≥ 0, written as one or as text; else None. True is not a number here."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return float(value) if re.fullmatch(_NUMBER, value.strip()) else None
    if isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        return float(value)
    return None
