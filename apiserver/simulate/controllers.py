"""Controllers for users' objects. Each pass looks at what has changed and brings it one step further.

What each kind is brought to is in a module of its own, by table (`acts.ACTS`); here is when each object is looked
at. What the simulated cluster made (`cluster`) moves by itself and is left alone, but for pods that are deleted.
"""

import heapq
import logging
from collections.abc import Callable

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.window import Event, EventWindow
from deltawire.apiserver.simulate import acts
from deltawire.apiserver.simulate.acts import NAMESPACED_BY_PODS, TABLES
from deltawire.apiserver.simulate.cluster import MINE
from deltawire.apiserver.simulate.desk import PODS, Desk
from deltawire.common.errors import StatusError

_log = logging.getLogger(__name__)

# Conflicts with changes by users, and objects of theirs that no controller can use. Other errors are faults here.
_PASSED_OVER = (400, 403, 404, 409, 422, 429)
NODES = "nodes"


class Controllers:
    """For one thread. ``now`` gives Unix seconds; ``wake`` is called when there is something to do.

    ``root_ca`` gives the certificate (PEM) that pods trust; ``pod_delay_s`` is what they take to start, and to stop.
    """

    def __init__(
        self,
        core: ApiCore,
        *,
        seed: int,
        now: Callable[[], float],
        wake: Callable[[], None],
        root_ca: Callable[[], str] = str,
        pod_delay_s: float = 0.0,
    ) -> None:
        self._core = core
        self._wake = wake
        self._desk = Desk(core, seed=seed, now=now, again=self._look_again)
        self._acts = acts.made(root_ca, pod_delay_s)
        self._windows: dict[str, EventWindow] = {}
        self._seen: dict[str, int] = {}
        self._due: dict[tuple[str, str], None] = {}
        self._timers: list[tuple[float, str, str]] = []
        self._timed: dict[tuple[str, str], float] = {}

    def step(self) -> bool:
        """Bring one object further; False when nothing is due."""
        self._look()
        self._ring()
        if not self._due:
            return False
        storage, key = next(iter(self._due))
        del self._due[storage, key]
        record = self._core.store.table(storage).records.get(key)
        if record is None or (record.is_terminating and storage != PODS):
            return True
        if storage != PODS and MINE.matches(record.labels):
            return True
        try:
            self._acts.of[storage](self._desk, record.decode())
        except StatusError as error:
            if error.code not in _PASSED_OVER:
                raise
        except (AttributeError, KeyError, TypeError, ValueError):
            # Objects that were made past HTTP may be of any shape: one of them must not stop the others.
            _log.exception("no controller can act on %s %s", storage, key)
        return True

    @property
    def next_s(self) -> float | None:
        """When (Unix seconds) something is due by the clock alone; None where nothing will be."""
        return self._timers[0][0] if self._timers else None

    def close(self) -> None:
        for window in self._windows.values():
            window.unsubscribe(self._wake)

    def _look_again(self, at_s: float, storage: str, key: str) -> None:
        known = self._timed.get((storage, key))
        if known is None or at_s < known:
            self._timed[storage, key] = at_s
            heapq.heappush(self._timers, (at_s, storage, key))

    def _ring(self) -> None:
        now_s = self._desk.now()
        while self._timers and self._timers[0][0] <= now_s:
            at_s, storage, key = heapq.heappop(self._timers)
            if self._timed.get((storage, key)) == at_s:
                del self._timed[storage, key]
                self._due[storage, key] = None

    def _look(self) -> None:
        """Note what has changed since the last look; everything where that is not known."""
        for storage in TABLES:
            table = self._core.store.table(storage)
            window = table.window
            if self._windows.get(storage) is not window or self._seen[storage] < window.tail:
                if storage in self._windows:
                    self._windows[storage].unsubscribe(self._wake)
                window.subscribe(self._wake)
                self._windows[storage] = window
                for record in table.records.values():
                    self._note(storage, record)
            else:
                for sequence in range(self._seen[storage], window.head):
                    self._note_event(storage, window.at(sequence))
            self._seen[storage] = window.head

    def _note_event(self, storage: str, event: Event) -> None:
        self._note(storage, event.record)
        if event.new is None and storage == PODS:
            self._acts.kubelets.forget(event.record.uid)
        if event.new is None and storage in (PODS, NODES):
            # Room has come free, or pods are on a node that is gone.
            for key in self._acts.kubelets.unplaced:
                self._due[PODS, key] = None

    def _note(self, storage: str, record: Record) -> None:
        if storage == NODES:
            self._note_node(record)
        if storage == PODS:
            self._note_followers(record)
        elif MINE.matches(record.labels):
            return
        if storage in self._acts.of:
            self._due[storage, record.key] = None
        if record.owners:
            for reference in record.decode()["metadata"].get("ownerReferences") or ():
                of = acts.OWNERS.get(str(reference.get("kind"))) if reference.get("controller") else None
                if of is not None:
                    self._due[of, f"{record.namespace}/{reference['name']}"] = None

    def _note_followers(self, pod: Record) -> None:
        """Services and budgets that choose this pod."""
        for storage, selector_of in NAMESPACED_BY_PODS.items():
            for record in self._desk.records(storage, pod.namespace):
                selector = selector_of(record)
                if selector and self._desk.selector(selector).matches(pod.labels):
                    self._due[storage, record.key] = None

    def _note_node(self, node: Record) -> None:
        for key in self._acts.kubelets.unplaced:
            self._due[PODS, key] = None
        for record in self._core.store.table(acts.DAEMON_SETS).records.values():
            self._due[acts.DAEMON_SETS, record.key] = None
        for record in self._core.store.table(PODS).records.values():
            if record.fields.get("spec.nodeName") == node.name:
                self._due[PODS, record.key] = None
