"""The shell around the shared queue: carries out what the pure parts want, on JetStream, and hands the answers in.

It lives in two threads. The broker's calls `do`, `attend` and `take`; the connection's does the rest. Between them is a
queue of answers, which is bounded by what was asked for: one message under way for each shard that is published, and
room for so much (`ROOM_BYTES`, `ROOM_MESSAGES`) of each one that is consumed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.waker import Waker
from deltawire.fifo.actions import Action
from deltawire.fifo.relay.broker import RelayBroker
from deltawire.fifo.relay.consumer import Consumer
from deltawire.fifo.relay.leads import Leads, NatsLeads
from deltawire.fifo.relay.places import Places
from deltawire.fifo.relay.publisher import Publisher
from deltawire.fifo.relay.servers import Counters, Servers
from deltawire.fifo.relay.told import Told
from deltawire.fifo.relay.wants import Consume, Demand, Done, Leave, Met, Prove, Publish, Report, Resign, Want
from deltawire.jetstream.connection import Connection
from deltawire.jetstream.settings import NatsSettings
from deltawire.jetstream.streams import WRONG_SEQUENCE

log = logging.getLogger(__name__)

# A host that has no reflectors learns from the queue which cluster it is of, so much later than the others.
HEAR_AFTER_S = 3.0


class JetStreamQueue:
    """``shards``: of each informer. ``label``: this broker's name among those of all hosts. ``host`` and ``place_of``:
    see `Places`; without, workers' places have leases of their own. ``leads``: what decides who leads, else NATS.
    ``store_dir``, ``silent_s``: see `Told`."""

    def __init__(
        self,
        settings: NatsSettings,
        informers: Iterable[str],
        shards: int,
        *,
        label: str,
        clock: Clock,
        host: str = "",
        place_of: Callable[[str, int], int] | None = None,
        leads: Callable[[Servers], Leads] | None = None,
        store_dir: Path | None = None,
        silent_s: float = 0.0,
    ) -> None:
        self._connection = Connection(settings, label=f"deltawire fifo {label}", clock=clock)
        self._informers = list(informers)
        self._shards = shards
        self._servers = Servers(self._connection, shards)
        by = leads(self._servers) if leads is not None else NatsLeads(self._servers, label, clock)
        self._publisher = Publisher(self._servers, self._informers, shards, by, clock)
        places = Places(self._servers, host, place_of, clock) if place_of is not None else None
        self._consumer = Consumer(self._servers, places)
        self._told = Told(self._connection, label, store_dir, silent_s=silent_s, clock=clock)

    @property
    def waker(self) -> Waker:
        """Rings when `take` has something to hand in."""
        return self._servers.waker

    # In the broker's thread.

    def start(self) -> None:
        self._connection.start()
        self._connection.submit(self._servers.guarded(self._begin, "queue"))
        self._connection.submit(self._servers.guarded(self._consumer.purge, "purge"))
        self._connection.submit(self._servers.guarded(self._told.serve, "brokers"))

    def close(self) -> None:
        self._connection.close()
        self.waker.close()

    def take(self, broker: RelayBroker) -> list[Action]:
        """All answers that are there, handed in; what the broker does about them."""
        self.waker.clear()
        actions: list[Action] = []
        answers = self._servers.answers
        for _ in range(len(answers)):
            actions += answers.popleft()(broker) or ()
        return actions

    def attend(self, broker: RelayBroker) -> None:
        """Call it twice a second: informers whose reflectors are all here are led from here, if nobody else does."""
        self._publisher.attend(broker)
        if broker.is_refused:
            self._consumer.give_back_places()

    def look(self, broker: RelayBroker) -> None:
        """Call it each beat: what other hosts are told of this broker."""
        self._told.look(broker.informers, self._publisher.leading, self.standstills())

    def do(self, want: Want) -> None:
        if isinstance(want, Publish):
            self._publisher.publish(want)
        elif isinstance(want, Consume):
            self._consumer.consume(want)
        elif isinstance(want, Leave):
            self._consumer.leave(want.informer, want.shard)
        elif isinstance(want, Resign):
            self._publisher.resign(want)
        elif isinstance(want, Done):
            self._consumer.done(want)
        elif isinstance(want, Report):
            self._consumer.report(want)
        elif isinstance(want, Demand):
            self._servers.counters.demands += 1
            self._connection.submit(self._demand(want))
        elif isinstance(want, Met):
            self._connection.submit(self._met(want))
        else:
            self._connection.submit(self._prove(want))

    def standstills(self) -> dict[str, str]:
        """By informer, why its queue stands still, as far as the servers are the cause."""
        found = {n: self._servers.standstill(n) or self._publisher.standstill(n) for n in self._informers}
        return {name: text for name, text in found.items() if text}

    def status(self) -> dict[str, Any]:
        """docs/status.md."""
        servers = self._servers
        stuck = self.standstills()
        problems = [self._connection.problem, *servers.problems.values(), *stuck.values()]
        return {
            "server": self._connection.server,
            "problem": "; ".join(dict.fromkeys(problem for problem in problems if problem)),
            "stuck": stuck,
            "reconnects": self._connection.reconnects,
            "leading": self._publisher.leading,
            "led_by": self._publisher.led_by,
            **{name: getattr(servers.counters, name) for name in Counters.__slots__},
        }

    # In the connection's.

    async def _begin(self) -> None:
        """Nothing behind the subscription fails: tried again, it would be another one."""
        await self._servers.check_payload()
        await self._connection.client.subscribe(
            self._servers.settings.subject("proof") + ".>", cb=self._proven
        )
        # A host's own reflectors come first: the queue may be another pipeline's.
        await asyncio.sleep(HEAR_AFTER_S)
        for name in self._informers:
            self._connection.submit(self._servers.guarded(partial(self._hear, name), name))

    async def _hear(self, name: str) -> None:
        """What an informer's queue has tells which cluster it is of."""
        await self._servers.make(name)
        tails = [await self._servers.tail(name, shard) for shard in range(self._shards)]
        messages = [tail[0] for tail in tails if tail]
        self._servers.answer(lambda b: b.heard_tails(name, messages))

    async def _demand(self, want: Demand) -> None:
        await self._servers.put(
            self._servers.key("demand", want.informer, want.shard), msgspec.msgpack.encode(want)
        )
        self._servers.answer(lambda b: b.asked(want.informer, want.shard, want.token))

    async def _met(self, want: Met) -> None:
        from nats.js.errors import APIError

        async def delete() -> None:
            try:
                bucket = await self._servers.state()
                await bucket.delete(
                    self._servers.key("demand", want.informer, want.shard), last=want.revision
                )
            except APIError as error:
                # A newer demand has taken its place.
                if error.err_code not in WRONG_SEQUENCE:
                    raise

        await self._servers.guarded(delete, f"{want.informer}#{want.shard}")

    async def _prove(self, want: Prove) -> None:
        """Lost where nobody is connected: the next one comes with the next beat."""
        try:
            await self._connection.client.publish(self._servers.proofs(want.informer), want.payload)
        except Exception as error:
            log.debug("a proof was not sent: %s", error)

    async def _proven(self, message: Any) -> None:
        payload = message.data
        for name in self._informers:
            if message.subject == self._servers.proofs(name):
                self._servers.answer(lambda b, n=name: b.proven(n, payload))  # type: ignore[misc]
