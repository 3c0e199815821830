"""The rules of a definition against what they may cost: each one by itself, and all of a schema together."""

from collections.abc import Mapping
from typing import Any

from deltawire.apiserver.cel.bounds import Bound
from deltawire.apiserver.cel.estimate import cost_of
from deltawire.apiserver.cel.sizes import MOST, plus, times
from deltawire.apiserver.cel.syntax import Tree
from deltawire.apiserver.rules.causes import Cause, Causes, forbidden

# What a rule, and all rules of a schema, may cost on the largest object: Kubernetes' own limits, in its units of cost.
RULE_COST_MAX, SCHEMA_COST_MAX = 10_000_000, 100_000_000
# Of a schema that costs too much so many rules are named, and none that adds less than a hundredth of the limit.
_NAMED_MAX, _NAMED_SHARE = 4, 100
_HINT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)


class Costs:
    """What the rules of one schema cost together."""

    def __init__(self) -> None:
        self._total = 0
        self._rules: list[tuple[int, str]] = []

    def rule(self, at: str, tree: Tree | None, bound: Bound, times_max: int | None) -> Causes:
        """``times_max`` is how often the place can be there in one object, None where nothing bounds it."""
        each = cost_of(tree, bound) if tree is not None else 0
        cost = times(each, bound.count_max if times_max is None else times_max)
        yield from self._looked_at("estimated rule cost", f"{at}.rule", cost)

    def message(self, at: str, tree: Tree, bound: Bound) -> Causes:
        """A message is made once, for the first place that breaks its rule."""
        yield from self._looked_at(
            "estimated messageExpression cost", f"{at}.messageExpression", cost_of(tree, bound)
        )

    def _looked_at(self, what: str, field: str, cost: int) -> Causes:
        self._total = plus(self._total, cost)
        if cost >= SCHEMA_COST_MAX // _NAMED_SHARE:
            self._rules.append((cost, field))
        if cost > RULE_COST_MAX:
            yield forbidden(field, _told(what, cost, RULE_COST_MAX))

    def causes(self, path: str) -> list[Cause]:
        """Why the whole schema at ``path`` is refused."""
        if self._total <= SCHEMA_COST_MAX:
            return []
        told = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        most = sorted(self._rules, key=lambda rule: -rule[0])[:_NAMED_MAX]
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        return [
            *(forbidden(field, told) for _, field in most),
            forbidden(path, _told(what, self._total, SCHEMA_COST_MAX)),
        ]


def count_below(schema: Mapping[str, Any], count: int | None) -> int | None:
    """How often what lies directly below a place can be there, where the place itself can be there ``count`` times."""
    is_map = schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), Mapping)
    if count is None or not (is_map or schema.get("type") == "array"):
        return count
    most = schema.get("maxProperties" if is_map else "maxItems")
    return None if most is None else times(count, max(0, int(most)))


def _told(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    if factor > 100 or cost == MOST:
        by = "more than 100x"
    elif factor < 1.5:
        by = f"{factor:f}x"
    else:
        by = f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {by} {_HINT}"
