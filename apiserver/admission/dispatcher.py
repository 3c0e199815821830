"""The order in which webhooks and policies see an attempt, and what their failures do to it."""

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from deltawire.apiserver.access.authorizer import Authorizer
from deltawire.apiserver.admission import calls
from deltawire.apiserver.admission.attempt import EXEMPT_GROUP, Attempt, converted
from deltawire.apiserver.admission.authorizing import Rights
from deltawire.apiserver.admission.conditions import ConditionFailed, all_hold, values_of
from deltawire.apiserver.admission.matching import Matcher
from deltawire.apiserver.admission.policies import Policies
from deltawire.apiserver.admission.review import BadAnswer, Verdict, review, verdict, version_of
from deltawire.apiserver.cel.authorization import answered_by
from deltawire.apiserver.core import failures
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.patch.json_patch import json_patch
from deltawire.common.errors import StatusError

Tree = dict[str, Any]

MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"
_SAFE = ("None", "NoneOnDryRun")
_UNKNOWN_VERSIONS = "webhook does not accept known AdmissionReview versions (v1, v1beta1)"


class Patch(NamedTuple):
    """What a webhook changes: operations on the object in the version of ``shown``."""

    webhook: str
    asked: Resource
    shown: Resource
    operations: list[Tree]

    def apply(self, obj: Tree) -> Tree:
        """The changed object. Raises StatusError 500 for a patch that does not fit."""
        try:
            changed = json_patch(_in(obj, self.asked, self.shown), self.operations)
        except StatusError as error:
            raise _internal(error.message) from None
        if not isinstance(changed, dict):
            raise _internal(f'admission webhook "{self.webhook}" made no object')
        return _in(changed, self.shown, self.asked)


class Dispatcher:
    """Raises StatusError for what is refused, or could not be asked."""

    def __init__(self, core: ApiCore, authorizer: Authorizer) -> None:
        self._core = core
        self._authorizer = authorizer
        self._matcher = Matcher(core.catalogue, self._labels_of)
        self._policies = Policies(core, self._matcher)

    def is_wanted(self, resource: Resource) -> bool:
        """Whether anybody may want to see writes of a resource at all."""
        store = self._core.store
        if resource.type.group == EXEMPT_GROUP:
            return False
        return bool(store.table(MUTATING).keys or store.table(VALIDATING).keys) or self._policies.are_there

    async def mutate(self, attempt: Attempt, warnings: list[str]) -> list[Patch]:
        """What webhooks change, in order. Those that ask for it see what later ones have changed."""
        patches: list[Patch] = []
        hooks = list(self._hooks(MUTATING))
        repeatable: list[int] = []
        again: set[int] = set()
        for is_second in (False, True):
            for number, hook in enumerate(hooks):
                if is_second and number not in again:
                    continue
                patch = await self._mutated(hook, attempt, warnings)
                if patch is not None and attempt.obj is not None:
                    changed = patch.apply(attempt.obj)
                    if changed != attempt.obj:
                        again |= set(repeatable) if not is_second else set()
                        patches.append(patch)
                        attempt = replace(attempt, obj=changed)
                if hook.get("reinvocationPolicy") == "IfNeeded" and not is_second:
                    repeatable.append(number)
            if not again:
                break
        return patches

    async def validate(self, attempt: Attempt, warnings: list[str]) -> None:
        """Policies first, then all webhooks at once; of several refusals the first one counts."""
        if self._policies.are_there:
            with answered_by(Rights(self._authorizer, attempt.user).decide):
                self._policies.check(attempt, warnings)
        wanted = [
            (hook, shown)
            for hook in self._hooks(VALIDATING)
            if (shown := self._version_for(hook, attempt)) is not None
        ]
        results = await asyncio.gather(
            *(self._asked(hook, attempt, shown, warnings, mutating=False) for hook, shown in wanted),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _mutated(self, hook: Tree, attempt: Attempt, warnings: list[str]) -> Patch | None:
        shown = self._version_for(hook, attempt)
        if shown is None:
            return None
        found = await self._asked(hook, attempt, shown, warnings, mutating=True)
        if found is None or not found.patch:
            return None
        if attempt.obj is None:
            why = "attempted to modify the object, which is not supported for this operation"
            raise _internal(f'admission webhook "{hook["name"]}" {why}')
        return Patch(hook["name"], attempt.resource, shown, found.patch)

    def _version_for(self, hook: Tree, attempt: Attempt) -> Resource | None:
        """The version that a webhook is to see; None if it is not to be called. Raises StatusError 403."""
        shown = self._matcher.version_for(attempt, hook)
        if shown is None or not hook.get("matchConditions"):
            return shown
        try:
            with answered_by(Rights(self._authorizer, attempt.user).decide):
                return shown if all_hold(hook["matchConditions"], values_of(attempt, shown)) else None
        except ConditionFailed as error:
            if (hook.get("failurePolicy") or "Fail") == "Ignore":
                return None
            raise failures.forbidden(attempt.resource, attempt.name, str(error)) from None

    async def _asked(
        self, hook: Tree, attempt: Attempt, shown: Resource, warnings: list[str], *, mutating: bool
    ) -> Verdict | None:
        """The webhook's verdict; None where it could not be had, and that does not matter."""
        name = str(hook["name"])
        if attempt.is_dry_run and hook.get("sideEffects") not in _SAFE:
            raise failures.bad_request(f'admission webhook "{name}" does not support dry run')
        try:
            found = await self._called(hook, attempt, shown, mutating=mutating)
        except (calls.CallFailed, BadAnswer) as error:
            if (hook.get("failurePolicy") or "Fail") == "Ignore":
                return None
            raise _internal(f'failed calling webhook "{name}": {error}') from None
        warnings += found.warnings
        return found

    async def _called(self, hook: Tree, attempt: Attempt, shown: Resource, *, mutating: bool) -> Verdict:
        version = version_of(hook)
        if not version:
            raise BadAnswer(f"could not create admission objects: {_UNKNOWN_VERSIONS}")
        config, uid = hook.get("clientConfig") or {}, str(uuid.uuid4())
        timeout_s = min(hook.get("timeoutSeconds") or calls.TIMEOUT_DEFAULT_S, calls.TIMEOUT_MAX_S)
        place = calls.place_of(self._core.store, config)
        answer = await calls.post(place, config, review(attempt, version, shown, uid), timeout_s)
        return verdict(str(hook["name"]), answer, version, uid, mutating=mutating)

    def _hooks(self, storage: str) -> Iterable[Tree]:
        """All webhooks, by the names of their configurations."""
        records = self._core.store.table(storage).records
        for key in sorted(records):
            yield from records[key].decode().get("webhooks") or ()

    def _labels_of(self, namespace: str) -> Mapping[str, str]:
        record = self._core.store.table("namespaces").records.get(f"/{namespace}")
        return record.labels if record is not None else {}


def _in(obj: Tree, of: Resource, to: Resource) -> Tree:
    return converted(obj, of, to) or obj


def _internal(why: str) -> StatusError:
    return StatusError(
        500, "InternalError", f"Internal error occurred: {why}", details={"causes": [{"message": why}]}
    )
