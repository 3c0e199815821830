"""Rules of webhook configurations and admission policies."""

from typing import Any

from deltawire.apiserver.cel.library import ANY, VARIABLES, Checker, CompileError
from deltawire.apiserver.cel.shapes import Shape
from deltawire.apiserver.rules.at import at, below, choice, inside, selector
from deltawire.apiserver.rules.causes import (
    Causes,
    Tree,
    duplicate,
    invalid,
    items,
    look,
    required,
    unsupported,
)
from deltawire.apiserver.rules.forms import label_key

_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_VERSIONS = ("v1", "v1beta1")
_TIMEOUT_MAX_S = 30
_ACTIONS = ("Audit", "Deny", "Warn")
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
# A key of the audit log lies below the name of its policy.
_ANY_NAME = "policy"
_OF_SCHEMAS = ("self", "oldSelf", "oldValue")


def webhooks(obj: Tree) -> Causes:
    seen: set[str] = set()
    for where, hook in items(obj, "webhooks"):
        name = str(hook.get("name") or "")
        if len(name.split(".")) < 3 or not all(name.split(".")):
            why = "should be a domain with at least three segments separated by dots"
            yield invalid(f"{where}.name", name, why)
        if name in seen:
            yield {
                "reason": "FieldValueDuplicate",
                "message": f'Duplicate value: "{name}"',
                "field": f"{where}.name",
            }
        seen.add(name)
        yield from _webhook(where, hook)
        yield from conditions(hook, where)


def operations(rule: Tree) -> Causes:
    """What a webhook or a policy is for: operations on resources, none beside a ``*``."""
    asked = rule.get("operations") or []
    if not asked:
        yield required("operations")
    elif len(asked) > 1 and "*" in asked:
        yield invalid("operations", asked, "if '*' is present, must not specify other operations")
    for position, operation in enumerate(asked):
        if operation not in _OPERATIONS:
            yield unsupported(f"operations[{position}]", operation, _OPERATIONS)
    for name, word in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        asked = rule.get(name) or []
        if not asked:
            yield required(name)
        elif len(asked) > 1 and "*" in asked:
            yield invalid(name, asked, f"if '*' is present, must not specify other {word}")
    if not rule.get("resources"):
        yield required("resources")
    if rule.get("scope") not in ("*", "Cluster", "Namespaced", None):
        yield unsupported("scope", rule["scope"], ("*", "Cluster", "Namespaced"))


_POLICIES = (
    at("failurePolicy", choice("Fail", "Ignore")),
    at("matchPolicy", choice("Equivalent", "Exact")),
    at("reinvocationPolicy", choice("IfNeeded", "Never")),
    at("namespaceSelector", selector),
    at("objectSelector", selector),
)


def _webhook(where: str, hook: Tree) -> Causes:
    for rule in (below("rules[*]", operations), *_POLICIES):
        yield from (inside(where, found) for found in rule(hook))
    effects = hook.get("sideEffects")
    if effects is None:
        yield required(f"{where}.sideEffects", f"must specify one of {', '.join(_SIDE_EFFECTS)}")
    elif effects not in _SIDE_EFFECTS:
        yield unsupported(f"{where}.sideEffects", effects, _SIDE_EFFECTS)
    known = hook.get("admissionReviewVersions") or []
    if not any(version in _VERSIONS for version in known):
        told = f"must specify one of {', '.join(_VERSIONS)}"
        if known:
            yield invalid(
                f"{where}.admissionReviewVersions",
                known,
                f"must include at least one of {', '.join(_VERSIONS)}",
            )
        else:
            yield required(f"{where}.admissionReviewVersions", told)
    timeout_s = hook.get("timeoutSeconds")
    if isinstance(timeout_s, int) and not 1 <= timeout_s <= _TIMEOUT_MAX_S:
        yield invalid(
            f"{where}.timeoutSeconds", timeout_s, "the timeout value must be between 1 and 30 seconds"
        )
    config = hook.get("clientConfig") or {}
    url, service = config.get("url"), config.get("service")
    if (url is None) is (service is None):
        yield required(f"{where}.clientConfig", "exactly one of url or service is required")
    elif url is not None and not url.startswith("https://"):
        why = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        yield invalid(f"{where}.clientConfig.url", url, why)


def conditions(holder: Tree, where: str = "") -> Causes:
    """Conditions in CEL: each has a name of its own, and is true or false."""
    begins = f"{where}." if where else ""
    for where_, condition in items(holder, "matchConditions"):
        yield from expression(condition, "expression", f"{begins}{where_}.expression", "bool")


_CONSTRAINTS = (
    at("failurePolicy", choice("Fail", "Ignore")),
    below(
        "matchConstraints",
        below("resourceRules[*]", operations),
        at("matchPolicy", choice("Equivalent", "Exact")),
        at("namespaceSelector", selector),
        at("objectSelector", selector),
    ),
)


def policy(obj: Tree) -> Causes:
    spec = obj.get("spec") or {}
    if not spec.get("matchConstraints"):
        yield required("spec.matchConstraints")
    elif not look(spec, "matchConstraints.resourceRules"):
        yield required("spec.matchConstraints.resourceRules")
    for rule in _CONSTRAINTS:
        yield from (inside("spec", found) for found in rule(spec))
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        yield required("spec.validations", "validations or auditAnnotations must contain at least one item")
    yield from conditions(spec, "spec")
    for place, variable in items(spec, "variables"):
        yield from expression(variable, "expression", f"spec.{place}.expression", ANY)
    yield from _audit_annotations(spec)
    for place, validation in items(spec, "validations"):
        yield from expression(validation, "expression", f"spec.{place}.expression", "bool")
        if validation.get("messageExpression"):
            yield from expression(
                validation, "messageExpression", f"spec.{place}.messageExpression", "string"
            )


def _audit_annotations(spec: Tree) -> Causes:
    seen: set[str] = set()
    for place, annotation in items(spec, "auditAnnotations"):
        key = str(annotation.get("key") or "")
        if not key:
            yield required(f"spec.{place}.key")
        elif key in seen:
            yield duplicate(f"spec.{place}.key", key)
        else:
            for wrong in label_key(f"{_ANY_NAME}/{key}"):
                yield invalid(f"spec.{place}.key", key, wrong)
        seen.add(key)
        # Text, or null where nothing is to be said.
        yield from expression(annotation, "valueExpression", f"spec.{place}.valueExpression", ANY)


def binding(obj: Tree) -> Causes:
    if not look(obj, "spec.policyName"):
        yield required("spec.policyName")
    actions: Any = look(obj, "spec.validationActions") or []
    if not actions:
        yield required("spec.validationActions", "at least one validation action is required")
    for position, action in enumerate(actions):
        if action not in _ACTIONS:
            yield unsupported(f"spec.validationActions[{position}]", action, _ACTIONS)


def expression(holder: Tree, name: str, field: str, wanted: str) -> Causes:
    """What keeps a text from being an expression that gives ``wanted``."""
    text = str(holder.get(name) or "").strip()
    if not text:
        yield required(field, f"{name} is not specified")
        return
    try:
        gives = _checker().check(text)
    except CompileError as error:
        yield invalid(field, text, f"compilation failed: {error}")
        return
    if wanted != ANY and gives not in (ANY, wanted):
        yield invalid(field, text, f"must evaluate to {wanted}")


def _checker() -> Checker:
    return Checker({name: Shape(ANY) for name in VARIABLES if name not in _OF_SCHEMAS})
