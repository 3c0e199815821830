"""What a worker that waits for its place shows: a line to the supervisor, and its health file."""

import threading
from collections.abc import Callable
from typing import Any

import zmq

from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.control import Control
from deltawire.common.loop import Loop
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import Identity
from deltawire.common.wire.network import open_context


class Standby:
    """``standby``: who has the place, and what stands in the way (docs/status.md)."""

    def __init__(
        self, plan: Plan, owner: str, identity: Identity, standby: Callable[[], dict[str, Any]], *, clock: Clock
    ) -> None:
        self._standby = standby
        plan.runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, owner)
        self._heartbeat = Heartbeat(self._context, plan.heartbeat_s)
        self._loop = Loop(clock, self._heartbeat)
        self._control = Control(self._context, plan, identity, self._heartbeat, clock=clock)

    def run(self, stop: threading.Event, until: Callable[[], bool]) -> bool:
        """Until ``until`` says so; False if it is to end before: by ``stop``, or by the supervisor."""
        try:
            self._heartbeat.start()
            self._control.join(self._loop, self._status)
            self._loop.run(stop, until=lambda: until() or self._control.wants_drain)
            return not (stop.is_set() or self._control.wants_drain)
        finally:
            self._heartbeat.stop()
            self._control.close()
            self._context.destroy(linger=0)

    def _status(self) -> dict[str, Any]:
        return {"standby": self._standby()}
