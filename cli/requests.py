"""Requests of a command to the running supervisor."""

from typing import Any

from deltawire.cli.caches import is_running
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError
from deltawire.common.wire.network import TCP
from deltawire.handlers.asking import Asking, NoAnswer, silence_hint
from deltawire.handlers.core import CorePlan


class NotRunning(NoAnswer):
    """No supervisor answers for this state folder. ``is_free``: the folder is not locked either."""

    is_free = False


class Supervision:
    """A connection to the supervisor. Use as a context manager. Raises NotRunning without an answer."""

    def __init__(self, plan: Plan, *, clock: Clock | None = None) -> None:
        # The state folder is not locked: there is no supervisor to wait for, unless it is on another host.
        is_held, is_far = is_running(plan.store_dir), plan.endpoint("control").startswith(TCP)
        if not (is_held or is_far):
            raise _not_running(plan, is_held=False, is_far=False)
        owner = plan.owner if isinstance(plan, CorePlan) else "cli"
        self._asking = Asking(plan, owner, clock=clock or SystemClock())
        try:
            is_open = self._asking.open()
        except BaseException:
            self.close()
            raise
        if not is_open:
            self.close()
            raise _not_running(plan, is_held=is_held, is_far=is_far)

    def ask(self, verb: str, arguments: dict[str, Any] | None = None) -> Any:
        """The answer's body. Raises DeltawireError with the supervisor's own words when it refuses."""
        try:
            return self._asking.ask(verb, arguments)
        except NoAnswer as error:
            raise NotRunning(str(error)) from None

    def close(self) -> None:
        self._asking.close()

    def __enter__(self) -> "Supervision":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _not_running(plan: Plan, *, is_held: bool, is_far: bool) -> NotRunning:
    if is_held and not isinstance(plan, CorePlan):
        error = NotRunning(f"who runs on the state folder {plan.store_dir} does not answer", hint="see its log")
    elif is_far:
        address = plan.endpoint("control").removeprefix(TCP)
        where = "" if isinstance(plan, CorePlan) else " (network.endpoints.control)"
        error = NotRunning(f"nobody answers at {address}{where}", hint=silence_hint(plan))
    else:
        error = NotRunning(
            f"no `deltawire up` runs on the state folder {plan.store_dir}",
            hint="start it, or name the config with -c",
        )
    error.is_free = not (is_held or is_far)
    return error


def from_workers(answer: Any) -> dict[str, Any]:
    """What each worker answered. Raises DeltawireError where one could not."""
    problems = answer["problems"]
    if problems:
        raise DeltawireError("; ".join(f"{worker}: {problem}" for worker, problem in problems.items()))
    answers: dict[str, Any] = answer["workers"]
    return answers
