"""Disruption budgets say how many pods may go."""

from typing import Any

from deltawire.apiserver.core.evictions import share_of
from deltawire.apiserver.simulate.desk import PODS, Desk
from deltawire.apiserver.simulate.pod_status import has_ended, is_ready

Tree = dict[str, Any]
BUDGETS = "poddisruptionbudgets.policy"


def act(desk: Desk, budget: Tree) -> None:
    spec, metadata = budget.get("spec") or {}, budget["metadata"]
    selector = spec.get("selector")
    pods = []
    if selector is not None:
        chosen = desk.selected(PODS, metadata["namespace"], selector)
        pods = [pod for pod in (record.decode() for record in chosen) if not has_ended(pod)]
    healthy = sum(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in pods)
    expected = len(pods)
    if spec.get("maxUnavailable") is not None:
        desired = max(expected - share_of(spec["maxUnavailable"], expected), 0)
    else:
        desired = share_of(spec.get("minAvailable", 1), expected)
    allowed = max(healthy - desired, 0) if expected else 0
    status: Tree = {
        "observedGeneration": metadata.get("generation", 1),
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
    }
    status["conditions"] = [_condition(budget, allowed > 0, desk.time)]
    desk.set_status(BUDGETS, budget, status)


def _condition(budget: Tree, allows: bool, now: str) -> Tree:
    made = {
        "type": "DisruptionAllowed",
        "status": "True" if allows else "False",
        "observedGeneration": budget["metadata"].get("generation", 1),
        "reason": "SufficientPods" if allows else "InsufficientPods",
        "message": "",
    }
    known: Tree = next(
        (c for c in (budget.get("status") or {}).get("conditions") or () if c.get("type") == made["type"]), {}
    )
    is_same = known.get("status") == made["status"] and "lastTransitionTime" in known
    return {**made, "lastTransitionTime": known["lastTransitionTime"] if is_same else now}
