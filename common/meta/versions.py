"""Comparing resourceVersions: as numbers, and only where the caller knows both to be of one history.

One history means one cluster id, one lineage and one stream (docs/design.md, versions). A version that is
not a decimal number can only be compared for equality.
"""

from functools import lru_cache

# Each version is compared some times soon after another.
_KNOWN_MAX = 256


@lru_cache(_KNOWN_MAX)
def as_number(version: str) -> int | None:
    """The version as a number, or None where it is not a plain decimal."""
    return int(version) if version.isascii() and version.isdecimal() else None


def is_at_or_below(version: str, floor: str) -> bool:
    """True if ``version`` is known not to be newer than ``floor``; False where that cannot be known."""
    a, b = as_number(version), as_number(floor)
    if a is None or b is None:
        return version == floor
    return a <= b


def is_below(version: str, floor: str) -> bool:
    """True if ``version`` is known to be older than ``floor``; False where that cannot be known."""
    a, b = as_number(version), as_number(floor)
    return a is not None and b is not None and a < b


def lowest(versions: list[str | None]) -> str | None:
    """The version that all of ``versions`` have reached; None if there is none (then a list is needed).

    Versions that are not decimal count only if all are equal.
    """
    if not versions or any(v is None for v in versions):
        return None
    known = [v for v in versions if v is not None]
    if len(set(known)) == 1:
        return known[0]
    numbers = [as_number(v) for v in known]
    if any(n is None for n in numbers):
        return None
    return str(min(n for n in numbers if n is not None))


def highest(a: str, b: str) -> str:
    """The newer of two versions; ``b`` where they cannot be compared. The empty string is the oldest."""
    if not a:
        return b
    if not b:
        return a
    x, y = as_number(a), as_number(b)
    if x is None or y is None:
        return b
    return a if x > y else b
