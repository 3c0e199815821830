"""What a broker of a shared queue tells other hosts of it: looked at each beat by the broker, sent to who asks."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.store.host import host_of
from deltawire.fifo.shards import Informer
from deltawire.jetstream.brokers import BrokerState, QueueState, brokers_subject, encode
from deltawire.jetstream.connection import Connection
from deltawire.jetstream.states import bounded


class Told:
    """`look` in the broker's thread, all else in the connection's."""

    def __init__(
        self, connection: Connection, name: str, store_dir: Path | None, *, silent_s: float, clock: Clock
    ) -> None:
        """``store_dir``: of the workers here, by which their host is named; it may not be there yet."""
        self._connection = connection
        self._name = name
        self._store_dir = store_dir
        self._silent_s = silent_s
        self._clock = clock
        self._host = ""
        self._looked: tuple[float, BrokerState] | None = None

    def look(
        self, informers: Mapping[str, Informer], leading: list[str], stuck: Mapping[str, str]
    ) -> None:
        if not self._host and self._store_dir is not None and self._store_dir.is_dir():
            self._host = host_of(self._store_dir)
        queues = {
            name: QueueState(
                depth=[shard.queue.depth for shard in informer.shards],
                leads=name in leading,
                stuck=stuck.get(name, ""),
            )
            for name, informer in informers.items()
        }
        state = BrokerState(
            name=self._name, host=self._host, node=platform.node(), silent_s=self._silent_s, queues=queues
        )
        self._looked = self._clock.now_s(), bounded(state)

    def state(self) -> BrokerState | None:
        """As it was looked at last, with its age; None before the first look."""
        if self._looked is None:
            return None
        at_s, state = self._looked
        return msgspec.structs.replace(state, age_s=round(self._clock.now_s() - at_s, 3))

    async def serve(self) -> None:
        """The subscription outlives a loss of the connection."""
        await self._connection.connected()
        await self._connection.client.subscribe(brokers_subject(self._connection.settings), cb=self._tell)

    async def _tell(self, question: Any) -> None:
        state = self.state()
        if question.reply and state is not None:
            await self._connection.client.publish(question.reply, encode(state))
