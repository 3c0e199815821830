"""One policy's expressions on one attempt: what does not hold, and what it has for the audit log."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from deltawire.apiserver.admission.conditions import ConditionFailed, all_hold
from deltawire.apiserver.cel.library import CompileError, run
from deltawire.apiserver.cel.meter import Budget, BudgetExceeded, EvaluationError

Tree = dict[str, Any]

# A longer text that an expression makes is not shown, or cut in the audit log: Kubernetes' limits.
MESSAGE_BYTES_MAX = 5 * 1024
AUDIT_VALUE_CHARS_MAX = 10 * 1024


class Unfulfilled(NamedTuple):
    """``position`` is that of the validation among those of its policy."""

    message: str
    reason: str = ""
    position: int = 0


class Outcome(NamedTuple):
    """``annotations`` are for the audit log; ``errors`` say which of them could not be made."""

    unfulfilled: list[Unfulfilled]
    annotations: dict[str, str]
    errors: list[str]


def evaluated(spec: Tree, given: Mapping[str, Any], *, is_strict: bool) -> Outcome:
    """``spec`` is that of a policy, ``given`` what its expressions may look at.

    What cannot be worked out counts where ``is_strict``. All validations share one budget, as the annotations do.
    """
    values = dict(given)
    try:
        if not all_hold(spec.get("matchConditions") or (), values):
            return Outcome([], {}, [])
    except ConditionFailed as error:
        return Outcome([Unfulfilled(str(error))] if is_strict else [], {}, [])
    budget = Budget()
    values["variables"] = _variables(spec.get("variables") or (), values, budget)
    try:
        unfulfilled = _unfulfilled(spec, values, budget, is_strict=is_strict)
        annotations, errors = _annotations(spec, values, is_strict=is_strict)
    except BudgetExceeded as error:
        return Outcome([Unfulfilled(str(error))] if is_strict else [], {}, [])
    return Outcome(unfulfilled, annotations, errors)


def _variables(declared: Any, values: Tree, budget: Budget) -> Tree:
    """Each may use those before it; one that has no value is not there for expressions that ask for it."""
    variables: Tree = {}
    for variable in declared:
        try:
            variables[str(variable.get("name"))] = run(
                str(variable.get("expression", "")), {**values, "variables": variables}, budget
            )
        except (CompileError, EvaluationError):
            continue
    return variables


def _unfulfilled(spec: Tree, values: Tree, budget: Budget, *, is_strict: bool) -> list[Unfulfilled]:
    found = []
    for position, validation in enumerate(spec.get("validations") or ()):
        expression = str(validation.get("expression", ""))
        try:
            is_kept = run(expression, values, budget) is True
        except BudgetExceeded:
            raise
        except (CompileError, EvaluationError) as error:
            if is_strict:
                told = f"expression '{expression}' resulted in error: {error}"
                found.append(Unfulfilled(told, position=position))
            continue
        if not is_kept:
            reason = str(validation.get("reason") or "")
            found.append(Unfulfilled(_message(validation, values, budget), reason, position))
    return found


def _message(validation: Tree, values: Tree, budget: Budget) -> str:
    if validation.get("messageExpression"):
        try:
            made = run(str(validation["messageExpression"]), values, budget)
        except BudgetExceeded as error:
            return f"failed messageExpression: {error}"
        except (CompileError, EvaluationError):
            made = ""
        told = made.strip() if isinstance(made, str) else ""
        if told and "\n" not in told and len(told.encode()) <= MESSAGE_BYTES_MAX:
            return told
    return (
        str(validation.get("message") or "").strip()
        or f"failed expression: {validation.get('expression', '').strip()}"
    )


def _annotations(spec: Tree, values: Tree, *, is_strict: bool) -> tuple[dict[str, str], list[str]]:
    made: dict[str, str] = {}
    errors: list[str] = []
    budget = Budget()
    for annotation in spec.get("auditAnnotations") or ():
        expression = str(annotation.get("valueExpression", ""))
        try:
            value = run(expression, values, budget)
        except BudgetExceeded:
            raise
        except (CompileError, EvaluationError) as error:
            errors.append(f"expression '{expression}' resulted in error: {error}")
            continue
        if isinstance(value, str):
            if value.strip():
                made[str(annotation.get("key"))] = value.strip()[:AUDIT_VALUE_CHARS_MAX]
        elif value is not None:
            why = "resulted in unsupported return type. Return type must be either string or null."
            errors.append(f"valueExpression '{expression}' {why}")
    return made, errors if is_strict else []
