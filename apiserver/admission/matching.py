"""Which attempts a webhook or a policy wants to see: rules, selectors, equivalent versions."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from deltawire.apiserver.admission.attempt import Attempt
from deltawire.apiserver.core.catalogue import Catalogue
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.core.scale import selector_text
from deltawire.common.meta.selectors import parse_label_selector

Tree = Mapping[str, Any]
Labels = Mapping[str, str]


class Matcher:
    """``labels_of`` gives the labels of a namespace, none for one that is not there."""

    def __init__(self, catalogue: Catalogue, labels_of: Callable[[str], Labels]) -> None:
        self._catalogue = catalogue
        self._labels_of = labels_of

    def version_for(self, attempt: Attempt, wanted: Tree, *, rules: str = "rules") -> Resource | None:
        """The version in which ``wanted`` (a webhook, or constraints) takes the attempt; None: it does not."""
        if not self._is_in_namespace(attempt, wanted) or not _has_labels(attempt, wanted):
            return None
        for rule in wanted.get("excludeResourceRules") or ():
            if _takes(rule, attempt, attempt.resource):
                return None
        for rule in wanted.get(rules) or ():
            if _takes(rule, attempt, attempt.resource):
                return attempt.resource
        if (wanted.get("matchPolicy") or "Equivalent") != "Equivalent":
            return None
        return self._equivalent(attempt, wanted.get(rules) or ())

    def takes(self, attempt: Attempt, wanted: Tree) -> bool:
        """As `version_for` for a binding's resources, of which none named means all."""
        if not wanted.get("resourceRules"):
            return self._is_in_namespace(attempt, wanted) and _has_labels(attempt, wanted)
        return self.version_for(attempt, wanted, rules="resourceRules") is not None

    def _equivalent(self, attempt: Attempt, rules: Iterable[Tree]) -> Resource | None:
        storage = attempt.resource.storage
        others = [r for r in self._catalogue if r.storage == storage and r != attempt.resource]
        return next((other for rule in rules for other in others if _takes(rule, attempt, other)), None)

    def _is_in_namespace(self, attempt: Attempt, wanted: Tree) -> bool:
        selector = wanted.get("namespaceSelector")
        if not selector:
            return True
        if attempt.resource.storage == "namespaces":
            labels = _labels(attempt.obj if attempt.obj is not None else attempt.old)
        elif attempt.namespace:
            labels = self._labels_of(attempt.namespace)
        else:
            return True
        return _selects(selector, labels)


def _has_labels(attempt: Attempt, wanted: Tree) -> bool:
    selector = wanted.get("objectSelector")
    if not selector:
        return True
    return any(tree is not None and _selects(selector, _labels(tree)) for tree in (attempt.obj, attempt.old))


def _labels(tree: Tree | None) -> Labels:
    return ((tree or {}).get("metadata") or {}).get("labels") or {}


def _selects(selector: Any, labels: Labels) -> bool:
    return parse_label_selector(selector_text(selector)).matches(dict(labels))


def _takes(rule: Tree, attempt: Attempt, resource: Resource) -> bool:
    kind = resource.type
    scope = rule.get("scope") or "*"
    names = rule.get("resourceNames")
    return (
        _is_one(attempt.operation, rule.get("operations"))
        and _is_one(kind.group, rule.get("apiGroups"))
        and _is_one(kind.version, rule.get("apiVersions"))
        and any(_is_resource(word, kind.plural, attempt.subresource) for word in rule.get("resources") or ())
        and (scope == "*" or (scope == "Namespaced") is kind.namespaced)
        and (not names or attempt.name in names)
    )


def _is_one(value: str, wanted: Any) -> bool:
    return any(word in ("*", value) for word in wanted or ())


def _is_resource(word: str, plural: str, subresource: str) -> bool:
    """``pods``, ``pods/status``, ``pods/*``, ``*/scale``, ``*``, ``*/*``."""
    name, slash, sub = word.partition("/")
    if name not in ("*", plural):
        return False
    return sub in ("*", subresource) if slash else not subresource
