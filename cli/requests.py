"""Requests of a command to the running supervisor."""

import os
from typing import Any

import zmq

from deltawire.cli.caches import is_running
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError
from deltawire.common.wire.codec import take
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.link import Arrived, Link, Opened
from deltawire.common.wire.messages.control import Answer, Ask
from deltawire.common.wire.network import TCP, open_context

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 10.0


class NotRunning(DeltawireError):
    """No supervisor answers for this state folder. ``is_free``: the folder is not locked either."""

    is_free = False


class Supervision:
    """A connection to the supervisor. Use as a context manager. Raises NotRunning without an answer."""

    def __init__(self, plan: Plan, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, "cli")
        self._asked = 0
        self._link = Link(
            self._context,
            plan.endpoint("control"),
            new_identity("cli", f"cli-{os.getpid()}"),
            dict,
            clock=self._clock,
            silent_s=ANSWER_TIMEOUT_S,
        )
        # The state folder is not locked: there is no supervisor to wait for, unless it is on another host.
        is_held, is_far = is_running(plan.store_dir), plan.endpoint("control").startswith(TCP)
        if not (is_held or is_far) or not self._wait(Opened, CONNECT_TIMEOUT_S):
            self.close()
            raise _not_running(plan, is_held=is_held, is_far=is_far)

    def ask(self, verb: str, arguments: dict[str, Any] | None = None) -> Any:
        """The answer's body. Raises DeltawireError with the supervisor's own words when it refuses."""
        self._asked += 1
        if not self._link.send(Ask(self._asked, verb, arguments or {})):
            raise NotRunning("the supervisor has just gone")
        deadline_s = self._clock.now_s() + ANSWER_TIMEOUT_S
        while (left_s := deadline_s - self._clock.now_s()) > 0:
            event = self._wait(Arrived, left_s)
            if isinstance(event, Arrived):
                answer = take(event.message, Answer)
                if answer.id == self._asked:
                    if not answer.ok:
                        raise DeltawireError(str(answer.body))
                    return answer.body
            if not self._link.is_open:
                raise NotRunning("the supervisor has just gone")
        raise DeltawireError(f"the supervisor did not answer within {ANSWER_TIMEOUT_S:g} s")

    def close(self) -> None:
        self._link.close()
        self._context.term()

    def __enter__(self) -> "Supervision":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, kind: type[Opened] | type[Arrived], timeout_s: float) -> Opened | Arrived | None:
        deadline_s = self._clock.now_s() + timeout_s
        while True:
            for event in [*self._link.tick(), *self._link.receive(frames_max=1)]:
                if isinstance(event, kind):
                    return event
            left_s = deadline_s - self._clock.now_s()
            if left_s <= 0:
                return None
            self._link.socket.poll(int(min(left_s, 0.1) * 1000))


def _not_running(plan: Plan, *, is_held: bool, is_far: bool) -> NotRunning:
    if is_held:
        error = NotRunning(f"who runs on the state folder {plan.store_dir} does not answer", hint="see its log")
    elif is_far:
        address = plan.endpoint("control").removeprefix(TCP)
        hint = "start it, or see what its log says of the key" if plan.keys_dir else "start it"
        error = NotRunning(f"nobody answers at {address} (network.endpoints.control)", hint=hint)
    else:
        error = NotRunning(
            f"no `deltawire up` runs on the state folder {plan.store_dir}",
            hint="start it, or name the config with -c",
        )
    error.is_free = not is_held
    return error


def from_workers(answer: Any) -> dict[str, Any]:
    """What each worker answered. Raises DeltawireError where one could not."""
    problems = answer["problems"]
    if problems:
        raise DeltawireError("; ".join(f"{worker}: {problem}" for worker, problem in problems.items()))
    answers: dict[str, Any] = answer["workers"]
    return answers
