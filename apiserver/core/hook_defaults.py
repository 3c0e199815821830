"""What the API server fills in for webhook configurations and admission policies."""

from typing import Any

Tree = dict[str, Any]

_SELECTORS: Tree = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}


def webhooks(obj: Tree, **further: Any) -> None:
    """``further`` are defaults of this kind of webhook only."""
    if isinstance(obj.get("webhooks"), list):
        obj["webhooks"] = [_webhook({**_SELECTORS, **further, **hook}) for hook in obj["webhooks"]]


def _webhook(hook: Tree) -> Tree:
    hook.setdefault("failurePolicy", "Fail")
    hook.setdefault("timeoutSeconds", 10)
    if hook.get("rules"):
        hook["rules"] = [{"scope": "*", **rule} for rule in hook["rules"]]
    config = hook.get("clientConfig") or {}
    if config.get("service"):
        hook["clientConfig"] = {**config, "service": {"port": 443, **config["service"]}}
    return hook


def policy(obj: Tree) -> None:
    spec = obj["spec"] = {"failurePolicy": "Fail", **(obj.get("spec") or {})}
    if spec.get("matchConstraints"):
        spec["matchConstraints"] = _constraints(spec["matchConstraints"])


def binding(obj: Tree) -> None:
    spec = obj["spec"] = dict(obj.get("spec") or {})
    if spec.get("matchResources"):
        spec["matchResources"] = _constraints(spec["matchResources"])


def _constraints(given: Tree) -> Tree:
    constraints = {**_SELECTORS, **given}
    for name in ("resourceRules", "excludeResourceRules"):
        if constraints.get(name):
            constraints[name] = [{"scope": "*", **rule} for rule in constraints[name]]
    return constraints
