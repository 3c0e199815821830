"""Reading roles' reports, which are nested maps in which anything may be missing. Pure."""

from collections.abc import Iterable
from typing import Any

_US = 1_000_000


def map_at(tree: dict[str, Any], *path: str) -> dict[str, Any]:
    """The map at ``path``; an empty one where there is none."""
    for step in path:
        inner = tree.get(step)
        if not isinstance(inner, dict):
            return {}
        tree = inner
    return tree


def length(value: Any) -> int:
    """Of a list or a map; a number is one already."""
    return len(value) if isinstance(value, list | dict) else int(value or 0)


def seconds_ago(at_us: Any, wall_us: int) -> float | None:
    """How long ``at_us`` was before ``wall_us``; None where it is not known."""
    if not isinstance(at_us, int | float) or at_us <= 0:
        return None
    return round(max(0.0, (wall_us - at_us) / _US), 3)


def weighted_median(pairs: Iterable[tuple[float, int]]) -> float | None:
    """The value that half of the weight lies at or below."""
    known = sorted(pairs)
    total = sum(weight for _, weight in known)
    passed = 0
    for value, weight in known:
        passed += weight
        if 2 * passed >= total:
            return value
    return None
