"""Rules of autoscalers and disruption budgets."""

from deltawire.apiserver.kinds.quantities import amount
from deltawire.apiserver.rules.at import at, below, choice, selector
from deltawire.apiserver.rules.causes import (
    Causes,
    Rule,
    Tree,
    forbidden,
    invalid,
    items,
    look,
    required,
    unsupported,
)
from deltawire.apiserver.rules.forms import segment
from deltawire.apiserver.rules.workloads import share_of_all


def budget(obj: Tree) -> Causes:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        # As Go writes its internal type.
        inner = {
            "MinAvailable": spec["minAvailable"],
            "Selector": spec.get("selector"),
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        yield invalid("spec", inner, "minAvailable and maxUnavailable cannot be both set")


BUDGET: tuple[Rule, ...] = (
    budget,
    at("spec.minAvailable", share_of_all),
    at("spec.maxUnavailable", share_of_all),
    at("spec.unhealthyPodEvictionPolicy", choice("AlwaysAllow", "IfHealthyBudget")),
    at("spec.selector", selector),
)

_METRICS = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}


def _bounds(obj: Tree) -> Causes:
    low, high = look(obj, "spec.minReplicas"), look(obj, "spec.maxReplicas")
    if isinstance(low, int) and low < 1:
        yield invalid("spec.minReplicas", low, "must be greater than or equal to 1")
    if not isinstance(high, int) or high < 1:
        yield invalid("spec.maxReplicas", high or 0, "must be greater than 0")
    if isinstance(low, int) and (high or 0) < low:
        yield invalid("spec.maxReplicas", high or 0, "must be greater than or equal to `minReplicas`")
    for name in ("kind", "name"):
        value = look(obj, f"spec.scaleTargetRef.{name}") or ""
        if not value:
            yield required(f"spec.scaleTargetRef.{name}")
        for why in segment(value):
            yield invalid(f"spec.scaleTargetRef.{name}", value, why)


def _metric(metric: Tree) -> Causes:
    kind = metric.get("type") or ""
    if not kind:
        yield required("type", "must specify a metric source type")
    if kind not in _METRICS:
        yield unsupported("type", kind, tuple(_METRICS))
        return
    source = metric.get(_METRICS[kind])
    if source is None:
        yield required(_METRICS[kind], "must populate information for the given metric source")
        return
    where = _METRICS[kind]
    for other in _METRICS.values():
        if other != where and metric.get(other) is not None:
            yield forbidden(other, "must populate the given metric source only")
    if "esource" in where:
        if not source.get("name"):
            yield required(f"{where}.name", "must specify a resource name")
    elif not look(source, "metric.name"):
        yield required(f"{where}.metric.name", "must specify a metric name")
    yield from _target(f"{where}.target", source.get("target") or {}, is_of_resource="esource" in where)


def _target(field: str, target: Tree, *, is_of_resource: bool) -> Causes:
    kind, share_ = target.get("type") or "", target.get("averageUtilization")
    mean, value = target.get("averageValue"), target.get("value")
    if not kind:
        yield required(f"{field}.type", "must specify a metric target type")
    elif kind not in ("Utilization", "Value", "AverageValue"):
        yield invalid(f"{field}.type", kind, "must be either Utilization, Value, or AverageValue")
    if isinstance(share_, int) and share_ < 1:
        yield invalid(f"{field}.averageUtilization", share_, "must be greater than 0")
    for name, given in (("value", value), ("averageValue", mean)):
        if given is not None and amount(given) <= 0:
            yield invalid(f"{field}.{name}", given, "must be positive")
    if is_of_resource and share_ is None and mean is None:
        told = "must set either a target raw value or a target utilization"
        yield required(f"{field}.averageUtilization", told)
    if is_of_resource and share_ is not None and mean is not None:
        told = "may not set both a target raw value and a target utilization"
        yield forbidden(f"{field}.averageValue", told)


def _scaling(rules: Tree) -> Causes:
    window = rules.get("stabilizationWindowSeconds")
    if isinstance(window, int) and window < 0:
        yield invalid("stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    elif isinstance(window, int) and window > 3600:
        yield invalid("stabilizationWindowSeconds", window, "must be less than or equal to 3600")
    if rules.get("selectPolicy") not in ("Max", "Min", "Disabled", None):
        yield unsupported("selectPolicy", rules["selectPolicy"], ("Disabled", "Max", "Min"))
    for where, policy in items(rules, "policies"):
        if policy.get("type") not in ("Pods", "Percent"):
            yield unsupported(f"{where}.type", policy.get("type") or "", ("Percent", "Pods"))
        for name in ("value", "periodSeconds"):
            if (policy.get(name) or 0) <= 0:
                yield invalid(f"{where}.{name}", policy.get(name) or 0, "must be greater than zero")
        if (policy.get("periodSeconds") or 0) > 1800:
            yield invalid(
                f"{where}.periodSeconds", policy["periodSeconds"], "must be less than or equal to 1800"
            )


AUTOSCALER: tuple[Rule, ...] = (
    _bounds,
    below("spec.metrics[*]", _metric),
    below("spec.behavior.scaleUp", _scaling),
    below("spec.behavior.scaleDown", _scaling),
)
