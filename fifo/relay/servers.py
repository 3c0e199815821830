"""What all ends of the shared queue need of the servers: streams, newest messages, rows of the bucket, answers."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltawire.common.errors import ProtocolError
from deltawire.common.limits import OBJECT_BYTES_MAX
from deltawire.common.waker import Waker
from deltawire.fifo.actions import Action
from deltawire.fifo.relay.broker import RelayBroker
from deltawire.fifo.relay.message import Published, decode
from deltawire.jetstream.connection import Connection, NatsError, words_of
from deltawire.jetstream.settings import NatsSettings, word_of
from deltawire.jetstream.streams import ensure_stream

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.kv import KeyValue

log = logging.getLogger(__name__)

RETRY_S_MIN, RETRY_S_MAX = 0.05, 2.0
# What has not failed again for so long goes on: longer than one request.
WELL_S = 8.0
PAYLOAD_BYTES_NEEDED = OBJECT_BYTES_MAX + 1024**2

Answer = Callable[[RelayBroker], Iterable[Action] | None]


@dataclass(slots=True)
class Counters:
    """Totals since the start; ``refused``: publications that the servers did not take at once."""

    published: int = 0
    published_bytes: int = 0
    refused: int = 0
    fenced: int = 0
    delivered: int = 0
    demands: int = 0
    reigns: int = 0


class Servers:
    """Answers wait in a queue for the broker's thread; all else runs in the connection's."""

    def __init__(self, connection: Connection, shards: int = 0) -> None:
        """``shards``: of each informer, which all hosts must have alike; 0: it is not looked at."""
        self.connection = connection
        self._shards = shards
        self.counters = Counters()
        self.waker = Waker()
        self.answers: deque[Answer] = deque()
        # What stands in the way, by where it does.
        self.problems: dict[str, str] = {}
        # By informer, why nothing of it is published.
        self.unpublished: dict[str, str] = {}
        self._made: set[str] = set()
        self._bucket: KeyValue | None = None

    @property
    def settings(self) -> NatsSettings:
        return self.connection.settings

    @property
    def jetstream(self) -> "JetStreamContext":
        return self.connection.jetstream()

    def answer(self, answer: Answer) -> None:
        """For the broker's thread."""
        self.answers.append(answer)
        self.waker.wake()

    def stream(self, informer: str) -> str:
        return self.settings.stream(*informer.split("/"))

    def subject(self, informer: str, shard: int) -> str:
        return self.settings.subject("queue", *informer.split("/"), str(shard))

    def proofs(self, informer: str) -> str:
        """The subject of an informer's proofs, which no stream keeps."""
        return self.settings.subject("proof", *informer.split("/"))

    def key(self, what: str, informer: str, shard: int) -> str:
        """Of a row of the bucket."""
        return ".".join([what, *(word_of(part) for part in informer.split("/")), str(shard)])

    def note(self, where: str, problem: str) -> None:
        """Said once, until it is another one. While no server is connected the connection says so, once for all."""
        if not self.connection.is_connected:
            return
        self._say(self.problems, where, problem)

    def not_published(self, informer: str, problem: str) -> None:
        """As `note`: the informer stands still, for whoever is behind its queue."""
        if self.connection.is_connected:
            self._say(self.unpublished, informer, problem)

    def _say(self, problems: dict[str, str], where: str, problem: str) -> None:
        if problems.get(where) != problem:
            problems[where] = problem
            log.warning("%s", problem)

    def standstill(self, informer: str) -> str:
        """Why the informer's queue stands still, as far as the servers are the cause; "" if it does not."""
        if not self.connection.is_connected:
            return self.connection.problem
        # A copy: the connection's thread goes on meanwhile.
        problems = list(self.problems.items())
        shards = [text for where, text in problems if where.startswith(f"{informer}#")]
        known = (
            self.unpublished.get(informer),
            self.problems.get("queue"),
            self.problems.get(informer),
            *shards,
        )
        return next(filter(None, known), "")

    async def check_payload(self) -> None:
        """Raises NatsError where the servers take no messages that an object fits into."""
        taken = self.connection.payload_bytes_max
        if taken < PAYLOAD_BYTES_NEEDED:
            await self.connection.client.learn_anew()
            raise NatsError(
                f"NATS {self.settings.shown} takes messages of {taken} bytes, and an object may have "
                f"{OBJECT_BYTES_MAX}",
                hint="set max_payload: 16MB in the servers' config",
            )

    async def guarded(self, work: Callable[[], Any], where: str) -> None:
        """``work``, again and again, until it ends by itself. Its problem is over when it ended or went on for long.

        Whatever it fails with: nobody else would see it, and what it works for would stand still.
        """
        import nats.errors

        wait_s = RETRY_S_MIN
        while True:
            await self.connection.connected()
            over = asyncio.get_running_loop().call_later(WELL_S, self.problems.pop, where, None)
            try:
                await work()
                self.problems.pop(where, None)
                return
            except Exception as error:
                # It may have been deleted: it is looked for anew.
                self._bucket = None
                text = f"{where}: {words_of(error)}"
                known = (NatsError, nats.errors.Error, OSError, TimeoutError)
                if not isinstance(error, known) and self.problems.get(where) != text:
                    log.error("%s failed, and is tried again", where, exc_info=error)
                self.note(where, text)
            finally:
                over.cancel()
            await asyncio.sleep(wait_s)
            wait_s = min(RETRY_S_MAX, wait_s * 2)

    async def make(self, name: str) -> None:
        """The informer's stream, as this config has it. Raises NatsError."""
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

        if name in self._made:
            return
        await self._check_shards()
        wanted = StreamConfig(
            name=self.stream(name),
            subjects=[f"{self.subject(name, 0)[:-1]}*"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_bytes=self.settings.max_bytes,
            max_age=0,
            num_replicas=self.settings.replicas,
            # Each read is answered by the stream's leader: a replica may be behind.
            allow_direct=False,
        )
        await ensure_stream(self.jetstream, wanted, self.settings)
        self._made.add(name)

    async def _check_shards(self) -> None:
        """Keys are dealt to shards by their number. Raises NatsError where the queue has another one."""
        from nats.js.errors import KeyWrongLastSequenceError

        if not self._shards:
            return
        bucket, ours = await self.state(), str(self._shards).encode()
        with contextlib.suppress(KeyWrongLastSequenceError):
            await bucket.create("shards", ours)
        found = await self.get(bucket, "shards")
        if found is not None and found[0] != ours:
            theirs = found[0].decode(errors="replace")
            raise NatsError(
                f"queue {self.settings.name} on NATS {self.settings.shown} is of {theirs} shards, not {self._shards}",
                hint=f"set store.shards to {theirs}, or another engine.name: two pipelines need two",
            )

    async def is_gone(self, name: str) -> bool:
        """True if the informer's stream is not there: somebody deleted it, or its disks are lost."""
        from nats.js.errors import NotFoundError

        try:
            await self.jetstream.stream_info(self.stream(name))
        except NotFoundError:
            self.forget(name)
            return True
        return False

    async def tail(self, name: str, shard: int) -> tuple[Published, int] | None:
        """The shard's newest message and its sequence."""
        from nats.js.errors import NotFoundError

        try:
            found = await self.jetstream.get_msg(self.stream(name), subject=self.subject(name, shard))
        except NotFoundError:
            return None
        try:
            return decode(found.data or b""), found.seq or 0
        except ProtocolError as error:
            raise NatsError(f"{self.subject(name, shard)}: {error}") from None

    def forget(self, name: str) -> None:
        """Look anew whether the informer's stream is there."""
        self._made.discard(name)

    async def state(self) -> "KeyValue":
        if self._bucket is None:
            self._bucket = await self.connection.bucket("queue")
        return self._bucket

    async def get(self, bucket: "KeyValue", key: str) -> tuple[bytes, int] | None:
        from nats.js.errors import KeyNotFoundError

        try:
            entry = await bucket.get(key)
        except KeyNotFoundError:
            return None
        return entry.value or b"", entry.revision or 0

    async def put(self, key: str, value: bytes) -> None:
        async def put() -> None:
            await (await self.state()).put(key, value)

        await self.guarded(put, key)
