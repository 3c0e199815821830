"""The events of one informer for this process: it is a replica of a group of the pipeline (docs/wire.md §7)."""

import logging
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import msgspec
import zmq

from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.control import Control
from deltawire.common.limits import MIB, SILENT_INTERVALS_MAX
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.messages.group import Opened
from deltawire.common.wire.network import open_context
from deltawire.handlers.dispatch import Call, Dispatch, Outcome, Route
from deltawire.handlers.events import Delivery
from deltawire.handlers.executor import Results
from deltawire.handlers.freshness import FreshnessBook
from deltawire.handlers.pool import Pool
from deltawire.handlers.queries import Queries
from deltawire.handlers.resting import RestingHeartbeat
from deltawire.handlers.runner import Runner
from deltawire.handlers.settings import ATTEMPTS_MAX, WORKERS, Settings
from deltawire.handlers.worker_link import WorkerLink

log = logging.getLogger(__name__)

WINDOW, WINDOW_BYTES = 256, 16 * MIB
# Calls under way may take so long to end after a stop.
DRAIN_S = 5.0
_numbers = count()


class Deliveries:
    """What the pool's threads run: each event is handed to ``deliver``, which says what became of it."""

    def __init__(self, deliver: Callable[[Delivery], Outcome]) -> None:
        self._deliver = deliver

    def run(self, call: Call) -> Outcome:
        outcome = Outcome(call.tickets[0].outcome.verdict)
        for ticket in call.tickets:
            outcome = self._deliver(ticket.delivery)
        return outcome

    def close(self) -> None:
        """Nothing is held."""


class Events:
    """A replica of group ``name`` for one informer, in a thread. ``resync_s`` as a handler's."""

    def __init__(
        self,
        plan: Plan,
        owner: str,
        name: str,
        informer: str,
        deliver: Callable[[Delivery], Outcome],
        *,
        opened: Callable[[Opened], None],
        resync_s: float,
        clock: Clock,
    ) -> None:
        # It reports to no supervisor, and is of no run of one.
        runtime = msgspec.structs.replace(plan.config.runtime, control=False, health=None)
        plan = Plan(msgspec.structs.replace(plan.config, runtime=runtime))
        settings = Settings(
            name=name, delivery="latest", workers=WORKERS, resync_s=resync_s, deadline_s=0.0,
            attempts_max=ATTEMPTS_MAX, window=WINDOW, window_bytes=WINDOW_BYTES,
        )  # fmt: skip
        results = Results()
        dispatch = Dispatch({informer: Route(frozenset("AUDS"))}, attempts_max=0)
        self._context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, owner)
        identity = new_identity("handler", f"{name}-{socket.gethostname()}-{os.getpid()}-{next(_numbers)}")
        heartbeat = RestingHeartbeat(self._context, plan.heartbeat_s, clock=clock)
        silent_s = SILENT_INTERVALS_MAX * plan.heartbeat_s
        link: Callable[..., Any] = partial(
            WorkerLink, self._context, identity=identity, settings=settings, informers=[informer],
            held=dispatch.held, clock=clock, silent_s=silent_s,
        )  # fmt: skip
        self._runner = Runner(
            settings,
            0,
            dispatch,
            Pool(Deliveries(deliver), settings.workers, results, clock=clock),
            [link(number, plan.endpoint(f"worker-{number}")) for number in range(plan.config.runtime.workers)],
            Queries(results.wake, clock=clock),
            Control(self._context, plan, identity, heartbeat, clock=clock),
            heartbeat,
            opened=opened,
            freshness=FreshnessBook(plan.shard_owners, silent_s=silent_s, clock=clock),
            clock=clock,
            drain_deadline_s=DRAIN_S,
        )
        self._results = results
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"events of {informer}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Without waiting: what has not begun goes back to the group."""
        self._stop.set()
        self._results.wake()

    def join(self, timeout_s: float | None = None) -> bool:
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._runner.run(self._stop)
        except Exception:
            log.exception("a bug ended the events of an attached informer")
        finally:
            self._context.term()
