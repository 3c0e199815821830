"""Functions that no event calls: at the start, at the end, each so many seconds.

Not here: what they are given (``context``), the events' functions (``calls``).
"""

import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deltawire.common.clock import Clock
from deltawire.common.errors import PluginError
from deltawire.handlers.async_loop import AsyncRunner, place_in_plugin
from deltawire.handlers.forks import end_if_forked, fork_depth
from deltawire.handlers.leaks import Meter
from deltawire.handlers.signatures import place_of

STARTUP, CLEANUP, TIMER = "on_startup", "on_cleanup", "timer"

# How long the event loop of async cleanups may take to end.
ASYNCS_GRACE_S = 1.0
# Bounds of how often a timer's call is looked at: a quarter of its deadline.
LOOK_S_MIN, LOOK_S_MAX = 0.25, 30.0


@dataclass(frozen=True, slots=True)
class Hook:
    """One function. ``every_s`` and ``deadline_s`` of a timer only; ``each_replica`` false: in replica 0 alone.

    ``deadline_s``: how long a call may take; 0 = for ever, None = as the handler's calls.
    """

    verb: str
    function: Callable[..., Any]
    takes_ctx: bool
    every_s: float
    each_replica: bool
    is_async: bool = False
    deadline_s: float | None = None

    @property
    def place(self) -> str:
        """``file.py:12``."""
        return place_of(self.function)


class HookFailed(PluginError):
    """A function of ``on_startup`` raised: the process cannot work. The supervisor starts another."""

    exit_code = 1


def hook_of(
    function: Any, verb: str, *, every_s: float, each_replica: bool, deadline_s: float | None = None
) -> Hook:
    """Raises PluginError for what cannot be called as ``f()`` or ``f(ctx)``."""
    name = getattr(function, "__name__", repr(function))
    if not callable(function):
        raise PluginError(
            f"{verb} decorates {function!r}, which is not a function", hint=f"write @….{verb}(…)"
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    wanted = [p for p in parameters if p.default is p.empty]
    required = [p for p in wanted if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(required) > 1 or any(p.kind is p.KEYWORD_ONLY for p in wanted):
        raise PluginError(
            f"{place_of(function)}: the {verb} function is {name}{inspect.signature(function)}; "
            f"expected {name}() or {name}(ctx)"
        )
    is_async = inspect.iscoroutinefunction(function)
    return Hook(verb, function, bool(required), every_s, each_replica, is_async, deadline_s)


class Hooks:
    """Runs the hooks of a handler in this process."""

    def __init__(
        self,
        hooks: Sequence[Hook],
        context: Callable[[bool], Any],
        asyncs: AsyncRunner,
        *,
        replica: int,
        clock: Clock,
        deadline_s: float = 0.0,
        meter: Meter | None = None,
    ) -> None:
        """``context`` makes what a function gets as ``ctx``: for async ones, or for others.

        ``deadline_s``: how long a timer's call may take that says nothing of its own; 0 = for ever.
        """
        self._hooks = [hook for hook in hooks if hook.each_replica or replica == 0]
        self._context = context
        self._asyncs = asyncs
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._deadline_s = deadline_s
        self._meter = meter
        # The timer's call under way, and since when.
        self._running: tuple[Hook, float] | None = None

    def start(self) -> None:
        """Call the functions of ``on_startup``, then begin with the timers. Raises HookFailed."""
        self.startup()
        if self._of(TIMER):
            self._thread = threading.Thread(target=self._turn, name="timers", daemon=True)
            self._thread.start()

    def startup(self) -> None:
        """Call the functions of ``on_startup``. Raises HookFailed."""
        for hook in self._of(STARTUP):
            try:
                self._call(hook)
            except Exception as error:
                raise HookFailed(
                    f"{hook.place}: on_startup raised {type(error).__name__}: {error}"
                ) from error

    def stop(self, grace_s: float) -> None:
        """End the timers, wait ``grace_s`` for one that runs, and call the functions of ``on_cleanup``."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(grace_s)
        hooks = self._of(CLEANUP)
        for hook in hooks:
            self._try(hook)
        if any(hook.is_async for hook in hooks):
            # Calls have ended before, and their loop with them: these have begun another.
            self._asyncs.close(ASYNCS_GRACE_S)

    def tick(self) -> None:
        """Call each timer's function once, now; what one raises is logged."""
        for hook in self._of(TIMER):
            self._try(hook)

    @property
    def look_s(self) -> float | None:
        """How often `overdue` is to be asked, in seconds; None: never, as no timer has a deadline."""
        deadlines = [d for d in map(self._deadline_of, self._of(TIMER)) if d]
        return min(LOOK_S_MAX, max(LOOK_S_MIN, min(deadlines) / 4)) if deadlines else None

    def overdue(self) -> str:
        """The timer's call that takes longer than its deadline, with the line that it is in; "" if none does."""
        running, thread = self._running, self._thread
        if running is None or thread is None:
            return ""
        hook, began_s = running
        deadline_s = self._deadline_of(hook)
        if not deadline_s or self._clock.now_s() - began_s < deadline_s:
            return ""
        frame = sys._current_frames().get(thread.ident or 0)
        name = getattr(hook.function, "__name__", "it")
        return (
            f"the timer {hook.place} takes longer than {deadline_s:g} s: it is at "
            f"{(not hook.is_async and place_in_plugin(frame)) or f'{hook.place} in {name}'} "
            f"(give what it waits for a time-out, or the timer a longer deadline_s)"
        )

    def _deadline_of(self, hook: Hook) -> float:
        return self._deadline_s if hook.deadline_s is None else hook.deadline_s

    def _of(self, verb: str) -> list[Hook]:
        return [hook for hook in self._hooks if hook.verb == verb]

    def _turn(self) -> None:
        now_s = self._clock.now_s()
        due = [(now_s, hook) for hook in self._of(TIMER)]
        forks = fork_depth()
        while not self._stop.is_set():
            due.sort(key=lambda entry: entry[0])
            at_s, hook = due[0]
            if self._clock.sleep(max(0.0, at_s - self._clock.now_s()), self._stop):
                return
            self._running = (hook, self._clock.now_s())
            self._try(hook)
            end_if_forked(forks, failed=False)
            self._running = None
            # From its end: a slow one does not pile up.
            due[0] = (self._clock.now_s() + hook.every_s, hook)

    def _try(self, hook: Hook) -> None:
        try:
            self._call(hook)
        # SystemExit too: it would end the thread of all timers, and nothing else.
        except (Exception, SystemExit):
            context = self._context(hook.is_async)
            context.log.exception("%s: %s failed", hook.place, hook.verb)

    def _call(self, hook: Hook) -> None:
        if self._meter is not None and self._meter.is_on:
            with self._meter.around(hook.function):
                self._make(hook)
        else:
            self._make(hook)

    def _make(self, hook: Hook) -> None:
        returned = hook.function(self._context(hook.is_async)) if hook.takes_ctx else hook.function()
        if isinstance(returned, Awaitable):
            self._asyncs.run(returned)
