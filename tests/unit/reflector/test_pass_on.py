"""The short way of a watch that works: what it publishes and where it leaves the stream is as by the long way."""

import random

import pytest

from deltawire.common.limits import BATCH_DELTAS_MAX
from deltawire.reflector.action import Deltas
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.list_plan import ServerTraits
from deltawire.reflector.machine import Machine
from deltawire.reflector.publish import Outbox
from deltawire.reflector.reader import Opened, Read
from deltawire.reflector.split import Batch
from tests.support.reflector_bench import EXPIRED, added, bookmark, failed_event, items, row
from tests.unit.reflector.test_driver import AT_US, Stage


def watching(resume="10"):
    machine = Machine(Backoff(random=lambda: 0.0), ServerTraits(), lambda: 0.5)
    machine.start(0.0, resume, "", 1)
    machine.opened(0.0)
    machine.batch(0.0, added("11"))
    return machine


def batch_of(rng, version):
    """Mostly an event at a higher version, sometimes anything else that a server may send."""
    return rng.choices(
        [
            added(str(version + 1)),
            added(str(version + 1), str(version + 3)),
            bookmark(str(version + 1)),
            Batch(deltas=[row("D", version=str(version - 1))], version=str(version - 1)),
            Batch(deltas=[row(version="")]),
            added(str(version)),
            added("no-number"),
            added(str(version - 2)),
            failed_event(EXPIRED),
        ],
        weights=[8, 4, 2, 1, 1, 1, 1, 1, 1],
    )[0]


def state_of(machine):
    return (
        machine.state,
        machine.version,
        machine.floor,
        str(machine.error),
        machine.is_doubtful,
        machine.lists,
    )


@pytest.mark.parametrize("seed", range(200))
def test_a_batch_that_moves_a_watch_on_does_what_the_long_way_does(seed):
    rng, short, long = random.Random(seed), watching(), watching()
    for step in range(20):
        version = int(long.version) if long.version.isdecimal() else 11
        batch = batch_of(rng, version)
        actions = long.batch(float(step), batch)
        is_plain = not batch.is_bookmark and batch.error is None
        if is_plain and short.moves_on(batch.version, len(batch.deltas)):
            assert actions == [Deltas(batch.deltas, short.version)]
        else:
            assert short.batch(float(step), batch) == actions
        assert state_of(short) == state_of(long)


def test_only_a_watch_that_has_shown_that_it_works_takes_the_short_way():
    machine = Machine(Backoff(random=lambda: 0.0), ServerTraits(), lambda: 0.5)
    assert not machine.moves_on("11", 1)
    machine.start(0.0, "10", "", 1)
    assert not machine.moves_on("11", 1)
    machine.opened(0.0)
    assert not machine.moves_on("11", 1)  # accepted, but nothing has come yet
    machine.batch(0.0, added("11"))
    assert machine.moves_on("12", 1)
    machine.closed(100.0)
    assert not machine.moves_on("13", 1)
    listing = Machine(Backoff(random=lambda: 0.0), ServerTraits(), lambda: 0.5)
    listing.start(0.0, "", "", 1)
    listing.opened(0.0)
    listing.batch(0.0, items("a"))
    assert not listing.moves_on("12", 1)


@pytest.mark.parametrize("count", [1, 3, BATCH_DELTAS_MAX, BATCH_DELTAS_MAX + 1])
@pytest.mark.parametrize("credit", [(0, 100), (2, 100), (1000, 5), (1000, 100_000)])
def test_deltas_that_pass_an_outbox_cost_and_say_what_those_that_wait_do(count, credit):
    short, long = Outbox("dev/pods", "*"), Outbox("dev/pods", "*")
    deltas = [row(version=str(number)) for number in range(20, 20 + count)]
    for outbox in (short, long):
        outbox.open(*credit)
    long.put(Deltas(deltas, deltas[-1].version), AT_US)
    expected = list(long.messages())
    if not short.spend(count, 2 * count):
        assert (short.credit_deltas, short.credit_bytes, short.published) == (*credit, 0)
        assert count > BATCH_DELTAS_MAX or count > credit[0] or 2 * count > credit[1]
    else:
        assert [message.rows for message in expected] == [deltas]
        for figure in ("credit_deltas", "credit_bytes", "published", "published_bytes", "waiting_deltas"):
            assert getattr(short, figure) == getattr(long, figure)


def test_deltas_never_pass_those_that_wait():
    outbox = Outbox("dev/pods", "*")
    outbox.open(0, 0)
    outbox.put(Deltas([row(version="11")], "11"), AT_US)
    outbox.grant(10, 1000)
    assert not outbox.spend(1, 2)


@pytest.fixture
def stage():
    made = Stage()
    made.start("10")
    made.bring(Opened(), added("11"))
    made.sent.clear()
    return made


def test_what_ends_a_watch_or_marks_it_is_not_passed_on(stage):
    for batch in (bookmark("12"), failed_event(EXPIRED)):
        assert not stage.driver.pass_on(1, batch, AT_US)
    assert stage.sent == []


def test_what_a_reader_brings_is_passed_on_at_once(stage):
    assert stage.driver.pass_on(1, added("12"), AT_US)
    assert stage.sent == [("deltas", "dev/pods", "*", "12", AT_US, added("12").deltas)]
    assert stage.driver.status()["version"] == "12"
    assert stage.driver.status()["last_progress_at"] == AT_US


def test_what_is_passed_on_waits_for_credit_like_all_else(stage):
    stage.start("10", deltas=1)
    stage.bring(Opened(), added("11"))
    stage.sent.clear()
    assert stage.driver.pass_on(2, added("12"), AT_US)
    assert stage.sent == []
    stage.driver.credit(5, 1000)
    stage.driver.turn()
    assert stage.kinds() == ["cluster", "deltas"]


def test_nothing_of_a_cancelled_request_or_before_older_results_is_passed_on(stage):
    assert not stage.driver.pass_on(0, added("12"), AT_US)
    stage.reader.news.append(Read(added("12"), AT_US))
    assert not stage.driver.pass_on(1, added("13"), AT_US)
    assert stage.sent == []


def test_a_start_further_back_proves_nothing_until_what_was_passed_on_is_reached_again(stage):
    assert stage.driver.pass_on(1, added("15"), AT_US)
    stage.start("12")
    stage.bring(Opened())
    stage.clock.advance(1.0)
    stage.reader.read.drained_us = stage.reader.read.heard_us = int(stage.clock.wall_s() * 1e6)
    stage.bring(added("13"))
    assert stage.driver.proof() is None
    stage.bring(added("15"))
    assert stage.driver.proof() is not None
