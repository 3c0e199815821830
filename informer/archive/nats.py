"""Shards' archives on NATS JetStream: one stream for all of a pipeline, a subject for each shard.

The fence is the server's own: an append names the sequence of the newest message that its writer knows on the subject,
and is refused where that is another one.
"""

import logging
import threading
from collections.abc import Coroutine, Iterable
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from deltawire.informer.archive.port import ArchiveUnavailable, FencedError
from deltawire.jetstream.connection import Connection, NatsError, words_of
from deltawire.jetstream.settings import word_of
from deltawire.jetstream.streams import FULL, WRONG_SEQUENCE, ensure_stream

log = logging.getLogger(__name__)

T = TypeVar("T")
# The first word of the subjects; the queue's is another one.
ROOT = "dwa"
# An answer is waited for so long; it is less than what a hung loop is given.
ANSWER_S = 3.0
# A log is read in pieces of so many entries.
READ_MESSAGES = 500
_READ_S = 30.0
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


class NatsArchives:
    """Makes the stream at the first use. ``bytes_max``: of all archives together."""

    def __init__(self, connection: Connection, *, bytes_max: int) -> None:
        self._connection = connection
        self._bytes_max = bytes_max
        self._is_made = False
        self._lock = threading.Lock()
        self.stream = connection.settings.stream("archive")

    def of(self, cluster_id: str, resource: str, shard: int) -> "NatsArchive":
        """The archive of one shard."""
        words = (self._connection.settings.name, cluster_id, resource, str(shard))
        return NatsArchive(self, ".".join((ROOT, *(word_of(word) for word in words))))

    def wait(self, work: Coroutine[Any, Any, T], timeout_s: float = ANSWER_S) -> T:
        """The answer. Raises ArchiveUnavailable where there is none, FencedError where another has written."""
        import nats.errors
        from nats.js.errors import APIError, Error

        from deltawire.jetstream.client import TooLargeError

        where = self._connection.settings.shown
        try:
            return self._connection.wait(work, timeout_s)
        except TooLargeError as error:
            raise ArchiveUnavailable(
                f"the archive refuses: {words_of(error)}", hint="it is tried again"
            ) from None
        except APIError as error:
            if error.err_code in WRONG_SEQUENCE:
                raise FencedError(f"another worker has written to the archive on {where}") from None
            hint = "raise archive.max_bytes" if error.err_code in FULL else "it is tried again"
            text = f"the archive on {where} refuses: {words_of(error)}"
            raise ArchiveUnavailable(text, hint=hint) from None
        except NatsError as error:
            # A bucket that servers without a leader do not look up, too.
            raise ArchiveUnavailable(error.message, hint=error.hint or "it is tried again") from None
        except (Error, nats.errors.Error, TimeoutError, OSError, CancelledError) as error:
            text = f"the archive on {where} does not answer: {words_of(error)}"
            raise ArchiveUnavailable(text, hint="it is tried again") from None

    async def holds(self, shards: Iterable[tuple[str, int]]) -> bool:
        """True if anything is archived of one of these shards (of an informer ``cluster/resource``), of any cluster."""
        from nats.js.errors import NotFoundError

        root = f"{ROOT}.{word_of(self._connection.settings.name)}"
        try:
            found = await self._connection.jetstream(ANSWER_S).stream_info(self.stream, subjects_filter=f"{root}.>")
        except NotFoundError:
            return False
        kept = {tuple(subject.split(".")[-2:]) for subject in found.state.subjects or ()}
        return any((word_of(name.partition("/")[2]), str(shard)) in kept for name, shard in shards)

    def make(self) -> None:
        """Make the stream where there is none."""
        with self._lock:
            if not self._is_made:
                self.wait(self._make())
                self._is_made = True

    async def _make(self) -> None:
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

        settings = self._connection.settings
        jetstream = self._connection.jetstream(ANSWER_S)
        config = StreamConfig(
            name=self.stream,
            subjects=[f"{ROOT}.{word_of(settings.name)}.>"],
            retention=RetentionPolicy.LIMITS,
            # What is archived is never dropped for what is new.
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            max_bytes=self._bytes_max,
            num_replicas=settings.replicas,
            allow_direct=False,
        )
        await ensure_stream(jetstream, config, settings)

    async def append(self, subject: str, data: bytes, after: int) -> int:
        jetstream = self._connection.jetstream(ANSWER_S)
        answer = await jetstream.publish(
            subject, data, stream=self.stream, headers={_EXPECTED: str(after)}, timeout=ANSWER_S
        )
        return int(answer.seq)

    async def tail(self, subject: str) -> tuple[int, bytes] | None:
        from nats.js.errors import NotFoundError

        try:
            message = await self._connection.jetstream(ANSWER_S).get_last_msg(self.stream, subject)
        except NotFoundError:
            return None
        return int(message.seq or 0), message.data or b""

    async def read(self, subject: str) -> list[tuple[int, bytes]]:
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        newest = await self.tail(subject)
        if newest is None:
            return []
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.ALL,
            inactive_threshold=2 * _READ_S,
            mem_storage=True,
            num_replicas=1,
        )
        reader = await self._connection.jetstream(ANSWER_S).pull_subscribe(
            subject, stream=self.stream, config=config
        )
        found: list[tuple[int, bytes]] = []
        try:
            while not found or found[-1][0] < newest[0]:
                for message in await reader.fetch(READ_MESSAGES, timeout=ANSWER_S):
                    found.append((message.metadata.sequence.stream, message.data))
        finally:
            await reader.unsubscribe()
        return found

    def drop_before(self, subject: str, revision: int) -> None:
        """Not waited for: what is still there costs room only."""

        async def purge() -> None:
            try:
                await self._connection.jetstream(ANSWER_S).purge_stream(
                    self.stream, seq=revision, subject=subject
                )
            except Exception as error:
                log.warning(
                    "the archive %s keeps what is out of date until the next copy: %s", subject, error
                )

        self._connection.submit(purge())


class NatsArchive:
    """The log of one shard (`port.ShardArchive`)."""

    def __init__(self, archives: NatsArchives, subject: str) -> None:
        self._archives = archives
        self.subject = subject

    def read(self) -> list[tuple[int, bytes]]:
        self._archives.make()
        return self._archives.wait(self._archives.read(self.subject), _READ_S)

    def tail(self) -> tuple[int, bytes] | None:
        return self._archives.wait(self._archives.tail(self.subject))

    def append(self, data: bytes, after: int) -> int:
        return self._archives.wait(self._archives.append(self.subject, data, after))

    def drop_before(self, revision: int) -> None:
        self._archives.drop_before(self.subject, revision)

    def close(self) -> None:
        """The connection is the worker's."""
