"""Programs of containers that no exec request started: what a pod's command prints, and its end.

A container whose command is scripted, or is one that every container has, runs it and its output is the log. It ends
with it, unless the pod restarts always: then it goes on as if it still ran. Of a job, a container with any other
command ends well at once; of other pods it runs until the pod is deleted.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

from deltawire.apiserver.containers import builtins, programs
from deltawire.apiserver.containers.environment import environment_of
from deltawire.apiserver.containers.pipes import HungUp
from deltawire.apiserver.containers.programs import BadProgram, Process, Script
from deltawire.apiserver.containers.scripts import Scripts, Where
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.record import Record
from deltawire.common.errors import StatusError

Tree = dict[str, Any]
# Programs that run at a time; pods beyond them keep running without one.
RUNS_MAX = 1000
# Exit code of a script that failed in a way no program can.
_BROKEN = 255


class Start(NamedTuple):
    """One container to run: ``script`` None ends it well at once. ``ends`` it with its program."""

    container: str
    argv: tuple[str, ...]
    script: Script | None
    ends: bool


def starts(pod: Tree, scripts: Scripts) -> Iterator[Start]:
    """What is to be run of a pod whose containers have just started."""
    spec, metadata = pod.get("spec") or {}, pod["metadata"]
    ends = spec.get("restartPolicy") in ("Never", "OnFailure")
    references = metadata.get("ownerReferences") or ()
    is_of_job = any(r.get("kind") == "Job" and r.get("controller") for r in references)
    for container in spec.get("containers") or ():
        name = str(container.get("name", ""))
        argv = tuple(str(word) for part in ("command", "args") for word in container.get(part) or ())
        where = Where(metadata["namespace"], metadata["name"], name)
        # A shell without commands waits for somebody to attach.
        script = scripts.find_command(where, argv) if argv and not builtins.reads_commands(argv) else None
        if script is not None or is_of_job:
            yield Start(name, argv, script, ends)


class Runs:
    """The programs that run. For the server's event loop."""

    def __init__(self, core: ApiCore, scripts: Scripts) -> None:
        self._core = core
        self._scripts = scripts
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def look(self, old: Record | None, new: Record | None) -> None:
        """A pod has changed: start what has come to run, stop what is gone."""
        was, runs = _runs(old), _runs(new)
        if new is not None and runs and not was and len(self._tasks) < RUNS_MAX:
            for start in starts(new.decode(), self._scripts):
                key = (new.uid, start.container)
                if key not in self._tasks:
                    task = asyncio.get_running_loop().create_task(self._run(new, start))
                    self._tasks[key] = task
                    task.add_done_callback(lambda _, key=key: self._tasks.pop(key, None))  # type: ignore[misc]
        elif old is not None and was and not runs:
            for key, task in list(self._tasks.items()):
                if key[0] == old.uid:
                    task.cancel()

    @property
    def is_quiet(self) -> bool:
        return not self._tasks

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, pod: Record, start: Start) -> None:
        exit_code = 0
        if start.script is not None:

            async def show(channel: int, data: bytes) -> None:
                text = data.decode("utf-8", "replace")
                self._core.append_log(pod.name, pod.namespace, text, container=start.container)

            where = Where(pod.namespace, pod.name, start.container)
            process = Process(
                start.argv,
                show,
                environment=environment_of(pod.decode(), start.container),
                find=lambda argv: self._scripts.find_command(where, argv),
            )
            await process.stdin.close()
            try:
                exit_code = await programs.run(start.script, process)
            except (BadProgram, HungUp):
                exit_code = _BROKEN
            except StatusError:
                return  # the pod is gone, or the logs are full
        if not start.ends:
            return
        try:
            if self._core.get("pods", pod.name, pod.namespace).uid == pod.uid:
                self._core.end_container(pod.name, pod.namespace, exit_code, container=start.container)
        except StatusError:
            pass  # the pod is gone


def _runs(record: Record | None) -> bool:
    return record is not None and record.fields.get("status.phase") == "Running" and not record.is_terminating
