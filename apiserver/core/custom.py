"""Custom objects on their way into the store: unknown fields go, defaults come, the rest is checked."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from deltawire.apiserver.core.failures import cause, invalid
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.schemas.defaults import fill_in
from deltawire.apiserver.schemas.prune import ROOT_FIELDS, prune
from deltawire.apiserver.schemas.validate import problems_of

# Gets the paths of the fields that a schema does not know; may raise StatusError to refuse them.
OnUnknown = Callable[[list[str]], None]


def complete_custom(resource: Resource, obj: dict[str, Any], on_unknown: OnUnknown | None = None) -> None:
    """Make ``obj`` what its schema asks for, in place. Raises StatusError 422 naming every bad field."""
    if not resource.schema:
        return
    for name, value in obj.items():
        if name not in ROOT_FIELDS:
            obj[name] = deepcopy(value)  # what the caller handed in stays as it is
    unknown = prune(resource.schema, obj)
    if unknown and on_unknown is not None:
        on_unknown(unknown)
    fill_in(resource.schema, obj)
    problems = problems_of(resource.schema, obj)
    if problems:
        causes = [cause(problem.field or "<nil>", problem.message, problem.reason) for problem in problems]
        raise invalid(resource, obj["metadata"].get("name", ""), *causes)
