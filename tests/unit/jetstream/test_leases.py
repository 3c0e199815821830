"""A lease in a bucket: how it is given back."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nats.js.errors import APIError, KeyNotFoundError, KeyWrongLastSequenceError

from deltawire.common.clock import FakeClock
from deltawire.jetstream.connection import Connection
from deltawire.jetstream.leases import Lease

KEY = "worker-0"


class Bucket:
    """One row. ``silent``: the next write is done, and its answer never comes."""

    def __init__(self) -> None:
        self.holder: bytes | None = None
        self.revision = 0
        self.silent = asyncio.Event()
        self.is_silent = False

    async def create(self, key: str, value: bytes) -> int:
        return await self.update(key, value, last=0 if self.holder is None else -1)

    async def update(self, key: str, value: bytes, last: int) -> int:
        if last != (0 if self.holder is None else self.revision):
            raise KeyWrongLastSequenceError
        self.holder, self.revision = value, self.revision + 1
        if self.is_silent:
            self.silent.set()
            await asyncio.Event().wait()
        return self.revision

    async def get(self, key: str) -> Any:
        if self.holder is None:
            raise KeyNotFoundError
        return SimpleNamespace(value=self.holder, revision=self.revision)

    async def delete(self, key: str, last: int) -> bool:
        if last != self.revision:
            raise APIError(code=400, err_code=10071, description="wrong last sequence")
        self.holder = None
        return True


class Servers:
    def __init__(self, bucket: Bucket) -> None:
        self.one = bucket

    async def bucket(self, what: str, *, ttl_s: float = 0) -> Bucket:
        return self.one


async def until(done: Any) -> None:
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110  # plain state
            await asyncio.sleep(0)


def kept(bucket: Bucket) -> Lease:
    connection = cast(Connection, Servers(bucket))
    return Lease(connection, KEY, "me n1", FakeClock(), lambda is_held: None, inherits=True)


@pytest.mark.parametrize("is_held", [True, False])
def test_a_lease_whose_last_request_has_no_answer_is_given_back_all_the_same(
    is_held: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("deltawire.jetstream.leases.RENEW_S", 20.0)
    bucket = Bucket()

    async def run() -> None:
        lease = kept(bucket)
        if is_held:
            await lease._turn(cast(Any, bucket))
            assert lease.is_valid
        bucket.is_silent = True
        task = asyncio.ensure_future(lease.keep())
        await asyncio.wait_for(bucket.silent.wait(), 30)
        assert bucket.holder == b"me n1"
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())
    assert bucket.holder is None


def test_a_lease_that_another_one_has_by_now_is_left_to_it():
    bucket = Bucket()

    async def run() -> None:
        lease = kept(bucket)
        task = asyncio.ensure_future(lease.keep())
        await until(lambda: lease.is_valid)
        bucket.holder, bucket.revision = b"other n2", 7
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())
    assert bucket.holder == b"other n2"
