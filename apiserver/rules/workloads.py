"""Rules of what makes pods: selectors fit templates, strategies add up, and what may change afterwards."""

from typing import Any

from deltawire.apiserver.rules.at import at, at_least, choice, selector
from deltawire.apiserver.rules.causes import (
    NOT_NEGATIVE,
    Causes,
    Rule,
    Tree,
    forbidden,
    invalid,
    look,
    required,
    unsupported,
)
from deltawire.apiserver.rules.cron import schedule_problem, zone_problem
from deltawire.apiserver.rules.forms import percent
from deltawire.apiserver.rules.pods import template

_UNFIT = "`selector` does not match template `labels`"
# The API server adds 11 characters to the name of a CronJob's jobs.
CRON_NAME_CHARS_MAX = 52
PARALLEL_INDEXED_MAX = 100_000
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
_SUSPENDED_CHANGEABLE = ("nodeSelector", "tolerations", "affinity", "schedulingGates")
_ENDING = ("OnFailure", "Never")


def not_negative(*paths: str) -> tuple[Rule, ...]:
    return tuple(at(path, at_least(0, NOT_NEGATIVE)) for path in paths)


def fits(chosen: Tree, marks: Tree) -> bool:
    """Whether a structured selector chooses these labels; an empty one chooses none here."""
    for name, value in (chosen.get("matchLabels") or {}).items():
        if marks.get(name) != value:
            return False
    for term in chosen.get("matchExpressions") or ():
        name, values = term.get("key"), term.get("values") or ()
        holds = {
            "In": marks.get(name) in values,
            "NotIn": marks.get(name) not in values,
            "Exists": name in marks,
            "DoesNotExist": name not in marks,
        }
        if not holds.get(term.get("operator"), False):
            return False
    return True


def selector_of(kind: str, *, is_needed: bool = True) -> Rule:
    """A selector that is not empty. ``kind`` is how the API server words it."""

    def rule(obj: Tree) -> Causes:
        chosen = look(obj, "spec.selector")
        if chosen is None:
            if is_needed:
                yield required("spec.selector")
            return
        yield from selector("spec.selector", chosen)
        if not chosen.get("matchLabels") and not chosen.get("matchExpressions"):
            yield invalid("spec.selector", chosen, f"empty selector is invalid for {kind}")

    return rule


def template_fits(obj: Tree) -> Causes:
    chosen, marks = look(obj, "spec.selector"), look(obj, "spec.template.metadata.labels")
    is_empty = not chosen or not (chosen.get("matchLabels") or chosen.get("matchExpressions"))
    if is_empty or not fits(chosen, marks or {}):
        yield invalid("spec.template.metadata.labels", marks, _UNFIT)


def lasting(kind: str, path: str = "spec.template") -> tuple[Rule, ...]:
    """The template makes pods that stay."""

    def no_deadline(obj: Tree) -> Causes:
        if look(obj, f"{path}.spec.activeDeadlineSeconds") is not None:
            told = f"activeDeadlineSeconds in {kind} is not Supported"
            yield forbidden(f"{path}.spec.activeDeadlineSeconds", told)

    return (template(path, "Always", is_spec_checked=kind != "StatefulSet"), no_deadline)


def share(field: str, value: Any) -> Causes:
    """A number, or a percentage."""
    if isinstance(value, str):
        for why in percent(value):
            yield invalid(field, value, why)
    elif value < 0:
        yield invalid(field, value, NOT_NEGATIVE)


def share_of_all(field: str, value: Any) -> Causes:
    yield from share(field, value)
    if isinstance(value, str) and value[:-1].isdecimal() and value.endswith("%") and int(value[:-1]) > 100:
        yield invalid(field, value, "must not be greater than 100%")


_ROLLING = "spec.strategy.rollingUpdate"


def strategy(obj: Tree) -> Causes:
    kind, rolling = look(obj, "spec.strategy.type"), look(obj, _ROLLING)
    if kind == "Recreate" and rolling is not None:
        yield forbidden(_ROLLING, "may not be specified when strategy `type` is 'Recreate'")
    elif kind not in ("Recreate", "RollingUpdate", None):
        yield unsupported("spec.strategy.type", kind, ("Recreate", "RollingUpdate"))
    if rolling and kind == "RollingUpdate":
        yield from share_of_all(f"{_ROLLING}.maxUnavailable", rolling.get("maxUnavailable") or 0)
        yield from share(f"{_ROLLING}.maxSurge", rolling.get("maxSurge") or 0)
        if all(rolling.get(name) in (0, "0%") for name in ("maxSurge", "maxUnavailable")):
            told = "may not be 0 when `maxSurge` is 0"
            yield invalid(f"{_ROLLING}.maxUnavailable", rolling["maxUnavailable"], told)


def progress(obj: Tree) -> Causes:
    deadline, least = look(obj, "spec.progressDeadlineSeconds"), look(obj, "spec.minReadySeconds") or 0
    if isinstance(deadline, int) and 0 <= deadline <= least:
        yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def daemon_strategy(obj: Tree) -> Causes:
    kind, where = look(obj, "spec.updateStrategy.type"), "spec.updateStrategy"
    if kind not in ("OnDelete", "RollingUpdate", None):
        yield unsupported(f"{where}.type", kind, ("RollingUpdate", "OnDelete"))
    rolling = look(obj, f"{where}.rollingUpdate")
    if kind != "RollingUpdate" or not rolling:
        return
    gone, more = rolling.get("maxUnavailable") or 0, rolling.get("maxSurge") or 0
    yield from share_of_all(f"{where}.rollingUpdate.maxUnavailable", gone)
    yield from share_of_all(f"{where}.rollingUpdate.maxSurge", more)
    has_gone, has_more = gone not in (0, "0%"), more not in (0, "0%")
    if has_gone and has_more:
        told = "may not be set when maxUnavailable is non-zero"
        yield invalid(f"{where}.rollingUpdate.maxSurge", more, told)
    elif not has_gone and not has_more:
        yield required(f"{where}.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0")


def stateful(obj: Tree) -> Causes:
    management = look(obj, "spec.podManagementPolicy")
    if management not in ("OrderedReady", "Parallel", None):
        yield invalid("spec.podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'")
    kind, rolling = look(obj, "spec.updateStrategy.type"), look(obj, "spec.updateStrategy.rollingUpdate")
    if kind == "OnDelete" and rolling is not None:
        told = "only allowed for updateStrategy 'RollingUpdate'"
        yield invalid("spec.updateStrategy.rollingUpdate", rolling, told)
    elif kind not in ("OnDelete", "RollingUpdate", None):
        yield invalid(
            "spec.updateStrategy", look(obj, "spec.updateStrategy"), "must be 'RollingUpdate' or 'OnDelete'"
        )


_KEPT = choice("Retain", "Delete")
STATEFUL: tuple[Rule, ...] = (
    stateful,
    *not_negative("spec.updateStrategy.rollingUpdate.partition"),
    at("spec.persistentVolumeClaimRetentionPolicy.whenDeleted", _KEPT),
    at("spec.persistentVolumeClaimRetentionPolicy.whenScaled", _KEPT),
    *not_negative("spec.replicas", "spec.minReadySeconds", "spec.ordinals.start"),
    selector_of("statefulset"),
    template_fits,
    *lasting("StatefulSet"),
    *not_negative("spec.revisionHistoryLimit"),
)


def job(path: str = "spec") -> tuple[Rule, ...]:
    """A job's spec at ``path``, also that of a CronJob."""

    def completion(obj: Tree) -> Causes:
        spec = look(obj, path) or {}
        if spec.get("completionMode") != "Indexed":
            if spec.get("backoffLimitPerIndex") is not None:
                yield required(f"{path}.backoffLimitPerIndex", "requires indexed completion mode")
            return
        if spec.get("completions") is None:
            yield required(f"{path}.completions", "when completion mode is Indexed")
        if (spec.get("parallelism") or 0) > PARALLEL_INDEXED_MAX:
            told = f"must be less than or equal to {PARALLEL_INDEXED_MAX} when completion mode is Indexed"
            yield invalid(f"{path}.parallelism", spec["parallelism"], told)

    def ending(obj: Tree) -> Causes:
        policy = look(obj, f"{path}.template.spec.restartPolicy")
        if policy not in _ENDING:
            yield required(f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
        elif look(obj, f"{path}.podFailurePolicy") is not None and policy != "Never":
            told = 'only "Never" is supported when podFailurePolicy is specified'
            yield invalid(f"{path}.template.spec.restartPolicy", policy, told)

    names = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
    return (
        *not_negative(*(f"{path}.{name}" for name in names)),
        at(f"{path}.completionMode", choice("NonIndexed", "Indexed")),
        completion,
        *not_negative(f"{path}.backoffLimitPerIndex", f"{path}.maxFailedIndexes"),
        at(f"{path}.podReplacementPolicy", choice("Failed", "TerminatingOrFailed")),
        template(f"{path}.template"),
        ending,
    )


def _schedule(obj: Tree) -> Causes:
    schedule, zone = look(obj, "spec.schedule") or "", look(obj, "spec.timeZone")
    if not schedule:
        yield required("spec.schedule")
    else:
        if "TZ" in schedule:
            told = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            yield invalid("spec.schedule", schedule, told)
        elif why := schedule_problem(schedule):
            yield invalid("spec.schedule", schedule, why)
    if zone is not None and (why := zone_problem(zone)):
        yield invalid("spec.timeZone", zone, why)
    name = obj["metadata"].get("name") or ""
    if len(name) > CRON_NAME_CHARS_MAX:
        told = f"must be no more than {CRON_NAME_CHARS_MAX} characters"
        yield invalid("metadata.name", name, told)


CRON: tuple[Rule, ...] = (
    _schedule,
    *not_negative("spec.startingDeadlineSeconds"),
    at("spec.concurrencyPolicy", choice("Allow", "Forbid", "Replace")),
    *job("spec.jobTemplate.spec"),
    *not_negative("spec.successfulJobsHistoryLimit", "spec.failedJobsHistoryLimit"),
)


def replication_controller(obj: Tree) -> Causes:
    chosen, marks = look(obj, "spec.selector") or {}, look(obj, "spec.template.metadata.labels") or {}
    if not chosen:
        yield required("spec.selector")
    if look(obj, "spec.template") is None:
        yield required("spec.template")
        return
    if any(marks.get(name) != value for name, value in chosen.items()):
        yield invalid("spec.template.metadata.labels", marks, _UNFIT)
    for rule in lasting("ReplicationController"):
        yield from rule(obj)


def revision_kept(old: Tree, new: Tree) -> Causes:
    if old.get("data") != new.get("data"):
        yield invalid("data", new.get("data"), "field is immutable")


def stateful_change(old: Tree, new: Tree) -> Causes:
    before, after = _without(old), _without(new)
    if before != after:
        yield forbidden("spec", _STATEFUL)


def job_template_stays(old: Tree, new: Tree) -> Causes:
    """What a job makes stays; while it is suspended and has never run, some of it may change."""
    before, after = look(old, "spec.template") or {}, look(new, "spec.template") or {}
    if look(old, "spec.suspend") and not look(old, "status.startTime"):
        before, after = _settled(before), _settled(after)
    if before != after:
        yield invalid("spec.template", after, "field is immutable")


def completions_stay(old: Tree, new: Tree) -> Causes:
    """The number of an indexed job may follow its parallelism."""
    before, after = look(old, "spec.completions"), look(new, "spec.completions")
    if before == after:
        return
    is_elastic = look(new, "spec.completionMode") == "Indexed" and after == look(new, "spec.parallelism")
    if not is_elastic:
        yield invalid("spec.completions", after, "field is immutable")


def _settled(template_: Tree) -> Tree:
    spec = {k: v for k, v in (template_.get("spec") or {}).items() if k not in _SUSPENDED_CHANGEABLE}
    about = {k: v for k, v in (template_.get("metadata") or {}).items() if k not in ("labels", "annotations")}
    return {**template_, "spec": spec, "metadata": about}


def _without(obj: Tree) -> Tree:
    spec = obj.get("spec") or {}
    return {name: value for name, value in spec.items() if name not in _STATEFUL_CHANGEABLE}


def counts(*names: str, of: str = "status.replicas", ready: str = "") -> Rule:
    """Numbers in a status: none below 0, no part more than all."""

    def rule(obj: Tree) -> Causes:
        whole = look(obj, of) or 0
        for name in (of.removeprefix("status."), *names):
            value = look(obj, f"status.{name}")
            if isinstance(value, int) and value < 0:
                yield invalid(f"status.{name}", value, NOT_NEGATIVE)
        for name in names:
            if (look(obj, f"status.{name}") or 0) > whole:
                told = f"cannot be greater than {of}"
                yield invalid(f"status.{name}", look(obj, f"status.{name}"), told)
        available = look(obj, "status.availableReplicas") or 0
        if ready and available > (look(obj, f"status.{ready}") or 0):
            yield invalid("status.availableReplicas", available, f"cannot be greater than {ready}")

    return rule
