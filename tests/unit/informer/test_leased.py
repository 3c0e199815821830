"""A worker whose place may be another host's: what it does between its lease and its first shard."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.informer.archive.port import ArchiveUnavailable
from deltawire.informer.leased import LeasedWorker
from deltawire.informer.store.trouble import OwnerLost


class Lease:
    key = "worker-0"
    is_valid = True


class Archives:
    """Answers after so many questions."""

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
        return "4"


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
