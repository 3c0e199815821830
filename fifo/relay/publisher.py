"""The publishing side of the shell: who leads, and one message under way for each shard."""

import asyncio
import logging
import secrets
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.wire.messages.shard import ShardState
from deltawire.fifo.relay.broker import RelayBroker
from deltawire.fifo.relay.leads import Lead, Leads
from deltawire.fifo.relay.servers import RETRY_S_MAX, RETRY_S_MIN, Servers
from deltawire.fifo.relay.wants import Publish, Resign
from deltawire.jetstream.connection import NatsError, words_of
from deltawire.jetstream.streams import FULL, WRONG_SEQUENCE

log = logging.getLogger(__name__)

# One publication. A new leader of a stream is elected in 2-5 s.
PUBLISH_S = 3.0
# What the shards of a stream's beginning say, and what shards lack, is looked for so often.
LOOK_S = 1.0
# A broker whose reflectors are gone gives its lease back after that.
UNATTENDED_S = 3.0


@dataclass(slots=True)
class _Reign:
    """An informer that this broker wants to lead. ``id``: "" while it does not; ``is_declined``: since the queue was of
    another cluster."""

    lease: Lead
    keeping: "Future[None] | None" = None
    id: str = ""
    is_declined: bool = False
    unattended_since_s: float | None = None


class Publisher:
    def __init__(self, servers: Servers, informers: list[str], shards: int, leads: Leads, clock: Clock) -> None:
        self._servers = servers
        self._informers = informers
        self._shards = shards
        self._leads = leads
        self._clock = clock
        self._reigns: dict[str, _Reign] = {}

    @property
    def leading(self) -> list[str]:
        return sorted(name for name, reign in self._reigns.items() if reign.id)

    @property
    def led_by(self) -> dict[str, str]:
        """Who leads, as far as this broker knows."""
        return {name: reign.lease.seen for name, reign in self._reigns.items() if reign.lease.seen}

    def standstill(self, informer: str) -> str:
        """Why nobody leads an informer whose reflectors are here; "" where somebody does, or there are none."""
        reign = self._reigns.get(informer)
        if reign is None or reign.lease.is_held or not reign.lease.problem:
            return ""
        return f"no lease of {informer} can be had: {reign.lease.problem}"

    # In the broker's thread.

    def attend(self, broker: RelayBroker) -> None:
        """Call it twice a second: informers whose reflectors are all here are led from here, if nobody else does."""
        now_s = self._clock.now_s()
        for name in self._informers:
            reign = self._reigns.get(name)
            if broker.may_lead(name):
                if reign is None:
                    self._seek(name)
                else:
                    reign.unattended_since_s = None
                    self._begin_declined(name, reign)
            elif reign is not None:
                if reign.unattended_since_s is None:
                    reign.unattended_since_s = now_s
                elif now_s - reign.unattended_since_s >= UNATTENDED_S:
                    del self._reigns[name]
                    if reign.keeping is not None:
                        reign.keeping.cancel()
                    self._servers.answer(lambda b, n=name: b.steps_down(n, "its reflectors are gone"))  # type: ignore[misc]

    def _seek(self, name: str) -> None:
        lease = self._leads.lead(name, partial(self._lease_changed, name))
        reign = self._reigns[name] = _Reign(lease)
        reign.keeping = self._servers.connection.submit(self._servers.guarded(lease.keep, name))

    def resign(self, want: Resign) -> None:
        """The broker does not lead any more. Where the lease is still held, a new reign begins."""
        reign = self._reigns.get(want.informer)
        if reign is not None and reign.id == want.reign:
            reign.id = ""
            reign.is_declined = want.is_declined
            if reign.lease.is_held and not want.is_declined:
                self._take_over_soon(want.informer, reign)

    def _begin_declined(self, name: str, reign: _Reign) -> None:
        """The cluster is the queue's after all, and the lease was not given back yet."""
        if reign.is_declined:
            reign.is_declined = False
            if reign.lease.is_held and not reign.id:
                self._take_over_soon(name, reign)

    def publish(self, want: Publish) -> None:
        self._servers.connection.submit(self._publish(want))

    # In the connection's.

    def _lease_changed(self, name: str, is_held: bool) -> None:
        reign = self._reigns.get(name)
        if reign is None:
            return
        if not is_held:
            self._end_reign(name, reign, "the lease has ended")
            return
        self._take_over_soon(name, reign)

    def _end_reign(self, name: str, reign: _Reign, reason: str) -> None:
        if reign.id:
            reign.id = ""
            self._servers.answer(lambda b: b.steps_down(name, reason))

    def _take_over_soon(self, name: str, reign: _Reign) -> None:
        work = self._servers.guarded(partial(self._take_over, name, reign), name)
        self._servers.connection.submit(work)

    async def _take_over(self, name: str, reign: _Reign) -> None:
        """The lease is held: where the queue ends is where the reign begins."""
        while reign.lease.is_held and not reign.lease.is_valid and not reign.id:  # noqa: ASYNC110  # by the clock
            await asyncio.sleep(LOOK_S)
        await self._begin_reign(name, reign)
        mine = reign.id
        while mine and reign.lease.is_held and reign.id == mine:
            await asyncio.sleep(LOOK_S)
            if not reign.lease.is_valid:
                await self._look_for_another(name)
            await self._look(name)

    async def _look_for_another(self, name: str) -> None:
        """A lease that is not renewed may be another's by now: whose reign has begun is in the queue."""
        tails = {n: tail for n in range(self._shards) if (tail := await self._servers.tail(name, n))}
        self._servers.answer(lambda b: b.saw_tails(name, tails))

    async def _begin_reign(self, name: str, reign: _Reign) -> None:
        await self._servers.check_payload()
        self._servers.forget(name)
        await self._servers.make(name)
        tails = {n: tail for n in range(self._shards) if (tail := await self._servers.tail(name, n))}
        reports = await self._reports(name)
        if not reign.lease.is_valid or reign.id:
            return
        reign.id = new = secrets.token_hex(6)
        self._servers.counters.reigns += 1
        log.info("leads %s", name)
        self._servers.answer(lambda b: b.leads(name, new, tails, reports))

    async def _look(self, name: str) -> None:
        """What shards lack, and what they have where the queue has nothing yet."""
        bucket = await self._servers.state()
        for shard in range(self._shards):
            entry = await self._servers.get(bucket, self._servers.key("demand", name, shard))
            if entry is not None:
                value, revision = entry
                self._servers.answer(lambda b, v=value, r=revision: b.demanded(name, v, r))  # type: ignore[misc]
        self._servers.answer(partial(self._want_reports, name))

    def _want_reports(self, name: str, broker: RelayBroker) -> None:
        if broker.shared(name).lacks_reports:
            self._servers.connection.submit(self._hear_reports(name))

    async def _hear_reports(self, name: str) -> None:
        reports = await self._reports(name)
        self._servers.answer(lambda b: b.heard_reports(name, reports))

    async def _reports(self, name: str) -> dict[int, ShardState]:
        bucket = await self._servers.state()
        reports = {}
        for shard in range(self._shards):
            entry = await self._servers.get(bucket, self._servers.key("report", name, shard))
            if entry is not None:
                try:
                    reports[shard] = msgspec.msgpack.decode(entry[0], type=ShardState)
                except msgspec.MsgspecError as error:
                    log.warning("%s shard %d: its report cannot be read: %s", name, shard, error)
        return reports

    async def _publish(self, want: Publish) -> None:
        """Until it is known to be in the queue, or another leader's message is, or the reign has ended."""
        import nats.errors
        from nats.js.api import Header
        from nats.js.errors import APIError, Error, NoStreamResponseError

        name, wait_s = want.informer, RETRY_S_MIN
        subject = self._servers.subject(name, want.shard)
        while (reign := self._reigns.get(name)) is not None and reign.id == want.reign:
            headers = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(want.follows)}
            try:
                ack = await self._servers.jetstream.publish(
                    subject, want.payload, timeout=PUBLISH_S, headers=headers
                )
                sequence = ack.seq
            except APIError as error:
                if error.err_code not in WRONG_SEQUENCE:
                    sequence = self._not_published(name, error)
                else:
                    sequence = await self._find(want)
            except NoStreamResponseError as error:
                sequence = self._not_published(name, error)
                await self._begin_again_if_gone(name, reign)
            except (Error, nats.errors.Error, OSError, TimeoutError, NatsError) as error:
                sequence = self._not_published(name, error)
            if sequence:
                self._servers.unpublished.pop(name, None)
                self._servers.counters.published += 1
                self._servers.counters.published_bytes += len(want.payload)
                self._servers.answer(lambda b, s=sequence: b.published(name, want.shard, want.reign, s))  # type: ignore[misc]
                return
            await asyncio.sleep(wait_s)
            wait_s = min(RETRY_S_MAX, wait_s * 2)
        # It is another's to publish by now.
        self._servers.unpublished.pop(name, None)

    def _not_published(self, name: str, error: Exception) -> int:
        self._servers.counters.refused += 1
        hint = " (engine.max_bytes is reached: its slowest shard makes room)" if _is_full(error) else ""
        self._servers.not_published(name, f"{name} is not published: {words_of(error)}{hint}")
        return 0

    async def _begin_again_if_gone(self, name: str, reign: _Reign) -> None:
        """A stream that was deleted is made again with a new reign; what shards lack of the former one they say."""
        import nats.errors
        from nats.js.errors import Error

        try:
            is_gone = await self._servers.is_gone(name)
        except (Error, nats.errors.Error, OSError, TimeoutError):
            return
        if is_gone and reign.id:
            self._end_reign(name, reign, "its stream on NATS is gone, and is made again")
            if reign.lease.is_held:
                self._take_over_soon(name, reign)

    async def _find(self, want: Publish) -> int:
        """After a refusal by sequence: the message's sequence if it is there, from an attempt without an answer."""
        import nats.errors
        from nats.js.errors import Error

        try:
            tail = await self._servers.tail(want.informer, want.shard)
        except (Error, nats.errors.Error, OSError, TimeoutError, NatsError) as error:
            return self._not_published(want.informer, error)
        if tail is not None and tail[0].id == want.id:
            return tail[1]
        reign = self._reigns.get(want.informer)
        if reign is not None and reign.id == want.reign:
            self._servers.counters.fenced += 1
            self._end_reign(want.informer, reign, "another one has published")
            if reign.lease.is_held:
                # Nobody else is known to have the lease: a message of the former leader came in before ours.
                self._take_over_soon(want.informer, reign)
        return 0


def _is_full(error: Exception) -> bool:
    return getattr(error, "err_code", None) in FULL
