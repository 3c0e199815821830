"""Leases in a bucket: one holder of a key at a time, who renews it, and stops by its own clock before it can end.

A lease says who may begin; it fences nothing. Whoever acts under one gives each write the revision, or the last
sequence, that it follows, so that a write of a former holder is refused however late it comes.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltawire.common.clock import Clock
from deltawire.jetstream.connection import Connection, words_of
from deltawire.jetstream.streams import WRONG_SEQUENCE

if TYPE_CHECKING:
    from nats.js.kv import KeyValue

log = logging.getLogger(__name__)

# A holder that did not renew within this has lost it; the servers drop the row by then.
LEASE_S = 6.0
# How often a holder renews, and one that waits looks.
RENEW_S = 2.0
# A row that is found to be this holder's own is renewed after that.
RENEW_AT_ONCE_S = 0.05
# A holder stops so long before its lease can end.
MARGIN_S = 1.5
# Attempts to give a lease back, whose row a renewal without an answer may have written anew.
GIVES_MAX = 3


@dataclass(slots=True)
class Held:
    """A lease as its holder knows it. Pure: times are passed in, monotonic seconds."""

    revision: int = 0
    until_s: float = float("-inf")

    def renewed(self, revision: int, asked_s: float) -> None:
        """``asked_s``: when the request was sent; the servers count from later than that."""
        self.revision = revision
        self.until_s = asked_s + LEASE_S - MARGIN_S

    def lost(self) -> None:
        self.revision = 0
        self.until_s = float("-inf")

    def is_valid(self, now_s: float) -> bool:
        return now_s < self.until_s


class Lease:
    """One key that this process wants to hold. `keep` runs in the connection's thread until it is cancelled.

    ``changed`` is called there with True when it is gained, and False when it is lost.
    """

    def __init__(
        self,
        connection: Connection,
        key: str,
        holder: str,
        clock: Clock,
        changed: Callable[[bool], object],
        *,
        inherits: bool = False,
    ) -> None:
        """``inherits``: whoever held it under this name before is known to have ended, so that it need not run out."""
        self.key = key
        self.holder = holder
        # Who held it when this process last looked, "" where nobody did.
        self.seen = ""
        # Why the servers did not answer the last time; "" where they did.
        self.problem = ""
        self._connection = connection
        self._clock = clock
        self._changed = changed
        self._inherits = inherits
        self._held = Held()
        self._said = False
        self._is_bucket_gone = False
        self._bucket: KeyValue | None = None
        # The row turned out to be this holder's: it was passed on, or is of the process before.
        self._is_found = False
        # A request for the lease has no answer yet: the row may be ours.
        self._is_asked = False
        # One question about the row at a time.
        self._asking = asyncio.Lock()

    @property
    def is_valid(self) -> bool:
        return self._held.is_valid(self._clock.now_s())

    async def keep(self) -> None:
        bucket = self._bucket = await self._connection.bucket("leases", ttl_s=LEASE_S)
        try:
            while True:
                async with self._asking:
                    await self._turn(bucket)
                self._say()
                if self._is_bucket_gone:
                    self._is_bucket_gone = False
                    bucket = self._bucket = await self._connection.bucket("leases", ttl_s=LEASE_S)
                wait_s = RENEW_S if self.is_valid else RENEW_S / 2
                if self._is_found:
                    self._is_found, wait_s = False, RENEW_AT_ONCE_S
                await asyncio.sleep(wait_s)
        finally:
            if self.is_valid or self._is_asked:
                await self._give_back(bucket)

    async def pass_on(self, heir: str) -> bool:
        """Make it another holder's, who waits for it and takes it for its own. Nobody else can have it in between.

        False where that is not known to have worked. Then it is this holder's still, or the heir's; who does not renew
        it loses it after `LEASE_S`.
        """
        import nats.errors
        from nats.js.errors import Error

        async with self._asking:
            revision = self._held.revision
            if self._bucket is None or not revision or not self.is_valid:
                return False
            self._held.lost()
            self._say()
            try:
                await asyncio.wait_for(self._bucket.update(self.key, heir.encode(), last=revision), RENEW_S)
            except (Error, nats.errors.Error, TimeoutError, OSError) as error:
                log.warning("lease %s was not passed on: %s", self.key, words_of(error))
                return False
            self.seen = heir
            return True

    async def _turn(self, bucket: "KeyValue") -> None:
        import nats.errors
        from nats.js.errors import Error, KeyNotFoundError, KeyWrongLastSequenceError, NoStreamResponseError

        asked_s = self._clock.now_s()
        value = self.holder.encode()
        self._is_asked = True
        try:
            if self._held.revision:
                work = bucket.update(self.key, value, last=self._held.revision)
            else:
                work = bucket.create(self.key, value)
            revision = await asyncio.wait_for(work, RENEW_S)
            self._is_asked = False
            self.seen, self.problem = self.holder, ""
            self._held.renewed(revision, asked_s)
        except KeyWrongLastSequenceError:
            self._held.lost()
            self.problem, self._is_asked = "", False
            try:
                entry = await bucket.get(self.key)
                self.seen = (entry.value or b"").decode(errors="replace")
                if self._inherits and _is_same(self.seen, self.holder):
                    # The next turn renews it, if nobody else was faster.
                    self._held.revision = entry.revision or 0
                    self._is_found = True
            except KeyNotFoundError:
                self.seen = ""
            except (Error, nats.errors.Error, TimeoutError):
                pass
        except (Error, nats.errors.Error, TimeoutError, OSError) as error:
            # It may have been renewed or not: what is known of it holds to its end, and a revision that is not known is
            # found out by looking.
            log.debug("lease %s: %s", self.key, error)
            self.problem = words_of(error)
            # Somebody deleted it, or its servers have no leader now.
            self._is_bucket_gone = isinstance(error, NoStreamResponseError)
            await self._look(bucket, asked_s)

    async def _look(self, bucket: "KeyValue", asked_s: float) -> None:
        """After a request without an answer: the row, if it is ours, was written by that request or an earlier one."""
        import nats.errors
        from nats.js.errors import Error, KeyNotFoundError

        try:
            entry = await asyncio.wait_for(bucket.get(self.key), RENEW_S)
        except KeyNotFoundError:
            self._held.revision = 0
            return
        except (Error, nats.errors.Error, TimeoutError, OSError):
            return
        self.seen = (entry.value or b"").decode(errors="replace")
        if not _is_same(self.seen, self.holder):
            self._held.lost()
        elif entry.revision != self._held.revision:
            self._held.renewed(entry.revision or 0, asked_s)

    def _say(self) -> None:
        if self.is_valid != self._said:
            self._said = not self._said
            self._changed(self._said)

    async def _give_back(self, bucket: "KeyValue") -> None:
        """At once, and only the row that is ours: a later holder's has another revision."""
        revision = self._held.revision
        self._held.lost()
        self._say()
        try:
            await asyncio.wait_for(self._delete(bucket, revision), RENEW_S)
        except Exception as error:
            log.debug("lease %s was not given back: %s", self.key, error)

    async def _delete(self, bucket: "KeyValue", revision: int) -> None:
        """``revision``: as far as is known. A renewal that was cut may have written the row anew."""
        from nats.js.errors import APIError

        for _ in range(GIVES_MAX):
            if revision:
                try:
                    await bucket.delete(self.key, last=revision)
                    return
                except APIError as error:
                    if error.err_code not in WRONG_SEQUENCE:
                        raise
            entry = await bucket.get(self.key)
            if not _is_same((entry.value or b"").decode(errors="replace"), self.holder):
                return
            revision = entry.revision or 0


def _is_same(one: str, other: str) -> bool:
    """Of two holders. What follows the first word says more of them, and may have changed."""
    return one.partition(" ")[0] == other.partition(" ")[0]
