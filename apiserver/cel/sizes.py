"""Sizes from a least to a most, and prices, that stay within 64 bits however large a schema lets things become."""

import math
from typing import NamedTuple

MOST = 2**64 - 1


def plus(*costs: int) -> int:
    """The sum, at most `MOST`."""
    return min(MOST, sum(costs))


def times(a: int, b: int) -> int:
    """The product, at most `MOST`."""
    return min(MOST, a * b)


def share(size: int, factor: float) -> int:
    """``size`` times a factor, rounded up as Kubernetes' own reckoning in floating point does."""
    whole = math.ceil(float(size) * factor)
    return MOST if whole >= MOST else whole


class Size(NamedTuple):
    """Characters, bytes, items or entries."""

    least: int
    most: int

    def __add__(self, other: "Size") -> "Size":  # type: ignore[override]
        return Size(plus(self.least, other.least), plus(self.most, other.most))

    def by(self, other: "Size") -> "Size":
        """So many of another size."""
        return Size(times(self.least, other.least), times(self.most, other.most))

    def union(self, other: "Size") -> "Size":
        """What encloses both."""
        return Size(min(self.least, other.least), max(self.most, other.most))


UNKNOWN = Size(0, MOST)


def fixed(size: int) -> Size:
    """Known beforehand."""
    return Size(size, size)
