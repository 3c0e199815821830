"""ValidatingAdmissionPolicies: expressions in CEL that an attempt must fulfil, where a binding says so."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from deltawire.apiserver.admission.attempt import Attempt
from deltawire.apiserver.admission.conditions import values_of
from deltawire.apiserver.admission.matching import Matcher
from deltawire.apiserver.core import failures
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.core.scale import selector_text
from deltawire.common.errors import StatusError
from deltawire.common.meta.selectors import parse_label_selector

if TYPE_CHECKING:
    from deltawire.apiserver.admission.evaluations import Unfulfilled

Tree = dict[str, Any]

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
BINDINGS = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}
_INVALID = 422
_FAILURE = "validation.policy.admission.k8s.io/validation_failure"
_log = logging.getLogger(__name__)


class Denial(NamedTuple):
    """``binding`` is "" where the policy itself is at fault."""

    policy: str
    binding: str
    message: str
    reason: str = ""

    @property
    def told(self) -> str:
        by = f" with binding '{self.binding}'" if self.binding else ""
        return f"ValidatingAdmissionPolicy '{self.policy}'{by} denied request: {self.message}"


class NoParams(Exception):
    """A binding's parameters are not there, or cannot be found at all."""


class Policies:
    """Looks at the policies and bindings that are stored, each time anew."""

    def __init__(self, core: ApiCore, matcher: Matcher) -> None:
        self._core = core
        self._matcher = matcher

    @property
    def are_there(self) -> bool:
        return bool(self._core.store.table(POLICIES).keys) and bool(self._core.store.table(BINDINGS).keys)

    def check(self, attempt: Attempt, warnings: list[str]) -> None:
        """Raises StatusError for the first denial; what is only to be warned of goes to ``warnings``."""
        bindings = [record.decode() for record in self._core.store.table(BINDINGS).records.values()]
        denials: list[Denial] = []
        for record in self._core.store.table(POLICIES).records.values():
            policy = record.decode()
            bound = [each for each in bindings if each["spec"].get("policyName") == record.name]
            constraints = policy["spec"].get("matchConstraints") or {}
            shown = self._matcher.version_for(attempt, constraints, rules="resourceRules")
            if shown is None:
                continue
            for binding in bound:
                if self._matcher.takes(attempt, binding["spec"].get("matchResources") or {}):
                    denials += self._denials(policy, binding, attempt, shown, warnings)
        if denials:
            raise _denied(attempt, denials[0])

    def _denials(
        self, policy: Tree, binding: Tree, attempt: Attempt, shown: Resource, warnings: list[str]
    ) -> Iterator[Denial]:
        names = policy["metadata"]["name"], binding["metadata"]["name"]
        spec, actions = policy["spec"], binding["spec"].get("validationActions") or ()
        is_strict = (spec.get("failurePolicy") or "Fail") == "Fail"
        try:
            params = self._params(spec, binding["spec"].get("paramRef"), attempt)
        except NoParams as error:
            if is_strict:
                yield Denial(*names, f"failed to configure binding: {error}")
            return
        # Loaded with the first policy, as its language is.
        from deltawire.apiserver.admission.evaluations import evaluated

        for param in params:
            values = values_of(attempt, shown) | {
                "params": param,
                "namespaceObject": self._namespace(attempt),
            }
            outcome = evaluated(spec, values, is_strict=is_strict)
            for failed in outcome.unfulfilled:
                if "Deny" in actions:
                    yield Denial(*names, failed.message, failed.reason)
                if "Warn" in actions:
                    warnings.append(
                        f"Validation failed for ValidatingAdmissionPolicy '{names[0]}' with binding '{names[1]}': "
                        f"{failed.message}"
                    )
                if "Audit" in actions:
                    _audited(attempt, _FAILURE, _failure(failed, names, actions))
            for told in outcome.errors:
                yield Denial(*names, told)
            for key, value in outcome.annotations.items():
                _audited(attempt, f"{names[0]}/{key}", value)

    def _namespace(self, attempt: Attempt) -> Tree | None:
        if not attempt.namespace or not self._core.exists("namespaces", attempt.namespace):
            return None
        return self._core.get("namespaces", attempt.namespace).decode()

    def _params(self, spec: Tree, reference: Any, attempt: Attempt) -> list[Tree | None]:
        kind = spec.get("paramKind")
        if not kind or not reference:
            return [None]
        found = [r for r in self._core.catalogue if _is_kind(r, kind)]
        if not found:
            told = f"{kind.get('apiVersion')}, Kind={kind.get('kind')}"
            raise NoParams(f"failed to find resource referenced by paramKind: '{told}'")
        resource = found[0]
        namespace = ""
        if resource.type.namespaced:
            namespace = reference.get("namespace") or attempt.namespace
        records = self._core.store.table(resource.storage).records
        if reference.get("name"):
            record = records.get(f"{namespace}/{reference['name']}")
            params = [record] if record is not None else []
        else:
            selector = parse_label_selector(selector_text(reference.get("selector") or {}))
            params = [r for r in records.values() if r.namespace == namespace and selector.matches(r.labels)]
        if not params and (reference.get("parameterNotFoundAction") or "Deny") == "Deny":
            raise NoParams("no params found for policy binding with `Deny` parameterNotFoundAction")
        return [record.decode() for record in params]


def _is_kind(resource: Resource, kind: Tree) -> bool:
    return resource.type.kind == kind.get("kind") and resource.type.api_version == kind.get("apiVersion")


def _audited(attempt: Attempt, key: str, value: str) -> None:
    """There is no audit log: its annotations are lines of the server's log."""
    where = f"{attempt.namespace}/{attempt.name}".lstrip("/")
    _log.info("audit: %s %s %s: %s=%s", attempt.operation, attempt.resource.storage, where, key, value)


def _failure(failed: "Unfulfilled", names: tuple[str, str], actions: Any) -> str:
    told = {
        "message": failed.message,
        "policy": names[0],
        "binding": names[1],
        "expressionIndex": failed.position,
        "validationActions": list(actions),
    }
    return msgspec.json.encode([told]).decode()


def _denied(attempt: Attempt, denial: Denial) -> StatusError:
    refused = failures.forbidden(attempt.resource, attempt.name, denial.told)
    reason = denial.reason or "Invalid"
    details = {**(refused.details or {}), "causes": [{"message": denial.told}]}
    return StatusError(_CODES.get(reason, _INVALID), reason, refused.message, details=details)
