"""A worker whose place may be another host's: what it does between its lease and its first shard."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import StateError
from deltawire.informer.archive.port import ArchiveUnavailable
from deltawire.informer.leased import LeasedWorker
from deltawire.informer.store.trouble import OwnerLost
from deltawire.jetstream.connection import NatsError


class Lease:
    key = "worker-0"
    is_valid = True


class Archives:
    """Answers after so many questions."""

    answer = "4"

    def __init__(self, silent: int, lease: Lease) -> None:
        self.left = silent
        self.asked = 0
        self.lease = lease
        self.ends_lease = False

    def wait(self, work: Any, timeout_s: float = 3.0) -> Any:
        work.close()
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            self.lease.is_valid = not self.ends_lease
            raise ArchiveUnavailable("the archive does not answer")
        return self.answer


@contextmanager
def worker(folder: Path, archives: Archives, monkeypatch: pytest.MonkeyPatch) -> Iterator[LeasedWorker]:
    raw = {
        "version": 1,
        "clusters": {"dev": {}},
        "informers": [{"resource": "pods"}],
        "store": {"dir": str(folder / "state"), "shards": 4},
        "archive": {"kind": "nats"},
    }
    plan = Plan(parse(raw))
    assert plan.config.archive is not None
    (folder / "state").mkdir()
    found = LeasedWorker(plan, plan.config.archive, 0, "worker-0", clock=FakeClock())
    monkeypatch.setattr(found, "_lease", archives.lease)
    monkeypatch.setattr(found, "_archives", archives)
    monkeypatch.setattr("deltawire.informer.leased._LOOK_S", 0.0)
    yield found
    found._lock.close()
    found._connection.close()


def test_an_archive_that_does_not_answer_yet_is_waited_for_and_ends_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archives = Archives(3, Lease())
    with worker(tmp_path, archives, monkeypatch) as waits:
        assert waits._check_shards(threading.Event())
    assert archives.asked == 4


def test_the_wait_for_an_archive_is_over_when_the_lease_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archives = Archives(3, Lease())
    archives.ends_lease = True
    with (
        worker(tmp_path, archives, monkeypatch) as waits,
        pytest.raises(OwnerLost, match="worker-0 has ended"),
    ):
        waits._check_shards(threading.Event())
    assert archives.asked == 1


def test_the_wait_for_an_archive_is_over_when_the_worker_is_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stop = threading.Event()
    stop.set()
    with worker(tmp_path, Archives(3, Lease()), monkeypatch) as waits:
        assert not waits._check_shards(stop)


def test_servers_that_refuse_the_bucket_of_an_archive_for_a_while_end_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from nats.js.errors import ServiceUnavailableError

    from deltawire.informer.archive.nats import NatsArchives
    from deltawire.jetstream.connection import refused
    from deltawire.jetstream.settings import NatsSettings

    class Refusing:
        """A connection to servers without a leader, until they have one."""

        settings = NatsSettings(servers=("nats://n1:4222",))
        answers = 0

        def wait(self, work: Any, timeout_s: float) -> Any:
            work.close()
            self.answers += 1
            if self.answers == 1:
                raise refused("bucket p", ServiceUnavailableError(503, "no leader"), self.settings)
            return "4"

    connection = Refusing()
    archives = NatsArchives(connection, bytes_max=1)  # type: ignore[arg-type]
    with worker(tmp_path, Archives(0, Lease()), monkeypatch) as waits:
        monkeypatch.setattr(waits, "_archives", archives)
        assert waits._check_shards(threading.Event())
    assert connection.answers == 2


def test_an_empty_row_of_the_number_of_shards_is_named_and_not_asked_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archives = Archives(0, Lease())
    archives.answer = ""
    with worker(tmp_path, archives, monkeypatch) as waits, pytest.raises(StateError, match="row shards of bucket"):
        waits._check_shards(threading.Event())
    assert archives.asked == 1


class Waiting(Lease):
    """Had by another host, once the servers have answered; they do not at first."""

    is_valid = False
    seen = problem = ""

    def __init__(self) -> None:
        self.asked = 0
        self.answered = asyncio.Event()

    async def keep(self) -> None:
        self.asked += 1
        if self.asked == 1:
            raise NatsError("JetStream does not answer")
        self.seen, self.problem = "other n2", ""
        self.answered.set()
        await asyncio.Event().wait()


def test_a_standby_knows_who_has_its_place_once_the_servers_answer_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("deltawire.informer.leased.RENEW_S", 0.0)
    lease = Waiting()
    with worker(tmp_path, Archives(0, lease), monkeypatch) as waits:
        connection = SimpleNamespace(is_connected=True, problem="a permission lacks")
        said: list[dict[str, str]] = []

        async def keep() -> None:
            with monkeypatch.context() as patched:
                patched.setattr(waits, "_connection", connection)
                task = asyncio.ensure_future(waits._keep())
                async with asyncio.timeout(30):
                    while not lease.problem:  # noqa: ASYNC110  # plain state
                        await asyncio.sleep(0)
                said.append(waits._standby())
                await asyncio.wait_for(lease.answered.wait(), 30)
                said.append(waits._standby())
                task.cancel()
                await asyncio.wait([task])

        asyncio.run(keep())
    assert said[0]["problem"]
    assert said[1] == {"host": "other", "node": "n2", "problem": ""}
