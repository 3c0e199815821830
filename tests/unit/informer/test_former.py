"""A place whose archive is new, since all NATS servers lost their disks: it is left to the host that had it last."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import nats.errors
import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.wire.identity import new_identity
from deltawire.informer import former as former_module
from deltawire.informer import leased
from deltawire.informer.former import FORMER_WAIT_S, Former, LastOwner, Wait
from deltawire.informer.leased import LeasedWorker
from deltawire.jetstream.connection import Connection
from deltawire.jetstream.hosts import has_begun, holder_of, host_and_node
from deltawire.jetstream.moves import Give, Here, encode
from tests.unit.informer.test_leased import Archives, Lease, worker

PLACE = "worker-0"


class Row(Lease):
    """A lease, and to whom it was passed on."""

    problem = seen = ""

    def __init__(self) -> None:
        self.holder = ""
        self.heirs: list[str] = []

    async def pass_on(self, heir: str) -> bool:
        self.heirs.append(heir)
        self.is_valid = False
        return True


class Archived(Archives):
    """Has, or has not, something of the place."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(0, lease)
        self.is_new = True

    async def holds(self, shards: object) -> bool:
        return not self.is_new

    def wait(self, work: Any, timeout_s: float = 3.0) -> Any:
        return asyncio.run(work)


class Shown:
    """A standby that is asked whether the wait is over, as often as its clock moves."""

    between: Callable[[], None]
    reports: list[dict[str, Any]]

    def __init__(self, plan: object, owner: str, identity: object, standby: Callable[[], Any], **_: object) -> None:
        self._standby = standby

    def run(self, stop: threading.Event, until: Callable[[], bool]) -> bool:
        for _ in range(1000):
            if until() or stop.is_set():
                return not stop.is_set()
            self.reports.append(self._standby())
            type(self).between()
        raise AssertionError("it waits for ever")


class Host:
    """A worker of this host that has the lease of its place, and saw another host there last."""

    def __init__(self, waits: LeasedWorker, row: Row, archives: Archived, monkeypatch: pytest.MonkeyPatch) -> None:
        self.worker, self.row, self.archives = waits, row, archives
        self.clock = cast(FakeClock, waits._clock)
        self.reports: list[dict[str, Any]] = []
        monkeypatch.setattr(leased, "Standby", Shown)
        monkeypatch.setattr(Shown, "reports", self.reports, raising=False)
        monkeypatch.setattr(waits._connection, "wait", lambda work, timeout_s: asyncio.run(work))
        monkeypatch.setattr(waits._connection, "submit", self._not_looked)
        self.meanwhile(lambda: self.clock.advance(1.0), monkeypatch)
        waits._last_owner.saw("other n2")

    def meanwhile(self, what: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Shown, "between", staticmethod(what), raising=False)

    def _not_looked(self, work: Any) -> Future[None]:
        work.close()
        return Future()

    def goes_on(self) -> str:
        return self.worker._leave_to_former(threading.Event(), new_identity("informer", PLACE, "run")).name


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    row = Row()
    archives = Archived(row)
    with worker(tmp_path, archives, monkeypatch) as waits:
        yield Host(waits, row, archives, monkeypatch)


def test_a_place_with_a_new_archive_is_passed_on_to_the_host_that_had_it_last(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def comes() -> None:
        assert host.worker._former is not None
        host.worker._former.is_here = True

    host.meanwhile(comes, monkeypatch)
    assert host.goes_on() == "WAIT"
    assert host.row.heirs == ["other n2 begins"]


def test_what_is_archived_needs_nobodys_disk(host: Host) -> None:
    host.archives.is_new = False
    assert host.goes_on() == "WORK"


@pytest.mark.parametrize("last", ["", "own"])
def test_a_host_that_had_the_place_last_or_knows_of_nobody_begins_at_once(host: Host, last: str) -> None:
    host.worker._last_owner.holder = last and holder_of(host.worker._host, "n1")
    assert host.goes_on() == "WORK"
    assert host.reports == []


def test_a_host_that_does_not_come_is_waited_for_so_long_and_no_longer(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert host.goes_on() == "WORK"
    assert len(host.reports) == FORMER_WAIT_S
    assert host.reports[0] == {
        "host": "", "node": "", "problem": "", "waits_for": "n2 (other)", "left_s": FORMER_WAIT_S
    }  # fmt: skip
    waits, begins = (record.message for record in caplog.records)
    assert "--anew` begins without it" in waits
    assert begins.endswith("begins with worker-0 anew, without host n2 (other): it did not come")


def test_a_lease_that_is_lost_and_had_again_makes_the_wait_no_longer(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loses() -> None:
        host.clock.advance(FORMER_WAIT_S - 1)
        host.row.is_valid = False

    host.meanwhile(loses, monkeypatch)
    assert host.goes_on() == "WAIT"
    host.row.is_valid = True
    host.meanwhile(lambda: host.clock.advance(1.0), monkeypatch)
    assert host.goes_on() == "WORK"


def test_a_wait_for_a_host_that_is_lost_ends_when_it_is_told_to(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, here = host.worker._desk, host.worker._host
    said: list[str] = []

    def told() -> None:
        said.extend(desk._objection(encode(give)) for give in (Give("other"), Give(here), Give(here, anew=True)))

    host.meanwhile(told, monkeypatch)
    assert host.goes_on() == "WORK"
    assert said == ["worker-0 waits for host n2 (other)", "worker-0 waits for host n2 (other)", ""]
    assert desk.order is None, "the work that begins is not to be passed on"


def test_only_a_host_that_worked_on_a_place_had_it_last(host: Host, tmp_path: Path) -> None:
    """The lease alone is had for a moment by whoever is first, also by the host that gives it away."""
    host.row.is_valid = False
    for seen, last in (("third n3 begins", "other n2"), ("third n3", "third n3")):
        host.row.seen = seen
        assert not host.worker._is_its_turn()
        assert host.worker._last_owner.holder == last
    host.worker._begin()
    own = holder_of(host.worker._host, host.worker._node)
    assert LastOwner(tmp_path / "state", PLACE).holder == own
    assert host.row.holder == own


def test_a_holder_says_whether_it_has_begun() -> None:
    assert [has_begun(text) for text in ("h n1", "h", holder_of("h", "n1", begins=True))] == [True, True, False]
    assert host_and_node(holder_of("h", "n1", begins=True)) == ("h", "n1")
    assert not has_begun(holder_of("h", "", begins=True))


def test_an_owner_that_cannot_be_written_down_is_known_to_this_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    owner = LastOwner(tmp_path / "is-not-there", PLACE)
    owner.saw("other n2")
    assert owner.holder == "other n2"
    assert "worker-0.owner cannot be written" in caplog.text


def test_the_host_that_had_the_place_is_asked_for_until_its_worker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [
        nats.errors.NoServersError(),
        [Here(place=PLACE, host="third", node="n3"), Here(place="worker-1", host="other", node="n2")],
        [Here(place=PLACE, host="other", node="n2")],
    ]
    seen = []

    async def who(connection: object) -> Any:
        seen.append(former.is_here)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(former_module, "who_is_there", who)
    monkeypatch.setattr(former_module, "ASK_EVERY_S", 0.0)
    former = Former(cast(Connection, None), PLACE, "other n2")
    asyncio.run(asyncio.wait_for(former.look(), 30))
    assert former.is_here
    assert seen == [False, False, False]


def test_a_wait_that_was_ended_begins_anew() -> None:
    wait = Wait(10)
    wait.begin(0.0)
    wait.begin(5.0)
    assert wait.left_s(7.0) == 3.0
    wait.end()
    assert wait.left_s(7.0) == 10
    wait.begin(20.0)
    assert wait.left_s(40.0) == 0
