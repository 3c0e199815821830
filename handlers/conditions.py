"""Entries of ``status.conditions``, as Kubernetes' own controllers write them. Pure.

Not here: writing the status (``context``).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

STATUSES = {True: "True", False: "False", None: "Unknown"}


def condition(
    obj: Mapping[str, Any], type: str, status: bool | None, reason: str, message: str, *, now_s: float
) -> dict[str, Any]:
    """A condition for ``obj`` at ``now_s`` (s since 1970). Its ``lastTransitionTime`` moves only with its status.

    ``status`` None is Unknown. ``observedGeneration`` is the object's generation, where it has one.
    """
    wanted = STATUSES[status]
    before = next(
        (c for c in (obj.get("status") or {}).get("conditions") or [] if c.get("type") == type), None
    )
    since = before.get("lastTransitionTime") if before and before.get("status") == wanted else None
    found = {
        "type": type,
        "status": wanted,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    generation = (obj.get("metadata") or {}).get("generation")
    return found if generation is None else {**found, "observedGeneration": generation}
