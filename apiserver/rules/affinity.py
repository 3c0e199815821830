"""Rules of where pods may go: affinities, tolerations, spreading."""

from deltawire.apiserver.rules.at import above, at, below, between, choice, form, need, selector
from deltawire.apiserver.rules.causes import (
    Causes,
    Rule,
    Tree,
    duplicate,
    forbidden,
    invalid,
    items,
    required,
    unsupported,
)
from deltawire.apiserver.rules.forms import label_key, label_value, subdomain

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_NOW, _BETTER = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
_WEIGHT = at("weight", between(1, 100, "must be in the range 1-100"))
_POSITIVE = above(0, "must be greater than zero")


def _expression(term: Tree) -> Causes:
    sign, values = term.get("operator") or "", term.get("values") or []
    match sign:
        case "In" | "NotIn":
            if not values:
                yield required("values", "must be specified when `operator` is 'In' or 'NotIn'")
        case "Exists" | "DoesNotExist":
            if values:
                yield forbidden(
                    "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
        case "Gt" | "Lt":
            if len(values) != 1:
                yield required("values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
        case _:
            yield invalid("operator", sign, "not a valid selector operator")
    for why in label_key(str(term.get("key") or "")):
        yield invalid("key", term.get("key") or "", why)
    for position, value in enumerate(values):
        for why in label_value(value):
            yield invalid(f"values[{position}]", value, why)


def _field(term: Tree) -> Causes:
    sign, values = term.get("operator") or "", term.get("values") or []
    if sign not in ("In", "NotIn"):
        yield invalid("operator", sign, "not a valid selector operator")
    elif len(values) != 1:
        told = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required("values", told)
    if term.get("key") != "metadata.name":
        yield invalid("key", term.get("key") or "", "not a valid field selector key")


_NODE_TERM: tuple[Rule, ...] = (
    below("matchExpressions[*]", _expression),
    below("matchFields[*]", _field),
)
node_selector: tuple[Rule, ...] = (
    need("nodeSelectorTerms", "must have at least one node selector term"),
    below("nodeSelectorTerms[*]", *_NODE_TERM),
)


def _topology(term: Tree) -> Causes:
    key = term.get("topologyKey") or ""
    if not key:
        yield required("topologyKey", "can not be empty")
    else:
        for why in label_key(key):
            yield invalid("topologyKey", key, why)


_POD_TERM: tuple[Rule, ...] = (
    at("labelSelector", selector),
    at("namespaceSelector", selector),
    at("namespaces[*]", form(subdomain)),
    _topology,
)
_PODS: tuple[Rule, ...] = (
    below(f"{_NOW}[*]", *_POD_TERM),
    below(f"{_BETTER}[*]", _WEIGHT, below("podAffinityTerm", *_POD_TERM)),
)
affinity: tuple[Rule, ...] = (
    below(
        "nodeAffinity",
        below(_NOW, *node_selector),
        below(f"{_BETTER}[*]", _WEIGHT, below("preference", *_NODE_TERM)),
    ),
    below("podAffinity", *_PODS),
    below("podAntiAffinity", *_PODS),
)


def _toleration(known: Tree) -> Causes:
    key, sign, value = known.get("key") or "", known.get("operator") or "", known.get("value") or ""
    effect = known.get("effect") or ""
    for why in label_key(key) if key else ():
        yield invalid("key", key, why)
    if not key and sign != "Exists":
        told = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid("operator", sign, told)
    if known.get("tolerationSeconds") is not None and effect != "NoExecute":
        yield invalid("effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
    if sign in ("", "Equal"):
        if wrong := label_value(value):
            yield invalid("operator", value, ";".join(wrong))
    elif sign == "Exists":
        if value:
            yield invalid("operator", value, "value must be empty when `operator` is 'Exists'")
    else:
        yield unsupported("operator", sign, ("Equal", "Exists"))
    if effect and effect not in EFFECTS:
        yield unsupported("effect", effect, EFFECTS)


tolerations: tuple[Rule, ...] = (below("tolerations[*]", _toleration),)


def _domains(constraint: Tree) -> Causes:
    how = constraint.get("whenUnsatisfiable") or ""
    if constraint.get("minDomains") is not None and how != "DoNotSchedule":
        told = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {how}"
        yield invalid("minDomains", constraint["minDomains"], told)


def _each_once(spec: Tree) -> Causes:
    seen: set[str] = set()
    for where, constraint in items(spec, "topologySpreadConstraints"):
        told = f"{{{constraint.get('topologyKey', '')}, {constraint.get('whenUnsatisfiable', '')}}}"
        if told in seen:
            yield duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", told)
        seen.add(told)


spreading: tuple[Rule, ...] = (
    below(
        "topologySpreadConstraints[*]",
        at("maxSkew", _POSITIVE),
        _topology,
        at("whenUnsatisfiable", choice(*_UNSATISFIABLE)),
        at("minDomains", _POSITIVE),
        _domains,
        at("labelSelector", selector),
        at("nodeAffinityPolicy", choice("Honor", "Ignore")),
        at("nodeTaintsPolicy", choice("Honor", "Ignore")),
    ),
    _each_once,
)


def taints(obj: Tree) -> Causes:
    """The taints of a node, told under its metadata as the API server does."""
    seen: set[tuple[str, str]] = set()
    for where, taint in items(obj, "spec.taints"):
        field = f"metadata.{where.removeprefix('spec.')}"
        key, effect = str(taint.get("key") or ""), str(taint.get("effect") or "")
        for why in label_key(key):
            yield invalid(f"{field}.key", key, why)
        if wrong := label_value(str(taint.get("value") or "")):
            yield invalid(f"{field}.value", taint["value"], ";".join(wrong))
        if not effect:
            yield required(f"{field}.effect")
        elif effect not in EFFECTS:
            yield unsupported(f"{field}.effect", effect, EFFECTS)
        if (key, effect) in seen:
            inner = {"Key": key, "Value": taint.get("value") or "", "Effect": effect, "TimeAdded": None}
            found = duplicate(field, inner)
            found["message"] += ": taints must be unique by key and effect pair"
            yield found
        seen.add((key, effect))
