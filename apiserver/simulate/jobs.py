"""Jobs run their pods to the end. Whether a pod succeeds is what its programs say (`runs`)."""

from typing import Any

from deltawire.apiserver.simulate import workloads
from deltawire.apiserver.simulate.desk import PODS, Desk, reference_to
from deltawire.apiserver.simulate.instants import seconds_of
from deltawire.apiserver.simulate.pod_status import has_ended, is_ready

Tree = dict[str, Any]
JOBS = "jobs.batch"
INDEX = "batch.kubernetes.io/job-completion-index"
_BACKOFF_LIMIT_DEFAULT = 6


def act(desk: Desk, job: Tree) -> None:
    """At most one pod made, and the status."""
    spec, status = job["spec"], job.get("status") or {}
    if not isinstance(spec.get("template"), dict):
        return
    ended_s = _ended_s(status)
    if ended_s is not None:
        _expire(desk, job, ended_s)
        return
    pods = desk.owned(PODS, job, leaving=True)
    active = [p for p in pods if not has_ended(p) and "deletionTimestamp" not in p["metadata"]]
    succeeded = [p for p in pods if (p.get("status") or {}).get("phase") == "Succeeded"]
    failed = [p for p in pods if (p.get("status") or {}).get("phase") == "Failed"]
    outcome = _outcome(desk, job, succeeded, failed)
    if outcome is not None or spec.get("suspend"):
        for pod in active:
            desk.delete(PODS, pod)
        active = []
    elif _lacks(job, active, succeeded):
        active.append(_make(desk, job, active + succeeded))
    made: Tree = {} if spec.get("suspend") else {"startTime": status.get("startTime") or desk.time}
    made |= {
        name: count
        for name, count in (("active", len(active)), ("succeeded", len(succeeded)), ("failed", len(failed)))
        if count
    }
    if spec.get("completionMode") == "Indexed" and succeeded:
        made["completedIndexes"] = ",".join(map(str, sorted({_index(p) for p in succeeded})))
    made["uncountedTerminatedPods"] = {}
    made |= {"terminating": sum("deletionTimestamp" in p["metadata"] for p in pods)}
    made["ready"] = sum(map(is_ready, active))
    if outcome is not None:
        made["conditions"] = outcome
        if outcome[-1]["type"] == "Complete":
            made["completionTime"] = desk.time
    elif spec.get("suspend") or status.get("conditions"):
        made["conditions"] = [_suspension(job, desk.time)]
    desk.set_status(JOBS, job, made)


def _lacks(job: Tree, active: list[Tree], succeeded: list[Tree]) -> bool:
    spec = job["spec"]
    if len(active) >= spec.get("parallelism", 1):
        return False
    completions = spec.get("completions")
    # Without completions the first success is the end of new pods.
    return not succeeded if completions is None else len(active) + len(succeeded) < completions


def _make(desk: Desk, job: Tree, others: list[Tree]) -> Tree:
    metadata, own = job["metadata"], reference_to(job, "batch/v1", "Job")
    if job["spec"].get("completionMode") != "Indexed":
        return desk.create_with_suffix(
            PODS,
            lambda suffix: workloads.pod(job, own, f"{metadata['name']}-{suffix}"),
            metadata["namespace"],
        )
    taken = {_index(pod) for pod in others}
    index = next(number for number in range(len(taken) + 1) if number not in taken)

    def indexed(suffix: str) -> Tree:
        name = f"{metadata['name']}-{index}-{suffix}"
        pod = workloads.pod(job, own, name, labels={INDEX: str(index)})
        about = {**pod["metadata"]}
        about["annotations"] = {**(about.get("annotations") or {}), INDEX: str(index)}
        spec = {**pod["spec"], "hostname": f"{metadata['name']}-{index}"}
        variable = {
            "name": "JOB_COMPLETION_INDEX",
            "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}},
        }
        spec["containers"] = [
            {**container, "env": [*(container.get("env") or ()), variable]}
            for container in spec.get("containers") or ()
        ]
        return {"metadata": about, "spec": spec}

    return desk.create_with_suffix(PODS, indexed, metadata["namespace"])


def _outcome(desk: Desk, job: Tree, succeeded: list[Tree], failed: list[Tree]) -> list[Tree] | None:
    """The conditions of a job that is over; None for one that goes on."""
    spec, now = job["spec"], desk.time
    completions = spec.get("completions")
    enough = len(succeeded) >= (1 if completions is None else completions)
    if enough:
        why = ("CompletionsReached", "Reached expected number of succeeded pods")
        return [_condition("SuccessCriteriaMet", *why, now), _condition("Complete", *why, now)]
    if len(failed) > spec.get("backoffLimit", _BACKOFF_LIMIT_DEFAULT):
        why = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        return [_condition("FailureTarget", *why, now), _condition("Failed", *why, now)]
    deadline_s, started = spec.get("activeDeadlineSeconds"), (job.get("status") or {}).get("startTime")
    if deadline_s is not None and started and not spec.get("suspend"):
        ends_s = seconds_of(started) + deadline_s
        if desk.now() >= ends_s:
            why = ("DeadlineExceeded", "Job was active longer than specified deadline")
            return [_condition("FailureTarget", *why, now), _condition("Failed", *why, now)]
        desk.look_again(ends_s, JOBS, job)
    return None


def _suspension(job: Tree, now: str) -> Tree:
    is_suspended = bool(job["spec"].get("suspend"))
    for known in (job.get("status") or {}).get("conditions") or ():
        if known.get("type") == "Suspended" and (known.get("status") == "True") == is_suspended:
            return dict(known)
    if is_suspended:
        return _condition("Suspended", "JobSuspended", "Job suspended", now)
    return {**_condition("Suspended", "JobResumed", "Job resumed", now), "status": "False"}


def _ended_s(status: Tree) -> float | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return seconds_of(condition.get("lastTransitionTime", ""))
    return None


def _expire(desk: Desk, job: Tree, ended_s: float) -> None:
    """A job that says for how long it is of interest goes after that."""
    lifetime_s = job["spec"].get("ttlSecondsAfterFinished")
    if lifetime_s is None:
        return
    if desk.now() >= ended_s + lifetime_s:
        desk.delete(JOBS, job)
    else:
        desk.look_again(ended_s + lifetime_s, JOBS, job)


def _condition(kind: str, reason: str, message: str, now: str) -> Tree:
    return {
        "type": kind,
        "status": "True",
        "lastProbeTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def _index(pod: Tree) -> int:
    text = str((pod["metadata"].get("annotations") or {}).get(INDEX, ""))
    return int(text) if text.isdecimal() else -1
