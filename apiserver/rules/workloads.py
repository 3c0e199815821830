"""Rules of what makes pods: selectors fit templates, and what may change afterwards."""

from deltawire.apiserver.rules.causes import (
    Causes,
    ChangeRule,
    Rule,
    Tree,
    forbidden,
    invalid,
    items,
    look,
    required,
    unsupported,
)
from deltawire.apiserver.rules.pods import pod_spec

_UNFIT = "`selector` does not match template `labels`"
_SIGNS = ("In", "NotIn", "Exists", "DoesNotExist")
_STATEFUL = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_CHANGEABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def fits(selector: Tree, labels: Tree) -> bool:
    """Whether a structured selector chooses these labels; an empty one chooses none here."""
    for name, value in (selector.get("matchLabels") or {}).items():
        if labels.get(name) != value:
            return False
    for term in selector.get("matchExpressions") or ():
        name, values = term.get("key"), term.get("values") or ()
        holds = {
            "In": labels.get(name) in values,
            "NotIn": labels.get(name) not in values,
            "Exists": name in labels,
            "DoesNotExist": name not in labels,
        }
        if not holds.get(term.get("operator"), False):
            return False
    return True


def selector_of(obj: Tree) -> Causes:
    selector = look(obj, "spec.selector")
    if selector is None:
        yield required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid("spec.selector", selector, "empty selector is invalid for deployment")
    for where, term in items(obj, "spec.selector.matchExpressions"):
        if term.get("operator") not in _SIGNS:
            yield invalid(f"{where}.operator", term.get("operator") or "", "not a valid selector operator")


def template_fits(obj: Tree) -> Causes:
    selector, labels = look(obj, "spec.selector"), look(obj, "spec.template.metadata.labels")
    is_empty = not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))
    if is_empty or not fits(selector, labels or {}):
        yield invalid("spec.template.metadata.labels", labels, _UNFIT)


def template(*policies: str) -> Rule:
    """The template makes pods that restart as is possible here."""

    def rule(obj: Tree) -> Causes:
        yield from pod_spec(obj, "spec.template.spec")
        policy = look(obj, "spec.template.spec.restartPolicy")
        if policies and policy is not None and policy not in policies:
            yield unsupported("spec.template.spec.restartPolicy", policy, policies)

    return rule


def strategy(obj: Tree) -> Causes:
    kind = look(obj, "spec.strategy.type")
    rolling = look(obj, "spec.strategy.rollingUpdate")
    if kind == "Recreate" and rolling is not None:
        told = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden("spec.strategy.rollingUpdate", told)
    elif kind not in ("Recreate", "RollingUpdate", None):
        yield unsupported("spec.strategy.type", kind, ("Recreate", "RollingUpdate"))
    if rolling and all(rolling.get(name) in (0, "0%") for name in ("maxSurge", "maxUnavailable")):
        told = "may not be 0 when `maxSurge` is 0"
        yield invalid("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], told)


def cron(obj: Tree) -> Causes:
    schedule = look(obj, "spec.schedule") or ""
    if not schedule:
        yield required("spec.schedule")
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        told = f"expected exactly 5 fields, found {len(schedule.split())}: {schedule.split()}"
        yield invalid("spec.schedule", schedule, told.replace("'", "").replace(",", ""))
    yield from pod_spec(obj, "spec.jobTemplate.spec.template.spec")
    policy = look(obj, "spec.jobTemplate.spec.template.spec.restartPolicy")
    if policy not in ("OnFailure", "Never", None):
        supported = ("OnFailure", "Never")
        yield unsupported("spec.jobTemplate.spec.template.spec.restartPolicy", policy, supported)


def stateful_change(old: Tree, new: Tree) -> Causes:
    before, after = _without(old), _without(new)
    if before != after:
        yield forbidden("spec", _STATEFUL)


def _without(obj: Tree) -> Tree:
    spec = obj.get("spec") or {}
    return {name: value for name, value in spec.items() if name not in _STATEFUL_CHANGEABLE}


def job_template_stays(old: Tree, new: Tree) -> Causes:
    """A job's template stays, but for what a suspended one may change."""
    if look(old, "spec.template") != look(new, "spec.template"):
        yield invalid("spec.template", look(new, "spec.template"), "field is immutable")


STATEFUL_CHANGE: ChangeRule = stateful_change
