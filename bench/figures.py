"""Reading the results: medians over rounds, by scenario and contender."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contenders import OURS


@dataclass(frozen=True)
class Results:
    """The results' JSON. ``said["runs"]``: scenario → contender → a row for each round."""

    said: Mapping[str, Any]

    def rows(self, scenario: str, who: str = OURS) -> list[dict[str, Any]]:
        return [row for row in self.said["runs"].get(scenario, {}).get(who, []) if "error" not in row]

    def get(self, scenario: str, who: str, *path: str) -> float | None:
        """The median over the rounds of one figure; None where it was not measured."""
        found = []
        for row in self.rows(scenario, who):
            value: Any = row
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None:
                found.append(float(value))
        return statistics.median(found) if found else None

    def ours(self, scenario: str, *path: str) -> float | None:
        return self.get(scenario, OURS, *path)

    def contenders(self, scenario: str) -> list[str]:
        """Those with a row, in the order of the results' list."""
        return [name for name in self.said["contenders"] if self.rows(scenario, name)]


def ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def text(value: float | None, digits: int = 0, unit: str = "") -> str:
    """A cell: empty where there is no figure."""
    return "" if value is None else f"{value:,.{digits}f}{unit}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """In Markdown; empty where it would have no rows."""
    if not rows:
        return ""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
