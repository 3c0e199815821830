"""What is said of work on the servers of a shared queue, and when it is over."""

import asyncio
from typing import Any, cast

import pytest

from deltawire.fifo.relay import servers as module
from deltawire.fifo.relay.servers import Servers
from deltawire.jetstream.connection import Connection


class Connected:
    """A connection that is there."""

    is_connected = True

    async def connected(self) -> None:
        return


def test_a_problem_of_work_that_never_ends_is_over_when_the_work_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "WELL_S", 0.05)
    servers = Servers(cast(Connection, Connected()))
    attempts: list[Any] = []

    async def work() -> None:
        attempts.append(dict(servers.problems))
        if len(attempts) == 1:
            raise TimeoutError("no answer")
        await asyncio.Event().wait()

    async def watch() -> None:
        task = asyncio.ensure_future(servers.guarded(work, "purge"))
        try:
            async with asyncio.timeout(20):
                while len(attempts) < 2 or servers.problems:  # noqa: ASYNC110  # plain state
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()

    try:
        asyncio.run(watch())
    finally:
        servers.waker.close()
    assert attempts == [{}, {"purge": "purge: no answer"}]
