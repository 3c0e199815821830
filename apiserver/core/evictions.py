"""Evicting a pod: allowed unless a disruption budget of its namespace says no."""

from typing import Any

from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.scale import selector_text
from deltawire.apiserver.core.store import Store
from deltawire.common.errors import StatusError
from deltawire.common.meta.selectors import parse_label_selector

Tree = dict[str, Any]

BUDGETS = "poddisruptionbudgets.policy"
PODS = "pods"


def check_budgets(store: Store, pod: Record) -> None:
    """Raise StatusError 429 if a budget that covers ``pod`` allows no disruption now.

    It names no time after which to try again, as clients would do so behind their users' backs.

    A budget's status.disruptionsAllowed decides where somebody set it. There is no controller that would
    keep it, so without one it is worked out from the spec and the pods there are.
    """
    table = store.table(BUDGETS)
    for key in table.keys_of(pod.namespace):
        budget = table.records[key].decode()
        # An empty selector covers every pod, a missing one none.
        selector = (budget.get("spec") or {}).get("selector")
        if selector is None or not _covers(selector, pod):
            continue
        status = budget.get("status") or {}
        # A status that no controller has written says nothing.
        allowed = status.get("disruptionsAllowed") if any(status.values()) else None
        if (_allowed(store, budget["spec"], pod) if allowed is None else allowed) <= 0:
            name = budget["metadata"]["name"]
            raise StatusError(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
                details={
                    "causes": [
                        {
                            "reason": "DisruptionBudget",
                            "message": f"The disruption budget {name} does not allow evicting pods currently",
                        }
                    ]
                },
            )


def _covers(selector: Tree, pod: Record) -> bool:
    return parse_label_selector(selector_text(selector)).matches(pod.labels)


def _allowed(store: Store, spec: Tree, evicted: Record) -> int:
    table = store.table(PODS)
    covered = [
        record
        for key in table.keys_of(evicted.namespace)
        if _covers(spec["selector"], record := table.records[key])
    ]
    healthy = sum(not record.is_terminating and _is_ready(record.decode()) for record in covered)
    if spec.get("minAvailable") is not None:
        return healthy - _share(spec["minAvailable"], len(covered))
    if spec.get("maxUnavailable") is not None:
        return _share(spec["maxUnavailable"], len(covered)) - (len(covered) - healthy)
    return 1


def _is_ready(pod: Tree) -> bool:
    """Pods of which nobody reports a condition count as ready: there is no kubelet here."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = [c.get("status") for c in conditions if c.get("type") == "Ready"]
    return not ready or ready[0] == "True"


def _share(value: Any, total: int) -> int:
    """A number, or a percentage of ``total`` rounded up."""
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal():
        return -(-int(value[:-1]) * total // 100)
    return int(value)
