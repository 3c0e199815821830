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


def check_budgets(store: Store, pod: Record, *, is_live: bool) -> None:
    """Raise StatusError 429 if a budget that covers ``pod`` allows no disruption now.

    It names no time after which to try again, as clients would do so behind their users' backs.

    A budget's status.disruptionsAllowed decides where somebody set it; else it is worked out from the spec and the
    pods there are. ``is_live``: a controller writes the status, a little later than pods go, so both count.
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
        if allowed is None or (is_live and allowed > 0):
            allowed = _allowed(store, budget["spec"], pod)
        if allowed <= 0:
            raise _refused(budget["metadata"]["name"], status)


def _refused(name: str, status: Tree) -> StatusError:
    told = f"The disruption budget {name} does not allow evicting pods currently"
    if status.get("expectedPods"):
        desired, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        told = f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    causes = [{"reason": "DisruptionBudget", "message": told}]
    return StatusError(429, "TooManyRequests", message, details={"causes": causes})


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
        return healthy - share_of(spec["minAvailable"], len(covered))
    if spec.get("maxUnavailable") is not None:
        return share_of(spec["maxUnavailable"], len(covered)) - (len(covered) - healthy)
    return 1


def _is_ready(pod: Tree) -> bool:
    """Pods without a reported condition count as ready: there is no kubelet here."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = [c.get("status") for c in conditions if c.get("type") == "Ready"]
    return not ready or ready[0] == "True"


def share_of(value: Any, total: int) -> int:
    """A number, or a percentage of ``total`` rounded up."""
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal():
        return -(-int(value[:-1]) * total // 100)
    return int(value)
