"""A record of calls, and reactors that may answer before the server does: client-go's testing.Fake."""

import copy
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from deltawire.client.fakes.actions import Action
from deltawire.client.fakes.watch import FakeWatch
from deltawire.common.errors import ConfigError

# Calls kept; of more, the oldest go.
ACTIONS_MAX = 10_000

Reactor = Callable[[Action], Any]
WatchReactor = Callable[[Action], FakeWatch | None]
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class _Link(Generic[_R]):
    verb: str
    resource: str
    react: _R


class Fake:
    """Records what a client asks, and lets reactors answer.

    A reactor gets the action and returns the answer (a typed object, a dict, text; ``{}`` where nothing needs
    to be said), or None to leave it to the next one and at last to the server. It may change ``action.object``:
    what comes after it sees the change, what is recorded does not. What it raises, such as a StatusError, is
    what the caller gets, at once: no retries.

    Reactors run one at a time. They may use the client; reactors meet those calls, too. May be used from many
    threads.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._actions: deque[Action] = deque(maxlen=ACTIONS_MAX)
        self._reactors: list[_Link[Reactor]] = []
        self._watch_reactors: list[_Link[WatchReactor]] = []

    @property
    def actions(self) -> list[Action]:
        """The calls so far, oldest first, as they were made. At most `ACTIONS_MAX`."""
        with self._lock:
            return list(self._actions)

    def clear_actions(self) -> None:
        with self._lock:
            self._actions.clear()

    def add_reactor(self, verb: str, resource: str, reactor: Reactor) -> None:
        """Ask ``reactor`` after those there are. ``verb`` and ``resource`` as in `Action.matches`.

        Raises ConfigError for watches, which have reactors of their own.
        """
        with self._lock:
            self._reactors.append(_Link(_checked(verb), resource, reactor))

    def prepend_reactor(self, verb: str, resource: str, reactor: Reactor) -> None:
        """As `add_reactor`, but before those there are."""
        with self._lock:
            self._reactors.insert(0, _Link(_checked(verb), resource, reactor))

    def add_watch_reactor(self, resource: str, reactor: WatchReactor) -> None:
        """Ask ``reactor`` for the `FakeWatch` that a watch of ``resource`` gets, after those there are."""
        with self._lock:
            self._watch_reactors.append(_Link("watch", resource, reactor))

    def prepend_watch_reactor(self, resource: str, reactor: WatchReactor) -> None:
        """As `add_watch_reactor`, but before those there are."""
        with self._lock:
            self._watch_reactors.insert(0, _Link("watch", resource, reactor))

    def meet(self, action: Action) -> Any:
        """Record ``action`` and return the first answer of a reactor, None where none has one."""
        return self._meet(action, self._reactors)

    def meet_watch(self, action: Action) -> FakeWatch | None:
        """As `meet`, for a watch."""
        watch: FakeWatch | None = self._meet(action, self._watch_reactors)
        return watch

    def _meet(self, action: Action, links: Sequence[_Link[Any]]) -> Any:
        with self._lock:
            self._actions.append(copy.deepcopy(action))
            for link in tuple(links):
                if action.matches(link.verb, link.resource):
                    answer = link.react(action)
                    if answer is not None:
                        return answer
        return None


def _checked(verb: str) -> str:
    if verb == "watch":
        raise ConfigError("a reactor for watches is added with prepend_watch_reactor")
    return verb
