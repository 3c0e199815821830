"""Which process an action hits. A role that was not well since its last start is hit a few times only.

A supervisor gives a role up that ends six times in a row right after its start, whoever ended it: an outsider's SIGKILL
looks like the kernel's when memory is short. A run that does that to a slow starter would prove nothing.
"""

from collections.abc import Callable
from typing import Protocol

from deltawire.cli.chaos.actions import Action
from deltawire.cli.supervisor.machine import QUICK_FAILURES_MAX, QUICK_S
from deltawire.common.clock import Clock

# So many hits in a row; less than makes the supervisor give up, since a stop may end a role, too.
HITS_MAX = QUICK_FAILURES_MAX - 2
# A role that was seen ready for so long is well: the supervisor begins to count anew.
WELL_S = QUICK_S + 1.0
# How long an action waits for a process of the kind that it is about, and for one that is well.
VICTIM_S = 20.0
WELL_MAX_S = 180.0
LOOK_S = 0.05
# Between two looks at who is ready.
READY_LOOK_S = 0.5


class Seen(Protocol):
    """What a pipeline shows of its processes."""

    def victims(self, kind: str) -> list[tuple[str, int]]:
        """(name, pid) of the processes of a kind of `schedule.VICTIMS`."""
        ...

    def ready(self) -> set[str]:
        """Names of the roles that are ready, as the pipeline itself says; empty where it does not answer."""
        ...


class Victims:
    """``meanwhile`` is called all the time while an action waits. ``complain`` gets (rule, text)."""

    def __init__(
        self,
        pipeline: Seen,
        clock: Clock,
        meanwhile: Callable[[], None],
        complain: Callable[[str, str], None],
    ) -> None:
        self._pipeline, self._clock, self._meanwhile, self._complain = pipeline, clock, meanwhile, complain
        self._hits: dict[str, int] = {}
        self._ready_since: dict[tuple[str, int], float] = {}

    def hit(self, name: str) -> None:
        """A role, or the command that it runs, is killed or stopped now."""
        self._hits[name] = self._hits.get(name, 0) + 1

    def forget(self) -> None:
        """Another supervisor counts from zero."""
        self._hits.clear()
        self._ready_since.clear()

    def one(self, action: Action) -> tuple[str, int]:
        """(name, pid) of one process of the kind ``action.target``, ("", 0) where there is none for a while."""
        found = self._wait(action.target)
        return found[action.pick % len(found)] if found else ("", 0)

    def all(self, kind: str) -> list[tuple[str, int]]:
        """All of the kind, when each of them may be hit."""
        return self._wait(kind, everyone=True)

    def wait_for(self, kind: str) -> None:
        """Until there is one of the kind, or for `VICTIM_S`."""
        deadline_s = self._clock.now_s() + VICTIM_S
        while not self._pipeline.victims(kind) and self._clock.now_s() < deadline_s:
            self._meanwhile()
            self._clock.sleep(LOOK_S)

    def _wait(self, kind: str, *, everyone: bool = False) -> list[tuple[str, int]]:
        """Those of the kind that may be hit; empty where there are none in time."""
        began_s = self._clock.now_s()
        looked_s = float("-inf")
        while True:
            self._meanwhile()
            found, now_s = self._pipeline.victims(kind), self._clock.now_s()
            spared = [victim for victim in found if self._hits.get(victim[0], 0) >= HITS_MAX]
            if len(spared) < len(found) and not (everyone and spared):
                return [victim for victim in found if victim not in spared]
            if now_s - began_s >= (WELL_MAX_S if spared else VICTIM_S):
                for name, _ in spared:
                    self._complain(
                        "unwell", f"{name} was left alone for {WELL_MAX_S:g} s and did not get ready"
                    )
                return []
            if spared and now_s - looked_s >= READY_LOOK_S:
                looked_s = now_s
                self._look(spared)
            self._clock.sleep(LOOK_S)

    def _look(self, spared: list[tuple[str, int]]) -> None:
        """Who of them has been ready long enough, in the same life, may be hit again."""
        ready, now_s = self._pipeline.ready(), self._clock.now_s()
        self._ready_since = {
            victim: self._ready_since.get(victim, now_s) for victim in spared if victim[0] in ready
        }
        for (name, _), since_s in self._ready_since.items():
            if now_s - since_s >= WELL_S:
                self._hits.pop(name, None)
