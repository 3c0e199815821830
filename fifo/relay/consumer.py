"""The consuming side of the shell: a pull consumer for each shard that a worker here owns."""

import asyncio
import logging
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from deltawire.fifo.relay.places import Places
from deltawire.fifo.relay.servers import RETRY_S_MIN, Servers
from deltawire.fifo.relay.wants import Consume, Done, Report
from deltawire.jetstream.connection import NatsError, words_of

log = logging.getLogger(__name__)

# What is delivered and not stored by the worker, of one shard.
ROOM_BYTES = 8 * 1024**2
ROOM_MESSAGES = 256
# A pull that brings nothing is asked again, after a look at whether its consumer is still there.
FETCH_S = 5.0
CONSUMER_GONE_S = 60.0
# Messages that are stored are thrown away so often.
PURGE_S = 1.0


@dataclass(slots=True)
class _Consumed:
    """``done``: all before this sequence is stored; ``purged``: all before is thrown away. ``made``: when its stream
    was, since sequences of another one of that name mean nothing."""

    token: int
    work: "Future[None] | None" = None
    has_room: asyncio.Event = field(default_factory=asyncio.Event)
    messages: int = 0
    bytes: int = 0
    done: int = 0
    purged: int = 0
    made: str = ""


class Consumer:
    def __init__(self, servers: Servers, places: Places | None) -> None:
        """``places``: what is consumed only while it is this host's; None: all that workers here want."""
        self._servers = servers
        self._places = places
        self._reports: dict[tuple[str, int], bytes] = {}
        self._consumed: dict[tuple[str, int], _Consumed] = {}

    # In the broker's thread.

    def report(self, want: Report) -> None:
        """What the store has of the shard that is consumed next."""
        self._reports[want.informer, want.shard] = want.payload

    def consume(self, want: Consume) -> None:
        self.leave(want.informer, want.shard)
        consumed = self._consumed[want.informer, want.shard] = _Consumed(want.token)
        work = self._servers.guarded(partial(self._consume, want, consumed), want.informer)
        consumed.work = self._servers.connection.submit(work)

    def leave(self, informer: str, shard: int) -> None:
        consumed = self._consumed.pop((informer, shard), None)
        if consumed is not None and consumed.work is not None:
            consumed.work.cancel()

    def give_back_places(self) -> None:
        if self._places is not None:
            self._servers.connection.submit(self._places.give_back())

    def done(self, want: Done) -> None:
        consumed = self._consumed.get((want.informer, want.shard))
        if consumed is not None and consumed.token == want.token:
            consumed.done = max(consumed.done, want.sequence)
            self._servers.connection.submit(self._make_room(consumed, want.messages, want.bytes))

    # In the connection's.

    async def _consume(self, want: Consume, consumed: _Consumed) -> None:
        name, shard = want.informer, want.shard
        if self._places is not None:
            await self._places.hold(name, shard)
        payload = self._reports.pop((name, shard), None)
        if payload is not None:
            self._servers.connection.submit(
                self._servers.put(self._servers.key("report", name, shard), payload)
            )
        await self._servers.make(name)
        consumed.has_room.set()
        tail = await self._servers.tail(name, shard)
        self._servers.answer(lambda b: b.opened(name, shard, want.token, tail[0] if tail else None))
        sequence = 0
        while True:
            try:
                sequence = await self._pull(want, consumed, sequence)
            except (NatsError, asyncio.CancelledError):
                raise
            except Exception as error:
                # Whatever it is, another consumer goes on behind what was delivered.
                self._servers.note(f"{name}#{shard}", f"{name} shard {shard}: {words_of(error)}")
            await asyncio.sleep(RETRY_S_MIN * 4)

    async def _pull(self, want: Consume, consumed: _Consumed, sequence: int) -> int:
        """Deliver what follows ``sequence`` until the consumer is gone; the last one delivered."""
        import nats.errors
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        name, shard = want.informer, want.shard
        try:
            info = await self._servers.jetstream.stream_info(self._servers.stream(name))
        except NotFoundError:
            self._servers.forget(name)
            self._servers.answer(lambda b: b.cut(name, shard))
            raise NatsError(f"the stream of {name} is gone, and is made again") from None
        made = str(info.created)
        if sequence > info.state.last_seq or consumed.made not in ("", made):
            self._servers.answer(lambda b: b.cut(name, shard))
            raise NatsError(f"the queue of {name} was lost")
        consumed.made = made
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=sequence + 1,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=CONSUMER_GONE_S,
        )
        pull = await self._servers.jetstream.pull_subscribe(
            self._servers.subject(name, shard), stream=self._servers.stream(name), config=config
        )
        try:
            while True:
                await consumed.has_room.wait()
                if self._places is not None and self._places.is_lost(name, shard):
                    raise NatsError(f"the place of {name} shard {shard} is another host's")
                try:
                    [message] = await pull.fetch(1, timeout=FETCH_S)
                except nats.errors.TimeoutError:
                    await pull.consumer_info()
                    continue
                self._servers.problems.pop(f"{name}#{shard}", None)
                sequence = message.metadata.sequence.stream
                size = len(message.data)
                consumed.messages += 1
                consumed.bytes += size
                if consumed.messages >= ROOM_MESSAGES or consumed.bytes >= ROOM_BYTES:
                    consumed.has_room.clear()
                self._servers.counters.delivered += 1
                self._servers.answer(
                    lambda b, s=sequence, d=message.data: b.delivered(name, shard, want.token, s, d)  # type: ignore[misc]
                )
        except nats.errors.Error as error:
            log.debug("%s shard %d: %s", name, shard, error)
            return sequence
        finally:
            await self._drop(name, pull)

    async def _drop(self, name: str, pull: Any) -> None:
        try:
            await pull.unsubscribe()
            await self._servers.jetstream.delete_consumer(self._servers.stream(name), pull._consumer)
        except Exception as error:
            # The servers forget it after CONSUMER_GONE_S.
            log.debug("a consumer of %s was not deleted: %s", name, error)

    async def _make_room(self, consumed: _Consumed, messages: int, size: int) -> None:
        consumed.messages -= messages
        consumed.bytes -= size
        if consumed.messages < ROOM_MESSAGES and consumed.bytes < ROOM_BYTES:
            consumed.has_room.set()

    async def purge(self) -> None:
        """Throw away what is stored, but for each shard's newest message, which says where the queue is."""
        while True:
            await asyncio.sleep(PURGE_S)
            # Raised once all others had their turn: of one informer's stream the server may be gone.
            failed: dict[str, Exception] = {}
            for (name, shard), consumed in list(self._consumed.items()):
                if name not in failed and consumed.done > consumed.purged:
                    try:
                        await self._purge(name, shard, consumed)
                    except Exception as error:
                        failed[name] = error
            if failed:
                raise next(iter(failed.values()))

    async def _purge(self, name: str, shard: int, consumed: _Consumed) -> None:
        done = consumed.done
        await self._servers.jetstream.purge_stream(
            self._servers.stream(name), seq=done, subject=self._servers.subject(name, shard)
        )
        consumed.purged = done
