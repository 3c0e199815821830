"""Conditions in CEL under which a webhook is called, or a policy looked at."""

from collections.abc import Iterable, Mapping
from typing import Any

from deltawire.apiserver.admission.attempt import Attempt, described
from deltawire.apiserver.cel import authorization
from deltawire.apiserver.core.resource import Resource


class ConditionFailed(Exception):
    """A condition has no value for this attempt."""


def values_of(attempt: Attempt, shown: Resource) -> dict[str, Any]:
    """What expressions may look at."""
    obj, old = attempt.in_version(shown)
    request = described(attempt, shown) | {"dryRun": attempt.is_dry_run, "options": attempt.options}
    request = {"name": "", "namespace": "", "subResource": "", "requestSubResource": "", **request}
    asked = attempt.resource.type
    return {
        "object": obj,
        "oldObject": old,
        "request": request,
        "params": None,
        "namespaceObject": None,
        "authorizer": authorization.authorizer(
            asked.group, asked.plural, attempt.subresource, attempt.namespace, attempt.name
        ),
    }


def all_hold(conditions: Iterable[Mapping[str, Any]], values: Mapping[str, Any]) -> bool:
    """Whether an attempt fulfils all of them.

    Raises ConditionFailed where none is unfulfilled and one fails, or where they cost too much together.
    """
    from deltawire.apiserver.cel.library import CompileError, run
    from deltawire.apiserver.cel.meter import CONDITIONS_COST_MAX, Budget, BudgetExceeded, EvaluationError

    failed, budget = "", Budget(CONDITIONS_COST_MAX)
    for condition in conditions:
        try:
            if run(str(condition.get("expression", "")), values, budget) is not True:
                return False
        except BudgetExceeded as error:
            raise ConditionFailed(str(error)) from None
        except (CompileError, EvaluationError) as error:
            told = f"expression '{condition.get('expression', '')}' resulted in error: {error}"
            failed = failed or told
    if failed:
        raise ConditionFailed(failed)
    return True
