"""CronJobs make a Job whenever their schedule is due."""

from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from deltawire.apiserver.core.metadata import timestamp
from deltawire.apiserver.simulate.desk import Desk, reference_to
from deltawire.apiserver.simulate.instants import Schedule, parse_schedule, seconds_of

Tree = dict[str, Any]
CRON_JOBS, JOBS = "cronjobs.batch", "jobs.batch"
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
# Times that were missed are looked through one by one; with more of them only the last ones are.
MISSED_MAX = 100


def act(desk: Desk, cron_job: Tree) -> None:
    """The job that is due, what is too old, and the status."""
    spec, status, metadata = cron_job["spec"], cron_job.get("status") or {}, cron_job["metadata"]
    jobs = desk.owned(JOBS, cron_job)
    made = {key: value for key, value in status.items() if key == "lastScheduleTime"}
    try:
        schedule, zone = parse_schedule(str(spec.get("schedule", ""))), _zone(spec)
    except (ValueError, KeyError, OSError):
        return  # a schedule that cannot be read is never due
    if not spec.get("suspend"):
        since_s = seconds_of(status.get("lastScheduleTime") or metadata["creationTimestamp"])
        due_s = _last_due(schedule, zone, since_s, desk.now())
        if due_s is not None and _may_start(desk, spec, jobs, due_s):
            jobs.append(_start(desk, cron_job, due_s))
            made["lastScheduleTime"] = timestamp(due_s)
        next_s = schedule.after(desk.now(), zone)
        if next_s is not None:
            desk.look_again(next_s, CRON_JOBS, cron_job)
    _forget(desk, spec, jobs)
    running = [job for job in jobs if not _end_of(job)]
    if running:
        made["active"] = [_reference(job) for job in running]
    done = [seconds_of(at) for job in jobs if (at := (job.get("status") or {}).get("completionTime"))]
    last_s = max([*done, seconds_of(status.get("lastSuccessfulTime", ""))])
    if last_s:
        made["lastSuccessfulTime"] = timestamp(last_s)
    desk.set_status(CRON_JOBS, cron_job, made)


def _zone(spec: Tree) -> tzinfo:
    return ZoneInfo(spec["timeZone"]) if spec.get("timeZone") else UTC


def _last_due(schedule: Schedule, zone: tzinfo, since_s: float, now_s: float) -> float | None:
    """The latest time after ``since_s`` at which the schedule was due by now."""
    last = None
    for _ in range(MISSED_MAX):
        due_s = schedule.after(since_s, zone)
        if due_s is None or due_s > now_s:
            break
        last = since_s = due_s
    return last


def _may_start(desk: Desk, spec: Tree, jobs: list[Tree], due_s: float) -> bool:
    deadline_s = spec.get("startingDeadlineSeconds")
    if deadline_s is not None and desk.now() > due_s + deadline_s:
        return False
    running = [job for job in jobs if not _end_of(job)]
    if running and spec.get("concurrencyPolicy") == "Forbid":
        return False
    if spec.get("concurrencyPolicy") == "Replace":
        for job in running:
            desk.delete(JOBS, job)
            jobs.remove(job)
    return True


def _start(desk: Desk, cron_job: Tree, due_s: float) -> Tree:
    metadata, template = cron_job["metadata"], cron_job["spec"].get("jobTemplate") or {}
    about = template.get("metadata") or {}
    name, namespace = f"{metadata['name']}-{int(due_s) // 60}", metadata["namespace"]
    found = desk.find(JOBS, namespace, name)
    if found is not None:
        return found
    body = {
        "metadata": {
            "name": name,
            "labels": about.get("labels") or {},
            "annotations": {**(about.get("annotations") or {}), SCHEDULED: timestamp(due_s)},
            "ownerReferences": [reference_to(cron_job, "batch/v1", "CronJob")],
        },
        "spec": template.get("spec") or {},
    }
    return desk.create(JOBS, body, namespace)


def _forget(desk: Desk, spec: Tree, jobs: list[Tree]) -> None:
    """Drop the oldest jobs beyond the history that is wanted of each outcome."""
    for end, kept in (
        ("Complete", spec.get("successfulJobsHistoryLimit", 3)),
        ("Failed", spec.get("failedJobsHistoryLimit", 1)),
    ):
        ended = [job for job in jobs if _end_of(job) == end]
        ended.sort(key=lambda job: str((job.get("status") or {}).get("startTime", "")))
        for job in ended[: max(len(ended) - kept, 0)]:
            desk.delete(JOBS, job)
            jobs.remove(job)


def _end_of(job: Tree) -> str:
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return str(condition["type"])
    return ""


def _reference(job: Tree) -> Tree:
    metadata = job["metadata"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }
