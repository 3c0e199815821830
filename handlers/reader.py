"""Reads caches by asking the workers, for a process that is no handler: a thread keeps the sessions.

Not here: what is asked (``queries``, ``following``).
"""

import logging
import os
import threading
from functools import partial
from itertools import count
from typing import Any

import zmq

from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError, ProtocolError, TransportError
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.loop import Loop
from deltawire.common.waker import Waker
from deltawire.common.wire.codec import Decoder
from deltawire.common.wire.follow import follow_link
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.link import Arrived, Link, LinkEvent, Lost, Opened, Refused
from deltawire.common.wire.messages import group as wire
from deltawire.common.wire.network import TCP, open_context
from deltawire.handlers.asking import ROLE
from deltawire.handlers.freshness import FreshnessBook
from deltawire.handlers.queries import Answer, Queries

log = logging.getLogger(__name__)

# How long the thread may take to end: it is never in a call.
END_S = 5.0
_DECODE: Decoder[wire.ToHandler] = Decoder(wire.ToHandler)
_numbers = count()


class Reader:
    """Sessions with all workers of a core. Safe to use from several threads; `close` ends it."""

    def __init__(self, plan: Plan, owner: str, *, clock: Clock) -> None:
        """``owner``: whose key is used, where there are keys. Raises ConfigError where there is none."""
        self._clock = clock
        silent_s = SILENT_INTERVALS_MAX * plan.heartbeat_s
        self.freshness = FreshnessBook(plan.shard_owners, silent_s=silent_s, clock=clock)
        # By worker: why it wants nothing of us.
        self._refusals: dict[int, str] = {}
        self._waker = Waker()
        self.queries = Queries(self._waker.wake, clock=clock)
        self._stop = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, owner)
        # A handler's key lets it read as a replica; this one gets no events.
        kind, _, group = owner.partition("/")
        is_handlers = kind == "handler" and bool(plan.keys_dir)
        role, stem = ("handler", group) if is_handlers else (ROLE, ROLE)
        hello = {"group": group, "informers": []} if is_handlers else {}
        # No two readers of a process bear one name: a worker would take one for the other, come back.
        identity = partial(new_identity, role, f"{stem}-{os.getpid()}-reads-{next(_numbers)}")
        self._links: dict[int, Link] = {}
        try:
            for number in range(plan.config.runtime.workers):
                endpoint = _endpoint(plan, number)
                self._links[number] = Link(
                    self._context, endpoint, identity(), lambda: dict(hello), clock=clock, silent_s=silent_s
                )
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self._heartbeat = Heartbeat(self._context, plan.heartbeat_s)
        self._loop = Loop(clock, self._heartbeat)
        self._loop.reads(self._waker.fileno(), self._waker.clear)
        for number, link in self._links.items():
            follow_link(self._loop, clock, link, partial(self._take, number))
            self._heartbeat.watch(link)
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._heartbeat.start()
        self._thread.start()

    def ask(self, worker: int, informer: str, shard: int, verb: str, *arguments: Any) -> Answer:
        """As `Queries.ask`; a TransportError says why the worker refused us, where it did."""
        try:
            return self.queries.ask(worker, informer, shard, verb, *arguments)
        except TransportError:
            refusal = self._refusals.get(worker)
            if refusal is None:
                raise
            raise TransportError(f"worker {worker} refuses: {refusal}") from None

    def close(self) -> None:
        self._stop.set()
        self._waker.wake()
        self._thread.join(END_S)
        self._heartbeat.stop()
        for link in self._links.values():
            link.close()
        self._waker.close()
        self._context.term()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._loop.run(self._stop, self._work, until=lambda: False)
        except Exception:
            log.exception("a bug ended the reader of caches")

    def _work(self) -> None:
        if not self.queries.are_waiting:
            return
        for question in self.queries.outgoing():
            link = self._links.get(question.worker)
            message = wire.Query(
                question.id, question.informer, question.shard, question.verb, list(question.arguments)
            )
            if link is None or not link.send(message):
                self.queries.again(question)

    def _take(self, worker: int, event: LinkEvent) -> None:
        match event:
            case Opened():
                self._refusals.pop(worker, None)
            case Refused(reason):
                self._refusals[worker] = reason
            case Lost(reason):
                log.info("worker %d: %s", worker, reason)
                self.queries.lost(worker)
                self.freshness.lost(worker)
            case Arrived(packed):
                self._arrived(worker, packed)

    def _arrived(self, worker: int, packed: Any) -> None:
        try:
            message = _DECODE(packed)
        except ProtocolError as error:
            log.warning("worker %d: %s: ignored", worker, error)
            return
        if isinstance(message, wire.InformerProofs):
            self.freshness.said(worker, message.rows)
        elif isinstance(message, wire.Rows | wire.Changes | wire.Problem):
            self.queries.answered(message)


def _endpoint(plan: Plan, worker: int) -> str:
    endpoint = plan.endpoint(f"worker-{worker}")
    if plan.endpoint("control").startswith(TCP) and not endpoint.startswith(TCP):
        raise ConfigError(
            f"worker-{worker} of the core is on no address that other hosts reach",
            path=f"network.endpoints.worker-{worker}",
            hint="name one in the core's config",
        )
    return endpoint
