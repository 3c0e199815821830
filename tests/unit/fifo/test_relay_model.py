"""Brokers of two hosts with one queue, in a world of random kills, lost leases and lost messages."""

import msgspec
import pytest

from deltawire.fifo import outgoing, shards, streams
from deltawire.fifo.relay import outbox
from deltawire.fifo.relay.wants import Publish
from tests.support.fifo_model import Worker
from tests.support.fifo_model_informer import RealWorker
from tests.support.relay_model import Both, Servers

SEEDS, MORE_SEEDS = 40, 300
STEPS = 250


@pytest.fixture(autouse=True)
def tight_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that each bound is reached in a short run."""
    monkeypatch.setattr(streams, "STREAM_DELTAS_MAX", 12)
    monkeypatch.setattr(streams, "CREDIT_STEP_DELTAS", 2)
    monkeypatch.setattr(shards, "SHARD_DELTAS_MAX", 6)
    monkeypatch.setattr(outgoing, "BATCH_DELTAS_MAX", 3)
    monkeypatch.setattr(outbox, "MESSAGE_ENTRIES", 3)


WORKERS = pytest.mark.parametrize("worker", [Worker, RealWorker], ids=["rules", "informer"])


@WORKERS
@pytest.mark.parametrize("first", range(0, SEEDS, 20))
def test_the_stores_of_two_hosts_equal_the_server_whatever_is_killed(
    first: int, worker: type[Worker]
) -> None:
    run_worlds(range(first, first + 20), worker)


@pytest.mark.long
@WORKERS
@pytest.mark.parametrize("first", range(SEEDS, MORE_SEEDS, 65))
def test_in_more_worlds_the_stores_equal_the_server(first: int, worker: type[Worker]) -> None:
    run_worlds(range(first, first + 65), worker)


@WORKERS
@pytest.mark.parametrize("first", range(0, 20, 10))
def test_shards_that_move_to_the_other_host_by_their_archive_equal_the_server(
    first: int, worker: type[Worker]
) -> None:
    run_worlds(range(first, first + 10), worker, archive=True)


@pytest.mark.long
@WORKERS
@pytest.mark.parametrize("first", range(20, 200, 60))
def test_in_more_worlds_shards_that_move_equal_the_server(first: int, worker: type[Worker]) -> None:
    run_worlds(range(first, first + 60), worker, archive=True)


def run_worlds(seeds: range, worker: type[Worker], *, archive: bool = False) -> None:
    for seed in seeds:
        world = Both(seed, worker=worker, archive=archive)
        try:
            world.run(STEPS)
        except AssertionError as error:
            pytest.fail(f"seed {seed}: {error}")


@pytest.mark.parametrize("first", range(0, 20, 10))
def test_nothing_is_listed_for_a_kill_a_lost_lease_or_a_stop(first: int) -> None:
    """Without a lost disk and without a loss in the servers the queue has all that any shard needs."""
    for seed in range(first, first + 10):
        world = Both(seed, losses=False)
        world.run(STEPS)
        assert world.demands == 0, f"seed {seed}"


class Unfenced(Servers):
    """The servers take whatever comes, however old."""

    def publish(self, want: Publish) -> int | None:
        last = self.subjects[want.shard][-1:]
        follows = last[0][0] if last else 0
        return super().publish(Publish(*msgspec.structs.astuple(want)[:-1], follows))


def test_without_the_fence_a_former_leader_breaks_the_order() -> None:
    """What the check of the sequence is for: this world breaks within a few seeds."""
    for seed in range(40):
        world = Both(seed, losses=False)
        world.servers = Unfenced()
        try:
            world.run(STEPS)
        except AssertionError:
            return
        if world.demands:
            return
    pytest.fail("40 worlds without a fence, and nothing broke")
